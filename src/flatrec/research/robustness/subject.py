"""What a robustness card is of: a trained run, or vectors of users and items that any library made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray

from flatrec.config import Evaluation, Experiment
from flatrec.data.dataset import Dataset
from flatrec.data.features import as_float32
from flatrec.data.interactions import Split
from flatrec.evaluation import evaluate_scorer
from flatrec.evaluation.metrics import resolve_metrics
from flatrec.evaluation.scored_users import scored_interactions
from flatrec.inference.run import Run
from flatrec.models.scoring import Scoring, Vectors
from flatrec.registry.naming import available_metrics
from flatrec.utils.messages import message


@dataclass(frozen=True, eq=False)
class Subject:
    """What is disturbed.

    Args:
        name: name in reports.
        dataset: data by which it is scored.
        evaluation: metrics, list lengths and what is never recommended.
        split: split that is scored.
        scoring: undisturbed scores.
        run: trained run; None where only vectors are known.
        experiment: settings of the run.
    """

    name: str
    dataset: Dataset
    evaluation: Evaluation
    split: Split
    scoring: Scoring
    run: Run | None = None
    experiment: Experiment | None = None

    @classmethod
    def of_run(cls, run: Run, experiment: Experiment, name: str, *, split: Split = "test") -> Subject:
        """Return the subject of a trained run."""
        return cls(name, run.dataset, evaluation_of(run), split, scoring_of(run), run, experiment)

    @classmethod
    def of_vectors(
        cls, vectors: Vectors, dataset: Dataset, evaluation: Evaluation, name: str, *, split: Split = "test"
    ) -> Subject:
        """Return the subject of vectors, one per user and item of a data set, in the order of their indices.

        Raises:
            ValueError: the numbers of rows are not those of the data set.
        """
        for what, rows, expected in (
            ("users", vectors.users, dataset.n_users),
            ("items", vectors.items, dataset.n_items),
        ):
            if len(rows) != expected:
                raise ValueError(
                    f"expected {expected} vectors of {what}, one for each in {dataset.name!r}, but got {len(rows)}; "
                    "give one row per index of the data set"
                )
        return cls(name, dataset, evaluation, split, vectors)

    def metric_names(self) -> list[str]:
        """Return the names of the metrics that scores have, such as ``recall@10``."""
        chosen = resolve_metrics(available_metrics(self.evaluation.metrics))
        return [f"{name}@{k}" for k in self.evaluation.ks for name in chosen]

    def scores(self, scoring: Scoring) -> dict[str, float]:
        """Return metrics of scores on the data and the split."""
        return scores_of(scoring, self.dataset, self.evaluation, self.split)


def evaluation_of(run: Run) -> Evaluation:
    """Return the settings by which a run is evaluated."""
    return Evaluation(
        ks=tuple(run.ks),
        mask=run.mask,
        metrics=tuple(run.metrics),
        unknown_users=run.unknown_users,
        users=run.users,
        sampled_negatives=run.sampled_negatives,
    )


def scoring_of(run: Run) -> Scoring:
    """Return how a run scores, without gradients."""
    scoring = run.scoring()
    return Vectors(scoring.users.detach(), scoring.items.detach()) if isinstance(scoring, Vectors) else scoring


def scores_of(scoring: Scoring, dataset: Dataset, evaluation: Evaluation, split: Split) -> dict[str, float]:
    """Return metrics of any scores."""
    result = evaluate_scorer(
        scoring.scores,
        scored_interactions(dataset, evaluation.users),
        split=split,
        ks=evaluation.ks,
        mask=evaluation.mask,
        metrics=available_metrics(evaluation.metrics),
        unknown_users=evaluation.unknown_users,
        features=dataset.features,
        sampled_negatives=evaluation.sampled_negatives,
        released_negatives=dataset.released_negatives,
    )
    return dict(result.metrics)


def read_vectors(users: Path, items: Path) -> Vectors:
    """Read vectors of users and items from ``.npy`` files; nothing is unpickled.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file is no finite matrix of floating-point numbers, or the two differ in width.
    """
    of_users, of_items = (torch.from_numpy(_matrix(path)) for path in (users, items))
    if of_users.shape[1] != of_items.shape[1]:
        raise ValueError(
            f"{users} and {items} must hold vectors of the same width, but have {of_users.shape[1]} and "
            f"{of_items.shape[1]} columns"
        )
    return Vectors(of_users, of_items)


def _matrix(path: Path) -> Float32[ndarray, "n dim"]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; give a .npy file with one row per user or item")
    try:
        with path.open("rb") as file:
            values = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} cannot be read as .npy ({message(error)}); write it by numpy.save") from None
    if values.ndim != 2 or not values.size or values.dtype.kind != "f":
        raise ValueError(
            f"{path} must be a matrix of floating-point numbers with one row per user or item, but has shape "
            f"{values.shape} and type {values.dtype}"
        )
    matrix = np.ascontiguousarray(as_float32(values))
    if bad := int((~np.isfinite(matrix).all(axis=1)).sum()):
        raise ValueError(f"{path} must be finite in float32, but {bad} of {len(matrix)} rows hold NaN or infinity")
    return matrix
