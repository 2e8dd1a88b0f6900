"""The run that a final fit repeats, as the folder and the result of the final fit tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flatrec.utils.atomic_write import write_text
from flatrec.utils.integrity import read_sealed, seal

ORIGIN = "refit.json"
_RESTORE = "put the file back as it was, or train again with --overwrite"


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


def keep_origin(folder: Path, origin: Origin | None, *, begun: bool) -> None:
    """Write down what a final fit repeats; if the folder has a run already, that must repeat the same.

    Raises:
        ValueError: the run in the folder repeats another one or none, or its record is damaged.
    """
    if not begun:
        (folder / ORIGIN).unlink(missing_ok=True)
        if origin is not None:
            write_text(folder / ORIGIN, seal(origin.as_dict()) + "\n")
        return
    stored = read_origin(folder)
    if origin is not None and (stored is None or stored.identity != origin.identity):
        held = f"the final fit of {stored.run}" if stored else "a run that is no final fit"
        raise ValueError(f"{folder} holds {held}, not the final fit of {origin.run}; choose another folder")


def read_origin(folder: Path) -> Origin | None:
    """Return what the run in a folder repeats; None if it is no final fit.

    Raises:
        ValueError: the record is damaged.
    """
    path = folder / ORIGIN
    if not path.is_file():
        return None
    try:
        return Origin(**read_sealed(path, advice=_RESTORE))
    except TypeError:
        raise ValueError(f"{path} is damaged (it holds other keys than those of a final fit); {_RESTORE}") from None
