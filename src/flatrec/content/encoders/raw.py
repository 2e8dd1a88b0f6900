"""Something of an item before it is encoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Raw(Generic[Kind]):
    """A text or image that is ready to be encoded, or word of why there is none.

    Args:
        value: None where the item counts as one without the modality.
        remarks: what is wrong with it or was changed, in a few fixed words each, so that they can be counted.
    """

    value: Kind | None
    remarks: tuple[str, ...] = ()
