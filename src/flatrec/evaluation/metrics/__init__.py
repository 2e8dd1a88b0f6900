"""Metrics of top-k lists: what each is, what it is computed from, and the table of all of them.

A new metric is a class in :mod:`ranking`, :mod:`beyond_accuracy`, :mod:`groups` or :mod:`sampled`, a row in
:mod:`registry`, and its test.
"""

from flatrec.evaluation.metrics.base import ExpectedMetric, Metric, PerUser, RandomOrder
from flatrec.evaluation.metrics.lists import EvaluationData, TopK
from flatrec.evaluation.metrics.registry import METRICS, find_metric, higher_is_better, resolve_metrics

__all__ = [
    "METRICS",
    "EvaluationData",
    "ExpectedMetric",
    "Metric",
    "PerUser",
    "RandomOrder",
    "TopK",
    "find_metric",
    "higher_is_better",
    "resolve_metrics",
]
