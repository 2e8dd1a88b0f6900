"""The trials and finals of each method in each cell, and what of them is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flatrec.research.league.records import Record
from flatrec.research.league.season import Finished, best_trial
from flatrec.research.league.settings import model_name, space_of
from flatrec.research.league.spec import League, n_points
from flatrec.research.sweeps.space import Space


@dataclass(frozen=True)
class MethodRuns:
    """What is recorded of a method in a cell.

    Args:
        cell: name of the cell.
        method: name of the method.
        model: name of the model.
        space: settings that the trials choose from.
        n_trials: number of trials that the rules ask for.
        seeds: seeds of the finals that the rules ask for.
        trials: trials that are recorded, in their order.
        finals: finals that are recorded, in the order of ``seeds``.
    """

    cell: str
    method: str
    model: str
    space: Space
    n_trials: int
    seeds: tuple[int, ...]
    trials: tuple[Record, ...]
    finals: tuple[Record, ...]

    @property
    def is_tuned(self) -> bool:
        """Whether all trials are recorded."""
        return len(self.trials) == self.n_trials

    @property
    def winner(self) -> Record | None:
        """The trial that chose the finalist; None until all are recorded, and where all diverged."""
        return best_trial(self.trials) if self.is_tuned else None

    @property
    def never_trains(self) -> bool:
        """Whether all trials diverged, so that there is no finalist."""
        return self.is_tuned and self.winner is None

    @property
    def scored(self) -> tuple[Record, ...]:
        """The finals that have scores of the test split."""
        return tuple(record for record in self.finals if not record.error)

    @property
    def is_complete(self) -> bool:
        """Whether no run is missing."""
        return self.never_trains or (self.is_tuned and not self.missing_seeds)

    @property
    def missing_seeds(self) -> tuple[int, ...]:
        """Seeds whose finals are not recorded."""
        recorded = {record.seed for record in self.finals}
        return tuple(seed for seed in self.seeds if seed not in recorded)

    @property
    def gaps(self) -> tuple[str, ...]:
        """What is missing or diverged, in parts of sentences; empty if nothing is."""
        if self.never_trains:
            return (f"{self.method}: all {self.n_trials} trials diverged",)
        if not self.is_tuned:
            return (f"{self.method}: {len(self.trials)} of {self.n_trials} trials",)
        diverged = [record.seed for record in self.finals if record.error]
        if not self.finals:
            return (f"{self.method}: no finals",)
        parts = [f"{self.method}: no {of_seeds('final', self.missing_seeds)}"] if self.missing_seeds else []
        if diverged:
            parts.append(f"{self.method}: diverged {of_seeds('final', diverged)}")
        return tuple(parts)


def runs_of(league: League, finished: Finished) -> dict[tuple[str, str], MethodRuns]:
    """Return what is recorded, by cell and method, in the order of the league; methods without a run are there too."""
    return {
        (cell.name, method.name): MethodRuns(
            cell.name,
            method.name,
            model_name(league, cell, method),
            space := space_of(league, cell, method),
            int(min(league.rules.n_trials, n_points(space))),
            league.rules.final_seeds,
            _ordered(finished.trials, cell.name, method.name),
            _ordered(finished.finals, cell.name, method.name),
        )
        for cell in league.cells
        for method in league.methods
    }


def listed(words: Sequence[object]) -> str:
    """Write words as ``a, b and c``."""
    texts = [str(word) for word in words]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def of_seeds(what: str, seeds: Sequence[int]) -> str:
    """Write ``finals of seeds 1 and 2``."""
    plural = "s" if len(seeds) > 1 else ""
    return f"{what}{plural} of seed{plural} {listed(seeds)}"


def _ordered(records: Sequence[Record], cell: str, method: str) -> tuple[Record, ...]:
    return tuple(
        sorted(
            (record for record in records if (record.cell, record.method) == (cell, method)),
            key=lambda record: record.number,
        )
    )
