"""What is recorded of one generation: how far it came, what was found on the way, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from flatrec.utils.atomic_write import write_text
from flatrec.utils.integrity import read_sealed, seal

STATE = "state.json"
FORMAT = "flatrec generation 1"
Outcome: TypeAlias = Literal["promoted", "kept", "refused", "abandoned"]
Step: TypeAlias = Literal["check", "train", "compare", "fit", "export"]
_ADVICE = "remove the folder of this generation, unless `current` points into it"


@dataclass(frozen=True)
class State:
    """The record of a generation, kept in ``state.json`` of its folder.

    Args:
        number: the number of the generation, from 1 on.
        started: when it was begun, in UTC.
        fingerprint: the digest of the delivery.
        settings: the digest of the settings that decide what is trained and compared.
        events_until: the number of the last event of the log that was read; None without a log.
        in_use: the generation that was in use when this one began; None if there was none.
        delivery: the figures of the delivery.
        before: the figures of the last accepted delivery; None if there was none.
        seconds: the seconds that each finished step took, in their order.
        checks: what each bound said.
        accepted: whether the delivery was accepted; the next one is compared with it.
        ids: the digest of the file of ids.
        comparison: what was compared, and the values.
        exports: the exports that are ready.
        error: why the last attempt failed; empty if it did not.
        outcome: how it ends; None as long as that is open.
        reason: one sentence on why it ends so.
        finished: when it ended, in UTC; None as long as something is left to do, such as to move the pointer.
    """

    number: int
    started: str
    fingerprint: str
    settings: str
    events_until: int | None = None
    in_use: int | None = None
    delivery: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    checks: tuple[Mapping[str, Any], ...] = ()
    accepted: bool = False
    ids: str = ""
    comparison: Mapping[str, Any] | None = None
    exports: tuple[Mapping[str, Any], ...] = ()
    error: str = ""
    outcome: Outcome | None = None
    reason: str = ""
    finished: str | None = None

    def done(self, step: Step) -> bool:
        """Return True if a step has finished."""
        return step in self.seconds

    def after(self, step: Step, seconds: float) -> State:
        """Return the state with a step finished."""
        return replace(self, seconds={**self.seconds, step: round(seconds, 3)}, error="")

    def ends(self, outcome: Outcome, reason: str) -> State:
        """Return the state with what becomes of the generation."""
        return replace(self, outcome=outcome, reason=reason)

    def as_line(self) -> dict[str, Any]:
        """Return what the history says of the generation."""
        values = asdict(self)
        for name in ("checks", "ids", "settings", "before"):
            del values[name]
        values["delivery"].pop("columns", None)  # not there if the check did not come to an end
        return {**values, "broken": [check["setting"] for check in self.checks if not check["passed"]]}


def write_state(folder: Path, state: State) -> None:
    """Write the record of a generation into its folder.

    Raises:
        OSError: the folder cannot be written to.
    """
    write_text(folder / STATE, seal({"format": FORMAT, **asdict(state)}) + "\n")


def read_state(folder: Path) -> State:
    """Return the record of a generation.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, or of another version.
    """
    path = folder / STATE
    values = read_sealed(path, advice=_ADVICE)
    if (found := values.pop("format", None)) != FORMAT:
        raise ValueError(f"{path} must be of the format {FORMAT!r}, but is of {found!r}; {_ADVICE}")
    values |= {name: tuple(values.get(name, ())) for name in ("checks", "exports")}
    try:
        return State(**values)
    except TypeError:
        raise ValueError(f"{path} is damaged (it holds other keys than those of a generation); {_ADVICE}") from None
