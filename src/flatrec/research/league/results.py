"""What the records of a season say, which all reports are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flatrec.research.league.runs import MethodRuns, runs_of
from flatrec.research.league.season import Finished
from flatrec.research.league.spec import League
from flatrec.research.league.summary import main_metric, summary
from flatrec.research.league.verdict import Verdict, verdicts


@dataclass(frozen=True)
class SeasonResults:
    """All that a report of a season is made of.

    Args:
        league: the league.
        runs: what is recorded, by cell and method.
        verdicts: verdicts of all tests.
        metric: metric of the comparison by cost.
    """

    league: League
    runs: Mapping[tuple[str, str], MethodRuns]
    verdicts: tuple[Verdict, ...]
    metric: str

    @classmethod
    def of(cls, league: League, finished: Finished) -> SeasonResults:
        """Return what the records of a league say, in whatever order they are."""
        runs = runs_of(league, finished)
        return cls(league, runs, tuple(verdicts(league, runs)), main_metric(league, runs))

    def of_cell(self, cell: str) -> list[MethodRuns]:
        """Return the methods of a cell."""
        return [self.runs[cell, method.name] for method in self.league.methods]

    def monitor(self, cell: str) -> str:
        """Return the metric that is monitored in a cell."""
        return next((record.monitor for one in self.of_cell(cell) for record in one.trials), self.metric)

    def summary(self) -> tuple[str, ...]:
        """Return what the season says, in sentences."""
        return summary(self.league, self.runs, self.verdicts)
