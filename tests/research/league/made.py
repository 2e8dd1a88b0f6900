"""Seasons whose numbers are made up, so that every result can be worked by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flatrec.research.league import Cell, Comparison, Finished, League, Method, Plan
from flatrec.research.league.curve import Point
from flatrec.research.league.records import Record
from flatrec.research.league.spec import Rules
from flatrec.research.sweeps.space import Choices

SPACE = {"optimizer.lr": Choices((0.001, 0.01, 0.1)), "regularization.weight": Choices((0.0, 0.01))}
SETTINGS = {"model.name": "lightgcn", "training.epochs": 4, "training.patience": 2, "training.monitor": "recall@20"}
SEEDS = (1, 2, 3, 4, 5)
BASE = (0.20, 0.30, 0.25, 0.20, 0.25)


def league(
    methods: Sequence[str] = ("base", "new"),
    comparisons: Sequence[Comparison] = (Comparison("new", "base", "recall@20"),),
    cells: Sequence[str] = ("cell",),
    **rules: object,
) -> League:
    """A league of two trials per method and five final seeds."""
    stated = {"n_trials": 2, "final_seeds": SEEDS, "disturbances": {"vectors": (0.5,)}, "title": "A season", **rules}
    return League(
        Rules(**stated),
        SETTINGS,
        tuple(Cell(name, "data") for name in cells),
        tuple(Method(name, Plan({"strategy.name": "plain"}, SPACE)) for name in methods),
        tuple(comparisons),
    )


def trial(method: str, number: int, score: float | None, cell: str = "cell") -> Record:
    """A trial; a score of None is one that diverged."""
    return _record("trial", method, number, cell, score=score, seed=0)


def final(  # noqa: PLR0917 - all of them are looked at
    method: str,
    seed: int,
    value: float | None,
    cell: str = "cell",
    left: Sequence[float] = (),
    **changes: object,
) -> Record:
    """A final with a Recall@20 on the test split; None is one that diverged.

    ``left`` are the metrics of the draws under ``vectors=0.5``.
    """
    test = {} if value is None else {"recall@20": value, "ndcg@20": value / 2}
    disturbed = {"vectors=0.5": tuple({"recall@20": one} for one in left)} if left else {}
    return _record("final", method, seed - 1, cell, score=value, seed=seed, test=test, disturbed=disturbed, **changes)


def finished(finals: Mapping[str, Sequence[float | None]], cell: str = "cell", **trials: object) -> Finished:
    """All trials of the methods, and a final for each value, with seeds from 1."""
    scores = {method: trials.get(method, (0.1, 0.2)) for method in {**finals, **trials}}
    return Finished(
        tuple(trial(method, i, score, cell) for method, found in scores.items() for i, score in enumerate(found)),
        tuple(final(method, seed, v, cell) for method, row in finals.items() for seed, v in enumerate(row, start=1)),
    )


def joined(*parts: Finished) -> Finished:
    """The records of several together."""
    return Finished(
        tuple(record for part in parts for record in part.trials),
        tuple(record for part in parts for record in part.finals),
    )


def plus(values: Sequence[float], differences: Sequence[float]) -> tuple[float, ...]:
    """Values with differences added."""
    return tuple(value + difference for value, difference in zip(values, differences, strict=True))


def _record(kind: str, method: str, number: int, cell: str, **values: object) -> Record:
    known: dict[str, object] = {
        "point": {"optimizer.lr": 0.01 * (number + 1), "regularization.weight": 0.0},
        "settings": {},
        "fingerprint": "f" * 32,
        "version": "0",
        "torch": "0",
        "device": "cpu",
        "monitor": "recall@20",
        "window": 1,
        "gradients_per_step": 1.0,
        "steps": 10,
        "epochs": 4,
        "best_epoch": 4,
        "seconds": 8.0,
        "error": "" if values["score"] is not None else "the loss is not finite",
        "curve": () if values["score"] is None else (Point(2, 20.0, 4.0, 0.1), Point(4, 40.0, 8.0, values["score"])),
    }
    return Record(kind=kind, cell=cell, method=method, number=number, **{**known, **values})
