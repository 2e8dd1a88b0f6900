"""All metrics by name, and those that a user chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flatrec.evaluation.metrics.base import Metric
from flatrec.evaluation.metrics.beyond_accuracy import (
    AveragePopularity,
    Gini,
    IntraListDiversity,
    ItemCoverage,
    Novelty,
)
from flatrec.evaluation.metrics.groups import HighActivityRecall, LowActivityRecall, MidActivityRecall, TailRecall
from flatrec.evaluation.metrics.ranking import NDCG, AveragePrecision, HitRate, Precision, Recall, ReciprocalRank
from flatrec.evaluation.metrics.sampled import SampledHitRate, SampledNDCG
from flatrec.utils import user_classes
from flatrec.utils.messages import unknown

METRICS: Mapping[str, Metric] = {
    "recall": Recall(),
    "ndcg": NDCG(),
    "precision": Precision(),
    "map": AveragePrecision(),
    "hit_rate": HitRate(),
    "item_coverage": ItemCoverage(),
    "avg_popularity": AveragePopularity(),
    "mrr": ReciprocalRank(),
    "gini": Gini(),
    "novelty": Novelty(),
    "intra_list_diversity": IntraListDiversity(),
    "tail_recall": TailRecall(),
    "recall_low_activity": LowActivityRecall(),
    "recall_mid_activity": MidActivityRecall(),
    "recall_high_activity": HighActivityRecall(),
    "sampled_hit_rate": SampledHitRate(),
    "sampled_ndcg": SampledNDCG(),
}


def resolve_metrics(chosen: Sequence[str | type[Metric]]) -> dict[str, Metric]:
    """Return the chosen metrics by the name that results have for them: a class of the user's by its own name.

    Args:
        chosen: names of ``METRICS``; classes of the user's, or their places, where they were named in this process.

    Raises:
        ValueError: there is no such metric, a class was not named, or two have the same name.
    """
    metrics: dict[str, Metric] = {}
    for one in chosen:
        name, metric = _resolve(one)
        if name in metrics or (name in METRICS and METRICS[name] is not metric):
            raise ValueError(f"two metrics are called {name}; leave one out, or give your class another name")
        metrics[name] = metric
    return metrics


def _resolve(one: str | type[Metric]) -> tuple[str, Metric]:
    if isinstance(one, str) and one in METRICS:
        return one, METRICS[one]
    if isinstance(one, str) and not user_classes.is_own(one):
        raise ValueError(f"{unknown('metric', one, list(METRICS))}; or give your own as file.py:Class")
    kind = one if isinstance(one, type) else user_classes.find(one)
    if kind is None:
        place = user_classes.parsed(str(one)).place
        raise ValueError(
            f"metric {place} is a class of your own, whose code is run only where you name it; add --metric {place}, "
            f"or to train --set 'evaluation.metrics=[..., \"{place}\"]'"
        )
    ours = next((name for name, metric in METRICS.items() if type(metric) is kind), None)
    return (ours, METRICS[ours]) if ours else (kind.__name__, checked_class(kind)())


def checked_class(kind: type) -> type[Metric]:
    """Return a class of the user's, if it is a metric.

    Raises:
        ValueError: it is no subclass of ``Metric``, states no direction, or lacks ``compute``.
    """
    if not issubclass(kind, Metric):
        bases = ", ".join(base.__name__ for base in kind.__bases__)
        raise ValueError(
            f"{kind.__name__} must be a subclass of flatrec.evaluation.Metric, but is a class derived from {bases}"
        )
    if not isinstance(getattr(kind, "higher_is_better", None), bool):
        raise ValueError(
            f"{kind.__name__} must say whether higher is better; write higher_is_better = True (or False) in the class"
        )
    if kind.__abstractmethods__:
        raise ValueError(f"{kind.__name__} must define {', '.join(sorted(kind.__abstractmethods__))}(self, lists)")
    return kind


def find_metric(name: str) -> Metric | None:
    """Return the metric of a result's name, such as ``recall@20`` or ``recall``; None if it is not known here."""
    name = name.partition("@")[0]
    if name in METRICS:
        return METRICS[name]
    own = [kind for kind in user_classes.classes_called(name) if issubclass(kind, Metric)]
    return checked_class(own[0])() if own else None


def higher_is_better(name: str) -> bool:
    """Return True if a higher value of a metric, such as ``gini@20``, is the better one.

    Raises:
        ValueError: the metric is not known in this process.
    """
    metric = find_metric(name)
    if metric is None:
        raise ValueError(
            f"it is not known whether higher is better in {name!r}; if it is your own metric, name its class again"
        )
    return metric.higher_is_better
