"""The paper's settings for a row, every one of them stated."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from flatrec.config import Experiment, changed
from flatrec.research.reproduction.rows import Row

LOSS = {"name": "bpr", "label_smoothing": 0.0}


def paper_settings() -> Mapping[str, Any]:
    """What ``paper.toml`` holds."""
    text = files("flatrec.research.reproduction").joinpath("paper.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def paper_experiment(row: Row, data: str = "", *, given_split: bool = False, seed: int = 0) -> Experiment:
    """The experiment of a row, in which nothing is left to a default.

    Args:
        row: the row.
        data: path of the data; the name of the paper's data set if left out.
        given_split: whether the data come with a split, which is then kept; else they are split 8:1:1 by user.
        seed: the seed.
    """
    paper = paper_settings()
    tree = {
        **paper["experiment"],
        "data": data or row.dataset,
        "seed": seed,
        "model": {"name": row.model, **paper["models"][row.model]},
        "loss": paper["losses"].get(row.model, LOSS),
        "strategy": _strategy(row, paper),
        "optimizer": _optimizer(row, paper),
        "split": paper["split"]["given" if given_split else "random"],
    }
    if row.condition.startswith("batch "):
        tree["training"] = {**tree["training"], "batch_size": int(row.condition.removeprefix("batch "))}
    return changed(Experiment().completed(), tree)


def _strategy(row: Row, paper: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = row.strategy.removesuffix("+")
    settings = dict(paper["strategies"][kind])
    if kind != "plain":
        settings |= paper["perturbation"]
    if row.strategy.endswith("+"):
        settings |= paper["mixed"]
    of_data = paper["of_data"].get(row.dataset, {})
    return {"name": row.strategy, **settings, **{name: of_data[name] for name in settings if name in of_data}}


def _optimizer(row: Row, paper: Mapping[str, Any]) -> Mapping[str, Any]:
    name = row.condition if row.condition in paper["optimizers"] else "adam"
    return {"name": name, **paper["optimizers"][name]}
