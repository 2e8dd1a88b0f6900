"""The league of a row: plain training, the row's strategy and plain training with a squared penalty, tuned alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flatrec.config import Option, settings
from flatrec.models import MODELS
from flatrec.research.league import Cell, Comparison, League, Method, Plan
from flatrec.research.league.spec import TUNED, Rules
from flatrec.research.reproduction.experiment import paper_experiment
from flatrec.research.reproduction.rows import Row
from flatrec.research.sweeps.space import PENALTY_WEIGHTS, Choices, default_space

LEARNING_RATES = (3e-4, 1e-3, 3e-3, 1e-2)
DROPOUTS = (0.0, 0.1, 0.3)
MANY_DROPPED = (0.5, 0.8, 0.9)  # for models whose release drops at least half of the edges, such as FREEDOM
FEW = 3  # weights of a penalty
PLAIN, SQUARED = "plain", "plain l2"
METRIC = "recall@10"
TUNABLE = ("table2", "table6", "table8")


def check_tunable(table: str) -> None:
    """Refuse tables whose rows make no league.

    Raises:
        ValueError: the table varies what all methods of a league share, or adds noise.
    """
    if table not in TUNABLE:
        varied = {"table4": "adds noise to features", "table5": "varies the batch size"}.get(table, "is not known")
        raise ValueError(
            f"--tuned takes rows of {', '.join(TUNABLE)}, but {table} {varied}; the row of table2 has the same methods"
        )


def tuned_league(
    row: Row, data: str, *, given_split: bool, n_trials: int = 8, n_seeds: int = 5, device: str = "auto"
) -> League:
    """Return the league of a row: its data set and model, and three methods (two for a row of ``plain``).

    ``plain`` and the row's strategy have the model's own penalty, ``plain l2`` the squared one. All trials choose among
    the same learning rates and among weights of the penalty; besides, ``plain`` and ``plain l2`` choose the dropout of
    edges, and the row's strategy its settings in the grids of the paper (section V-A). Everything else is as in
    :func:`flatrec.research.reproduction.paper_experiment`. The weights of the model's own penalty are those that its
    release tries. Where it has none to try, the dropout of edges takes their place; where it has fewer than three,
    ``plain`` chooses the dropout of messages as well, so that spaces are of comparable size.

    Args:
        row: the row.
        data: path of the data.
        given_split: whether the data come with a split, which is then kept.
        n_trials: number of trials of every method.
        n_seeds: number of fresh seeds of the finalists, from 1 on; trials have seed 0.
        device: where the models are trained.

    Raises:
        ValueError: there are fewer than two seeds, or no trial.
    """
    stated = settings(paper_experiment(row, data, given_split=given_split))
    shared = {
        name: value for name, value in stated.items() if name.partition(".")[0] not in ("data", "seed", *_OF_A_PART)
    }
    shared["device"] = device
    cell = Cell(f"{row.dataset}-{row.model}", data, _group(stated, "model"))
    methods = [_method(PLAIN, replace(row, strategy="plain"), "default")]
    if row.strategy != "plain":
        methods.append(_method(row.strategy, row, "default"))
    methods.append(_method(SQUARED, replace(row, strategy="plain"), "squared"))
    rules = Rules(
        title=f"{row.name}: every method tuned equally",
        n_trials=n_trials,
        trial_seed=0,
        final_seeds=tuple(range(1, n_seeds + 1)),
        sampler="common",
    )
    return League(rules, shared, (cell,), tuple(methods), _comparisons(row.strategy))


_OF_A_PART = ("model", "strategy", "regularization")  # groups that the cell or the methods state


def _group(stated: Mapping[str, Any], *groups: str) -> dict[str, Any]:
    return {name: value for name, value in stated.items() if name.partition(".")[0] in groups}


def _method(name: str, row: Row, kind: str) -> Method:
    stated = settings(paper_experiment(row))
    fixed = {**_group(stated, "strategy", "regularization"), "regularization.kind": kind}
    is_plain = row.strategy == "plain"
    drops_many = stated["model.edge_dropout"] >= min(MANY_DROPPED)
    edges = {"model.edge_dropout": Choices(MANY_DROPPED if drops_many else DROPOUTS)}
    if kind == "squared":
        space = {"regularization.weight": Choices(PENALTY_WEIGHTS), **edges}
    else:
        weights = _own_weights(row.model)
        space = {"model.reg_weight": Choices(weights)} if weights else {}
        space |= edges if is_plain or not weights else {}
        space |= {"model.message_dropout": Choices(DROPOUTS)} if is_plain and len(weights) < FEW else {}
    return Method(name, Plan(fixed, {TUNED: Choices(LEARNING_RATES), **space, **_strategy_grid(row)}))


def _own_weights(model: str) -> tuple[Option, ...]:
    """Return the weights of a model's own penalty that its release tries; none if it tries a single one."""
    weights = tuple(MODELS[model].SEARCH_SPACE.get("model.reg_weight", ()))
    return weights if len(weights) > 1 else ()


def _strategy_grid(row: Row) -> dict[str, Choices]:
    """Return the grids of a strategy, which are those of the paper: rho, lam and kappa."""
    if row.strategy == "plain":
        return {}
    grids = default_space(row.model, row.strategy)
    return {
        name: dimension
        for name, dimension in grids.items()
        if name.startswith("strategy.") and isinstance(dimension, Choices)
    }


def _comparisons(strategy: str) -> tuple[Comparison, ...]:
    plain = "plain training with the penalty of the model's release, tuned equally"
    squared = "a squared penalty improves accuracy over the penalty of the model's release"
    of_penalties = Comparison(SQUARED, PLAIN, METRIC, claim=squared)
    if strategy == "plain":
        return (of_penalties,)
    return (
        Comparison(strategy, PLAIN, METRIC, claim=f"{strategy} improves accuracy over {plain}"),
        Comparison(
            strategy,
            SQUARED,
            METRIC,
            claim=f"{strategy} improves accuracy over plain training with a squared penalty, tuned equally",
        ),
        of_penalties,
    )
