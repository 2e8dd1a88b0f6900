"""What a league consists of: cells, methods, comparisons, and the rules that are the same for all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from flatrec.config import Option
from flatrec.research.robustness.gate import check_level
from flatrec.research.robustness.registry import DISTURBANCES
from flatrec.research.sweeps.space import Choices, Range, Space
from flatrec.utils.messages import shortlist, unknown

MAX_COUNT = 10_000  # of trials or seeds
TUNED = "optimizer.lr"  # what every space contains, besides a regularization
REGULARIZATION = ("reg_weight", "weight_decay", "edge_dropout", "message_dropout", "label_smoothing")


@dataclass(frozen=True)
class Cell:
    """A data set with a model.

    Args:
        name: name of the cell.
        data: path of the data set.
        settings: settings of the cell by dotted name, ``model.name`` among them.
    """

    name: str
    data: str
    settings: Mapping[str, Option] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Settings of a method that are fixed, and those that its trials choose from, by dotted name."""

    settings: Mapping[str, Option] = field(default_factory=dict)
    space: Space = field(default_factory=dict)

    def over(self, other: Plan) -> Plan:
        """Return the other plan, changed by this one."""
        return Plan({**other.settings, **self.settings}, {**other.space, **self.space})


@dataclass(frozen=True)
class Method:
    """A method of training.

    Settings of the group ``model`` go to the models that have them.

    Args:
        name: name of the method.
        plan: what holds for every model.
        of_model: what changes for a model, by the name of the model.
        reason: why the space leaves out the learning rate or the regularization; empty where it has both.
    """

    name: str
    plan: Plan
    of_model: Mapping[str, Plan] = field(default_factory=dict)
    reason: str = ""

    def plan_for(self, model: str) -> Plan:
        """Return the plan for a model."""
        return self.of_model.get(model, Plan()).over(self.plan)


