"""The run that a final fit repeats, as the folder and the result of the final fit tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Origin:
    """The run that a final fit repeats on all interactions.

    Args:
        run: the folder of that run.
        identity: the digest of that run, by which it is told from others wherever its folder is.
        selected: which of its epochs was kept: ``best`` or ``last``; None for a baseline.
        epochs: the number of that epoch, which is the number of epochs of the final fit; 0 for a baseline.
        data: name, path and fingerprint of its data.
        other_data: whether the final fit is on other data than that run, such as newer ones.
        valid: its scores on its validation split, which are not scores of the final fit.
        test: the same on its test split.
        refit: the origin of that run, if it is a final fit itself.
    """

    run: str
    identity: str
    selected: str | None
    epochs: int
    data: Mapping[str, Any]
    other_data: bool
    valid: Mapping[str, float]
    test: Mapping[str, float]
    refit: Mapping[str, Any] | None

    def as_dict(self) -> dict[str, Any]:
        """The values by name, as a result holds them."""
        return asdict(self)

    def warning(self, name: str) -> str:
        """Return a sentence if the number of epochs was chosen on other data than those of this name; else nothing."""
        if not self.other_data or not self.epochs:
            return ""
        return (
            f"{name!r} now holds other data than {self.run} was trained on, whose number of epochs, {self.epochs}, is "
            "used all the same"
        )
