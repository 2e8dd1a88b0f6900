"""Which epoch of a run is kept, and by which validation metric: known from settings and data, before training.

Recall, precision and hit rate at K are the same for every order of at most K items. Where most users have no more
left to rank, such a metric is equal in every epoch, and the first epoch would be taken for the best.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from flatrec.config import Evaluation, Experiment, Training
from flatrec.data.dataset import Dataset
from flatrec.evaluation import seen_mask
from flatrec.evaluation.evaluate import check_features
from flatrec.evaluation.metrics import resolve_metrics
from flatrec.evaluation.scored_users import scored_interactions
from flatrec.runs import weights

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Monitor:
    """The validation metric that decides.

    Args:
        metric: its name, such as ``recall@20``.
        reason: a sentence for the user where it is another than ``training.monitor``; else empty.
    """

    metric: str
    reason: str = ""


def monitored(experiment: Experiment, dataset: Dataset) -> Monitor:
    """The metric that decides for an experiment on a data set, whatever its model, strategy and seed.

    It is ``training.monitor``, unless that does not see the order of a list and at least half of the validation's
    users have no more items left to rank than its K. Then it is the same metric at the largest of ``evaluation.ks``
    that is at most half of the median number of items left; at the smallest of the ks that half of the users exceed,
    where none is that small; and NDCG at the same K, which sees the order, where no K will do and it is computed.
    """
    asked, ks = experiment.training.monitor, experiment.evaluation.ks
    name, _, text = asked.partition("@")
    metrics = resolve_metrics(experiment.evaluation.metrics)
    left = _left_to_rank(experiment, dataset)
    if (
        asked not in _metrics(experiment.evaluation)
        or metrics[name].depends_on_order
        or not _blind(k := int(text), left)
    ):
        return Monitor(asked)
    smaller = [other for other in ks if other < k and not _blind(other, left)]
    fitting = [other for other in smaller if other <= np.median(left) / 2]
    chosen = max(fitting) if fitting else min(smaller, default=None)
    metric = f"{name}@{chosen}" if chosen is not None else f"ndcg@{k}" if "ndcg" in metrics else asked
    done = "add ndcg to evaluation.metrics" if metric == asked else f"{metric} is monitored instead"
    few = int((left <= k).sum())
    return Monitor(
        metric,
        f"{asked} {'cannot' if few == len(left) else 'can hardly'} tell epochs apart on {dataset.name!r}: {few} of "
        f"{len(left)} users have at most {k} items left to rank; {done}",
    )


def _left_to_rank(experiment: Experiment, dataset: Dataset) -> Int[ndarray, "n_users"]:
    """How many items each user of the validation split can be recommended."""
    users = np.unique(scored_interactions(dataset, experiment.evaluation.users).indices("valid")[0])
    hidden = seen_mask(dataset.interactions, "valid", experiment.evaluation.mask)
    left: ndarray = dataset.n_items - np.diff(hidden.indptr)[users].astype(np.int64)
    return left


def _blind(k: int, left: Int[ndarray, "n_users"]) -> bool:
    """Whether a list of k holds all that is left for at least half of the users."""
    return len(left) > 0 and 2 * int((left <= k).sum()) >= len(left)


def _metrics(evaluation: Evaluation) -> list[str]:
    return [f"{name}@{k}" for k in evaluation.ks for name in resolve_metrics(evaluation.metrics)]


def check_metrics(experiment: Experiment, dataset: Dataset) -> None:
    """Make sure that the metrics of an experiment can be computed for a data set.

    Raises:
        ValueError: a metric is unknown or not named in this process, or needs features and there are none.
    """
    check_features(resolve_metrics(experiment.evaluation.metrics), dataset.features)


def check(experiment: Experiment, dataset: Dataset) -> None:
    """Make sure that an epoch can be chosen.

    Raises:
        ValueError: the best epoch is asked for, but there is no validation split or no such metric.
    """
    if experiment.training.select == "last":
        return
    if not scored_interactions(dataset, experiment.evaluation.users).count("valid"):
        raise ValueError(
            f"the validation split of {dataset.name!r} has no interaction{_of(experiment)}, but the best epoch is "
            "chosen by it; "
            "split again, or train N epochs and keep the last (--set training.select=last --set training.epochs=N)"
        )
    if experiment.training.monitor not in _metrics(experiment.evaluation):
        ks, names = experiment.evaluation.ks, resolve_metrics(experiment.evaluation.metrics)
        raise ValueError(
            f"training.monitor must be one of {', '.join(names)} at one of evaluation.ks "
            f"({', '.join(map(str, ks[:10]))}), such as {next(iter(names))}@{ks[0]}, but is "
            f"{experiment.training.monitor!r}; add its K to evaluation.ks or its name to evaluation.metrics, or choose "
            "another"
        )


def _of(experiment: Experiment) -> str:
    """Return whose interactions an evaluation reads; nothing if they are those of all users."""
    return "" if experiment.evaluation.users == "all" else f" of {experiment.evaluation.users}"


def choice_warnings(experiment: Experiment, dataset: Dataset) -> tuple[str, ...]:
    """What a user should know, before training, of the chosen epoch, its score and unused weights; most often nothing.

    It is of a model that is trained, not of a baseline.
    """
    training = experiment.training
    warnings = [
        weights.ignored(experiment, dataset),
        monitored(experiment, dataset).reason,
        mask_warning(experiment.evaluation, dataset),
    ]
    if training.select == "last" and training.epochs == Training().epochs:
        warnings.append(
            f"training.select is last and training.epochs is left at {training.epochs}: so many epochs are trained, "
            "and the last is kept"
        )
    return tuple(filter(None, warnings))


def mask_warning(evaluation: Evaluation, dataset: Dataset) -> str:
    """Return a sentence if the mask hides items that users come back to; else an empty text."""
    interactions = dataset.interactions
    if not interactions.repeats:
        return ""
    hidden = []
    for split in ("valid", "test"):
        mask = seen_mask(interactions, split, evaluation.mask)
        repeats = int(mask.multiply(interactions.matrix(split)).astype(bool).sum())
        if repeats:
            hidden.append(f"{repeats} of the {interactions.count(split)} {split} interactions")
    if not hidden:
        return ""
    return (
        f'{" and ".join(hidden)} are with items that evaluation.mask = "{evaluation.mask}" never ranks for their '
        'users, and count as misses; set evaluation.mask = "none" to rank them'
    )


def log_warnings(warnings: Iterable[str]) -> None:
    """Log each of some warnings once; commands of many runs do so before the first."""
    for warning in dict.fromkeys(warnings):
        logger.warning("%s", warning)


def monitor_of(result: Mapping[str, Any]) -> str:
    """The metric that decided in a finished run, given its ``result.json``."""
    monitor: str = result.get("monitor") or result["settings"]["training"]["monitor"]
    return monitor


def score_of(result: Mapping[str, Any]) -> float:
    """The validation score, of the epoch that was kept, by which finished runs on the same data are compared.

    Raises:
        ValueError: the run's data have no validation split.
    """
    if not result["valid"]:
        raise ValueError(
            f"settings are chosen by validation, but the validation split of {result['data']['name']!r} has no "
            "interaction; split again"
        )
    return float(result["valid"][monitor_of(result)])


def tie_breaker_of(result: Mapping[str, Any]) -> float | None:
    """NDCG at the K of the metric that decided, which tells runs of equal scores apart."""
    _, _, k = monitor_of(result).partition("@")
    score = result["valid"].get(f"ndcg@{k}")
    return None if score is None else float(score)