@dataclass(frozen=True)
class Comparison:
    """A paired comparison, named before the league is run.

    Args:
        method: name of the method.
        baseline: name of the method that it is compared with.
        metric: metric of the test split.
        under: a disturbance and its level, such as ``vectors=0.5``: the fraction of the metric that is left under it is
            compared instead of the metric; empty for none.
        claim: what a difference in favor of the method would confirm, in words.
        cells: names of the cells; empty for all.
    """

    method: str
    baseline: str
    metric: str
    under: str = ""
    claim: str = ""
    cells: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of a season, the same for all methods in all cells.

    Args:
        title: title of the page.
        n_trials: number of trials of every method in every cell.
        trial_seed: seed of all trials, and of their proposals.
        final_seeds: seeds of the finalists, none of which is that of the trials.
        sampler: ``common`` for points that are drawn beforehand, with the same values of a setting in the same trials
            of all methods of a cell; ``random`` for points that are drawn beforehand for each method; ``tpe`` for
            points that follow from the scores of earlier trials of the same method and cell.
        replication: what the final seeds decide. ``seeds``: everything random in a run. ``splits``: the split of the
            data as well, for methods without randomness of their own.
        budget: gradients of the table at equal cost; 0 for those of the longest run of ``budget_of``.
        budget_of: name of a method; empty for the first.
        disturbances: kinds of disturbance under which finalists are scored (:mod:`flatrec.research.robustness`), with
            their levels; a kind that does not apply to a model is left out.
        draws: draws of each disturbance.

    Raises:
        ValueError: a rule is broken; the message says which.
    """

    title: str = "League"
    n_trials: int = 8
    trial_seed: int = 0
    final_seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    sampler: Literal["common", "random", "tpe"] = "common"
    replication: Literal["seeds", "splits"] = "seeds"
    budget: int = 0
    budget_of: str = ""
    disturbances: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    draws: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.n_trials <= MAX_COUNT:
            raise ValueError(f"n_trials must lie between 1 and {MAX_COUNT}, but is {self.n_trials}")
        if len(self.final_seeds) < 2 or len(set(self.final_seeds)) < len(self.final_seeds):
            raise ValueError(f"final_seeds must be at least two different seeds, but are {list(self.final_seeds)}")
        if self.trial_seed in self.final_seeds:
            raise ValueError(
                f"final_seeds contain {self.trial_seed}, the seed of the trials, which chose the finalists; take fresh "
                "ones"
            )
        if self.budget < 0 or self.draws < 1:
            raise ValueError(f"budget must be at least 0 and draws at least 1, but are {self.budget} and {self.draws}")
        for kind, levels in self.disturbances.items():
            _check_disturbance(kind, levels)

    @property
    def levels(self) -> list[str]:
        """Kinds of disturbance with their levels, such as ``vectors=0.5``."""
        return [f"{kind}={level:g}" for kind, levels in self.disturbances.items() for level in levels]


@dataclass(frozen=True)
class League:
    """A season: cells, methods, comparisons and rules.

    Args:
        rules: rules of the season.
        settings: settings of all cells, by dotted name, such as the stopping rule.
        cells: data sets with models.
        methods: methods that are compared.
        comparisons: paired tests, which together are corrected by Holm.

    Raises:
        ValueError: there is no cell or method, or a comparison names one that there is not.
    """

    rules: Rules
    settings: Mapping[str, Option]
    cells: tuple[Cell, ...]
    methods: tuple[Method, ...]
    comparisons: tuple[Comparison, ...] = ()

    def __post_init__(self) -> None:
        _check_names(self)
        for comparison in self.comparisons:
            _check_comparison(self, comparison)

    def method(self, name: str) -> Method:
        """Return the method of a name."""
        return next(method for method in self.methods if method.name == name)


def n_points(space: Space) -> float:
    """Return the number of different points of a space, which is infinite where a setting is a range."""
    if any(isinstance(dimension, Range) for dimension in space.values()):
        return math.inf
    return float(math.prod(len(set(map(str, choices.values))) for choices in _choices(space)))


def is_tuned(space: Space) -> bool:
    """Return True if a space contains the learning rate and a regularization."""
    regularized = any(name.startswith("regularization.") or name.rpartition(".")[2] in REGULARIZATION for name in space)
    return TUNED in space and regularized


def _choices(space: Space) -> Iterator[Choices]:
    return (dimension for dimension in space.values() if isinstance(dimension, Choices))


def _check_names(league: League) -> None:
    for what, names in (
        ("cell", [cell.name for cell in league.cells]),
        ("method", [method.name for method in league.methods]),
    ):
        if not names:
            raise ValueError(f"a league needs at least one {what}, but has none")
        if bad := next((name for name in names if not name or "/" in name), None):
            raise ValueError(f"the name of a {what} must be a word without a slash, but is {bad!r}")
    _check_known(
        "budget_of", league.rules.budget_of or league.methods[0].name, [method.name for method in league.methods]
    )


def _check_comparison(league: League, comparison: Comparison) -> None:
    names = [method.name for method in league.methods]
    _check_known("comparisons: method", comparison.method, names)
    _check_known("comparisons: baseline", comparison.baseline, names)
    for cell in comparison.cells:
        _check_known("comparisons: cells", cell, [one.name for one in league.cells])
    if comparison.method == comparison.baseline:
        raise ValueError(f"comparisons: {comparison.method} is compared with itself; name another baseline")
    if comparison.under:
        _check_known("comparisons: under", comparison.under, league.rules.levels)


def _check_disturbance(kind: str, levels: Sequence[float]) -> None:
    if kind not in DISTURBANCES:
        raise ValueError(unknown("kind of disturbance", kind, list(DISTURBANCES)))
    if DISTURBANCES[kind].RETRAINS:
        raise ValueError(f"disturbances: {kind} trains again, which a league does not; use flatrec robustness")
    for level in levels:
        if level <= 0:
            raise ValueError(f"disturbances: levels of {kind} must be above 0, but one is {level:g}")
        check_level(kind, level)


def _check_known(what: str, name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise ValueError(f"{what} must be one of {shortlist(list(names)) or 'none'}, but is {name!r}")
