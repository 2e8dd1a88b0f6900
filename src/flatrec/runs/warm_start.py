"""What a run took over from an earlier one, as its folder, its result and a message tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flatrec.models import Baseline, Model
from flatrec.training import checkpoint
from flatrec.training.checkpoint import Checkpoint
from flatrec.utils.integrity import read_sealed
from flatrec.utils.messages import count, shortlist

VALUES = "init-from.safetensors"  # the parameters with which training begins, until it has ended
RECORD = "init-from.json"  # what is said of them, which stays
_RESTORE = "put the file back as it was, or train again with --overwrite"


@dataclass(frozen=True)
class RowCounts:
    """How many users or items have what the earlier run learned of them.

    Args:
        taken: those that both runs have, whose rows are those of the earlier run.
        new: those that only the later run has, whose rows are initial.
        dropped: those that only the earlier run has.
    """

    taken: int
    new: int
    dropped: int


@dataclass(frozen=True)
class WarmStart:
    """What a run took over from an earlier one.

    Args:
        run: the folder of the earlier run.
        identity: the digest of that run, by which it is told from others wherever its folder is.
        users: the rows of users.
        items: the rows of items.
        initial: the parameters that nothing was taken over for, by name.
        values: the digest of all parameters with which training begins; it is part of the identity of the later run.
    """

    run: str
    identity: str
    users: RowCounts
    items: RowCounts
    initial: tuple[str, ...]
    values: str

    def as_dict(self) -> dict[str, Any]:
        """The values by name, as a result holds them."""
        return asdict(self)

    def sentence(self) -> str:
        """Return a sentence on what was taken over."""
        parts = [
            f"{rows.taken} of {count(rows.taken + rows.new, kind)} ({rows.new} new, {rows.dropped} gone)"
            for kind, rows in (("user", self.users), ("item", self.items))
        ]
        kept = f"; these parameters stay initial: {shortlist(self.initial)}" if self.initial else ""
        return (
            f"training starts from the parameters of {self.run} for {' and '.join(parts)}{kept}; the optimizer starts "
            "fresh"
        )


def read_warm_start(folder: Path) -> WarmStart | None:
    """Return what the run in a folder took over; None if it began with initial parameters.

    Raises:
        ValueError: the record is damaged.
    """
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        return _of_metadata(read_sealed(path, advice=_RESTORE))
    except (KeyError, TypeError):
        raise ValueError(f"{path} is damaged (it holds other keys than those of a warm start); {_RESTORE}") from None


def _of_metadata(values: Mapping[str, Any]) -> WarmStart:
    return WarmStart(
        run=values["run"],
        identity=values["identity"],
        users=RowCounts(**values["users"]),
        items=RowCounts(**values["items"]),
        initial=tuple(values["initial"]),
        values=values["values"],
    )


def keep(folder: Path, start: WarmStart | None, model: Model | Baseline | None) -> None:
    """Write down the parameters with which a run begins, before anything says that there is a run in the folder.

    Args:
        folder: the run folder.
        start: what was taken over; None if nothing was.
        model: the model with these parameters.

    Raises:
        OSError: the folder cannot be written to.
    """
    for name in (RECORD, VALUES):
        (folder / name).unlink(missing_ok=True)
    if start is not None and isinstance(model, Model):
        checkpoint.save(folder / VALUES, Checkpoint(model.state_dict(), start.as_dict()))


def load_values(folder: Path, start: WarmStart, model: Model) -> None:
    """Give a model the parameters with which its run begins, from the folder of the run.

    Raises:
        FileNotFoundError: they are gone.
        ValueError: they are damaged, or of another run.
    """
    saved = checkpoint.load(folder / VALUES)
    if checkpoint.tensors_digest(saved.tensors) != start.values:
        raise ValueError(f"{folder / VALUES} belongs to another run than {RECORD} beside it; {_RESTORE}")
    checkpoint.check_alike(saved.tensors, model.state_dict(), str(folder / VALUES))
    model.load_state_dict(saved.tensors)


def check_same_start(folder: Path, start: WarmStart | None, run: Path, identity: str | None) -> None:
    """Make sure that a run that is resumed began from the run that is named.

    Args:
        folder: the folder of the run that is resumed.
        start: what it took over.
        run: the folder of the run that is named.
        identity: the digest of that run; None if that folder is gone.

    Raises:
        ValueError: it began from another run, or with initial parameters.
    """
    if start is None:
        raise ValueError(
            f"{folder} holds a run that began with initial parameters, not with those of {run}; resume it without "
            "--init-from, or choose another folder"
        )
    if start.identity != identity and (identity is not None or start.run != str(run.resolve())):
        raise ValueError(
            f"{folder} holds a run that began with the parameters of {start.run}, not with those of {run}; resume it "
            "without --init-from, or choose another folder"
        )
