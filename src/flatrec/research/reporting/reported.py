"""What the paper prints, cell by cell, to be shown beside what is measured.

The paper is Xu et al., *Enhancing Robustness and Generalization Capability for Multimodal Recommender Systems via
Sharpness-Aware Minimization*, TKDE 2025 (https://doi.org/10.1109/TKDE.2025.3604242). The cells are in ``reported.csv``,
in our names: Tables II, IV, V, VI and VIII, as far as they can be read. A cell that a later table repeats is there
once, under the first. Decreases and improvements are left out, since they can be computed; so is what cannot be
attributed to a model, such as the Adagrad rows of Table VI. Tables III and VII are not there.

They are to look at, not to tune to: for most tables the paper states neither seeds nor the number of runs.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Case(NamedTuple):
    """What a cell is of, besides the metric.

    Args:
        dataset: name of the data set, in lower case.
        model: name of the model.
        strategy: name of the strategy.
        condition: what differs from the paper's usual run, as in :func:`reported`; empty where nothing does.
    """

    dataset: str
    model: str
    strategy: str
    condition: str = ""


@dataclass(frozen=True)
class Reported:
    """A cell of the paper.

    Args:
        value: of the metric.
        table: where it is printed, such as ``Table II``.
        suspect: it is missing or contradicts other cells; where another table has it, the value is from there.
    """

    value: float
    table: str
    suspect: bool


def reported(dataset: str, model: str, strategy: str, metric: str, *, condition: str = "") -> Reported | None:
    """What the paper prints for a case, or None where it prints nothing.

    Args:
        dataset: ``baby``, ``sports``, ``clothing``, ``pet`` or ``office``, in any case.
        model: as in ``flatrec.models.MODELS``.
        strategy: as ``flatrec list strategies`` shows it; what the paper trains without a strategy is ``plain``.
        metric: ``recall`` or ``ndcg``, ``@5`` or ``@10``.
        condition: what differs from the paper's usual run: Adam, batches of 2048, and no noise. ``batch 1024``,
            ``batch 2048`` or ``batch 4096`` (Table V); ``rmsprop`` (VI); ``features 1e-06``, ``features 1e-05`` or
            ``features 0.0001``: noise of that variance on the raw features (IV). There is nothing for any other.

    Example:
        >>> reported("Baby", "freedom", "bsam+", "recall@10")
        Reported(value=0.0661, table='Table II', suspect=False)
    """
    return _cells().get((Case(dataset.lower(), model, strategy, condition), metric))


def reported_cases(table: str) -> tuple[Case, ...]:
    """Return the cases of which a table is the first to print a cell, in the paper's order; there are none of others.

    Args:
        table: number of the table, such as ``II``.
    """
    return tuple(dict.fromkeys(case for (case, _), cell in _cells().items() if cell.table == f"Table {table}"))


@cache
def _cells() -> Mapping[tuple[Case, str], Reported]:
    text = files("flatrec.research.reporting").joinpath("reported.csv").read_text(encoding="utf-8")
    return {
        (Case(row["dataset"], row["model"], row["strategy"], row["condition"]), row["metric"]): Reported(
            float(row["value"]), f"Table {row['table']}", row["suspect"] == "1"
        )
        for row in csv.DictReader(text.splitlines())
    }
