"""A season as JSON, for programs: all numbers in full, the same keys whatever is recorded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flatrec._version import __version__
from flatrec.evaluation.metrics import higher_is_better
from flatrec.research.league.cost import Cost, budget_in, cost_of, pareto, within_budget
from flatrec.research.league.records import Record
from flatrec.research.league.results import SeasonResults
from flatrec.research.league.runs import MethodRuns
from flatrec.research.league.spec import n_points
from flatrec.research.league.values import Spread, values_of
from flatrec.research.league.verdict import Verdict
from flatrec.research.sweeps.space import Choices, Space


def season_json(season: SeasonResults) -> dict[str, Any]:
    """Return a season as JSON has it; where a number is not known, it is None."""
    rules = season.league.rules
    return {
        "format": "flatrec league",
        "written_by": __version__,
        "title": rules.title,
        "rules": {name: value for name, value in asdict(rules).items() if name != "title"},
        "settings": dict(season.league.settings),
        "metric": season.metric,
        "summary": list(season.summary()),
        "verdicts": [_verdict(one) for one in season.verdicts],
        "cells": [_cell(season, cell.name) for cell in season.league.cells],
    }


def _verdict(one: Verdict) -> dict[str, Any]:
    return {
        **asdict(one.comparison),
        "cell": one.cell,
        "verdict": one.word,
        "higher_is_better": higher_is_better(one.comparison.metric),
        "seeds": list(one.seeds),
        "values": list(one.values),
        "baseline_values": list(one.baseline_values),
        "mean": one.mean,
        "baseline_mean": one.baseline_mean,
        "difference": one.difference,
        "relative_difference": one.relative(one.difference),
        "deviation": one.deviation,
        "t": one.t,
        "p": one.p,
        "holm_p": one.corrected_p,
        "detectable": one.detectable,
        "relative_detectable": one.relative(one.detectable),
        "corrected_detectable": one.corrected_detectable,
        "relative_corrected_detectable": one.relative(one.corrected_detectable),
        "n_tests": one.n_tests,
        "notes": list(one.notes),
    }


def _cell(season: SeasonResults, name: str) -> dict[str, Any]:
    runs = season.of_cell(name)
    budget = budget_in(season.league, season.runs, name)
    cell = next(cell for cell in season.league.cells if cell.name == name)
    undominated = {point.method for point in pareto(runs, season.metric) if not point.is_dominated}
    return {
        "name": name,
        "settings": dict(cell.settings),
        "fingerprint": next((record.fingerprint for one in runs for record in one.trials), None),
        "monitor": season.monitor(name),
        "budget": budget,
        "methods": [_method(season, one, budget, is_undominated=one.method in undominated) for one in runs],
    }


def _method(season: SeasonResults, one: MethodRuns, budget: float | None, *, is_undominated: bool) -> dict[str, Any]:
    method, metrics = season.league.method(one.method), dict.fromkeys(m for r in one.scored for m in r.test)
    points, cost, winner = n_points(one.space), cost_of(one), one.winner
    reached = within_budget(one, budget) if budget is not None else {}
    return {
        "name": one.method,
        "model": one.model,
        "settings": dict(method.plan_for(one.model).settings),
        "space": _space(one.space),
        "n_points": None if math.isinf(points) else int(points),
        "reason": method.reason,
        "n_trials": one.n_trials,
        "trials": [_run(record) for record in one.trials],
        "chosen": None if winner is None else _run(winner),
        "finals": [{**_run(record), "test": _defined(record.test)} for record in one.finals],
        "test": {metric: asdict(values_of(one, metric).spread) for metric in metrics},
        "left": {level: asdict(values_of(one, season.metric, level).spread) for level in season.league.rules.levels},
        "cost": None if cost is None else _cost(cost),
        "within_budget": asdict(Spread.of(list(reached.values()))),
        "not_dominated": is_undominated if one.scored else None,
        "missing": list(one.gaps),
    }


def _run(record: Record) -> dict[str, Any]:
    return {
        "number": record.number,
        "seed": record.seed,
        "point": dict(record.point),
        "validation": record.score,
        "epochs": record.epochs,
        "best_epoch": record.best_epoch,
        "gradients": record.gradients,
        "seconds": record.seconds,
        "error": record.error,
    }


def _defined(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {metric: None if math.isnan(value) else value for metric, value in metrics.items()}


def _space(space: Space) -> dict[str, Any]:
    return {
        name: list(dimension.values) if isinstance(dimension, Choices) else asdict(dimension)
        for name, dimension in space.items()
    }


def _cost(cost: Cost) -> dict[str, float]:
    return {
        "epochs": cost.epochs,
        "gradients": cost.gradients,
        "seconds": cost.seconds,
        "tuning_seconds": cost.tuning_seconds,
    }
