import numpy as np
import pytest
import torch

from flatrec.config import DEFAULT_METRICS, Component, Evaluation, Experiment, Training
from flatrec.evaluation import Metric, evaluate, evaluate_scorer
from flatrec.evaluation.metrics import METRICS, higher_is_better, resolve_metrics
from flatrec.inference.cold_start.baselines import expected_at_random
from flatrec.registry.naming import import_metrics
from flatrec.research.reporting.formats import metric_name
from flatrec.runs import selection
from flatrec.testing import block_dataset
from flatrec.utils import user_classes

DATA = block_dataset(blocks=2, users=4, items=6)
SCORES = torch.rand(8, 12, generator=torch.Generator().manual_seed(0))


class FirstItem(Metric):
    """Index of the first item."""

    title = "First item"
    higher_is_better = False

    def compute(self, lists):
        return lists.items[:, 0].double()


def evaluated(**options):
    return evaluate_scorer(lambda block: SCORES[block], DATA.interactions, split="test", ks=(1, 3), **options)


def returning(value):
    class Returning(Metric):
        higher_is_better = True

        def compute(self, lists):  # noqa: ARG002 - an error or a constant
            if isinstance(value, Exception):
                raise value
            return value

    return Returning


def test_every_metric_says_what_it_is_in_one_sentence():
    for name, metric in METRICS.items():
        assert isinstance(metric.higher_is_better, bool)
        assert metric.title, name
        assert metric.definition.endswith("."), name
        assert metric.definition.count(". ") == 0, name
    assert len({metric.title for metric in METRICS.values()}) == len(METRICS)
    assert {name for name in METRICS if not higher_is_better(f"{name}@5")} == {"avg_popularity", "gini"}


def test_the_default_metrics_are_the_first_seven():
    assert tuple(METRICS)[:7] == DEFAULT_METRICS
    assert [name.partition("@")[0] for name in evaluated().metrics][:7] == list(DEFAULT_METRICS)


def test_an_added_metric_is_computed_monitored_and_named_in_print(monkeypatch):
    monkeypatch.setitem(METRICS, "first_item", FirstItem())
    result = evaluated(metrics=("recall", "first_item"))
    assert result.metrics["first_item@3"] == pytest.approx(float(result.per_user["first_item@3"].mean()))
    assert list(result.metrics) == ["recall@1", "first_item@1", "recall@3", "first_item@3"]
    assert "first_item@3" not in expected_at_random(np.array([1]), np.array([4]), (3,))
    assert metric_name("first_item@3") == "First item@3"
    experiment = Experiment(
        model=Component("bpr"),
        training=Training(monitor="first_item@5"),
        evaluation=Evaluation(metrics=("recall", "first_item")),
    )
    selection.check(experiment, DATA)


def test_a_class_of_the_users_own_is_called_by_its_name():
    result = evaluated(metrics=("recall", FirstItem))
    assert result.metrics["FirstItem@1"] == float(result.per_user["FirstItem@1"].mean())
    (name,) = Evaluation(metrics=[FirstItem]).metrics
    assert name.partition("@")[0].endswith("test_registry:FirstItem")
    assert evaluated(metrics=[name]).metrics == {key: result.metrics[key] for key in ("FirstItem@1", "FirstItem@3")}
    assert metric_name("FirstItem@3") == "First item@3"
    assert not higher_is_better("FirstItem@3")


def test_a_class_that_was_given_itself_is_not_imported_from_its_file_again(monkeypatch):
    (name,) = Evaluation(metrics=[FirstItem]).metrics
    monkeypatch.setattr(user_classes, "imported", lambda place: pytest.fail(f"{place} is run a second time"))
    assert import_metrics([name]) == (name,)


def test_a_class_of_the_library_has_its_own_name():
    assert list(resolve_metrics([type(METRICS["mrr"])])) == ["mrr"]


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (("recal",), "unknown metric 'recal'.*recall"),
        (("recall", "recall"), "two metrics are called recall"),
        ((FirstItem, FirstItem), "two metrics are called FirstItem"),
        (("gone.py:Mine@0123456789abcdef",), "code is run only where you name it"),
        ((type("Undecided", (FirstItem,), {"higher_is_better": None}),), "Undecided must say whether higher is better"),
        ((type("Idle", (Metric,), {"higher_is_better": True}),), r"Idle must define compute\(self, lists\)"),
        ((type("recall", (FirstItem,), {}),), "two metrics are called recall"),
        ((), "metrics must name at least one metric"),
        (("intra_list_diversity",), "intra_list_diversity compares items by their features, but the data have none"),
        ((returning(None),), "Returning must return a tensor .* per user, here 8, .* but returned None"),
        ((returning(torch.zeros(3)),), r"but returned a tensor of shape \(3,\)"),
        ((returning(float("inf")),), "but returned inf"),
        ((returning(float("nan")),), "Returning returned NaN for all lists together"),
        ((returning(KeyError("x")),), "metric Returning raised KeyError: 'x'"),
    ],
)
def test_what_cannot_be_computed_is_refused_in_one_line(metrics, message):
    with pytest.raises(ValueError, match=message) as caught:
        evaluated(metrics=metrics)
    assert "\n" not in str(caught.value)


def test_embeddings_are_evaluated_by_chosen_metrics_with_features():
    scores = evaluate(
        SCORES, np.eye(12), DATA.interactions, ks=(3,), metrics=("intra_list_diversity",), features=DATA.features
    )
    assert list(scores.metrics) == ["intra_list_diversity@3"]


@pytest.mark.parametrize(("metrics", "message"), [([], "but there is none"), ("recall", "list"), ([3], "string")])
def test_settings_hold_a_list_of_names(metrics, message):
    with pytest.raises(ValueError, match=message):
        Evaluation(metrics=metrics)
