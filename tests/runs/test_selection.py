"""Which epoch is kept, and by which metric: tiny catalogs, and data without a validation part."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flatrec import load_run
from flatrec.api import fit, run_experiment
from flatrec.config import Component, Evaluation, Experiment, Training
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Interactions
from flatrec.data.loading import load_data
from flatrec.data.vocabulary import Vocabulary
from flatrec.evaluation.metrics import METRICS
from flatrec.research.comparison import compare
from flatrec.runs import selection
from flatrec.testing import block_dataset

CASES = Path(__file__).parents[3] / "shared" / "cases"
SHORT = Training(epochs=2, batch_size=32, loggers=())
LAST = SHORT.replace(select="last")


def with_left(left, n_items=100):
    """A user for each number, who has so many items left to rank, one of them in validation and one in test."""
    rows = [
        (user, item, {n_items - 1: 1, n_items - 2: 2}.get(item, 0))
        for user, number in enumerate(left)
        for item in [*range(n_items - number), *([n_items - 1, n_items - 2] if number > 1 else [])]
    ]
    users, items, parts = np.array(rows).T
    pairs = Interactions(users, items, parts, len(left), n_items)
    ids = [Vocabulary(kind, [str(n) for n in range(size)]) for kind, size in (("user", len(left)), ("item", n_items))]
    return Dataset("few", pairs, *ids)


def asked(monitor="recall@20", ks=(5, 10, 20), **training):
    return Experiment(training=Training(monitor=monitor, **training), evaluation=Evaluation(ks=ks))


@pytest.mark.parametrize(
    ("left", "monitor", "ks", "metric"),
    [
        ([21] * 4, "recall@20", (5, 10, 20), "recall@20"),
        ([20] * 4, "recall@20", (5, 10, 20), "recall@10"),
        ([19] * 4, "recall@20", (5, 10, 20), "recall@5"),
        ([20, 20, 90, 90], "recall@20", (5, 10, 20), "recall@10"),  # half of the users; the median is 55
        ([20, 90, 90], "recall@20", (5, 10, 20), "recall@20"),  # a third
        ([13] * 4, "hit_rate@20", (5, 10, 20), "hit_rate@5"),
        ([13] * 4, "precision@20", (20, 10, 5), "precision@5"),
        ([13] * 4, "ndcg@20", (5, 10, 20), "ndcg@20"),  # the order counts
        ([13] * 4, "map@20", (5, 10, 20), "map@20"),
        ([13] * 4, "recall@10", (5, 10, 20), "recall@10"),
        ([8] * 4, "recall@20", (5, 10, 20), "recall@5"),  # none is at most 4; five of eight say something still
        ([13] * 4, "recall@20", (10, 12, 20), "recall@10"),
        ([5] * 4, "recall@20", (5, 10, 20), "ndcg@20"),  # no cut says anything
        ([13] * 4, "recall@20", (20,), "ndcg@20"),
        ([13] * 4, "recall@20", (15, 20), "ndcg@20"),
        ([3, 3, 90, 90], "recall@20", (5, 20), "ndcg@20"),  # half of the median is 23, but five are too many for half
    ],
)
def test_a_metric_that_cannot_tell_epochs_apart_gives_way_to_one_that_can(left, monitor, ks, metric):
    found = selection.monitored(asked(monitor, ks), with_left(left))
    assert found.metric == metric
    assert bool(found.reason) == (metric != monitor)


def test_the_sentence_says_what_was_seen_and_what_is_done():
    experiment = asked()
    (sentence,) = selection.choice_warnings(experiment, with_left([13, 13, 13]))
    assert sentence == (
        "recall@20 cannot tell epochs apart on 'few': 3 of 3 users have at most 20 items left to rank; recall@5 is "
        "monitored instead"
    )
    assert selection.monitored(experiment, with_left([13, 13, 90])).reason.startswith(
        "recall@20 can hardly tell epochs apart on 'few': 2 of 3 users"
    )
    assert selection.choice_warnings(experiment, with_left([30, 30])) == ()


def test_users_without_a_validation_pair_do_not_count():
    assert selection.monitored(asked(), with_left([1, 1, 1, 1, 90])).metric == "recall@20"
    assert selection.monitored(asked(), with_left([1, 1, 1, 1, 13])).metric == "recall@5"


def test_what_monitors_depends_on_no_strategy_model_or_seed():
    data = with_left([13] * 4)
    found = {
        selection.monitored(asked().replace(model=Component(m), strategy=Component(s), seed=n), data)
        for m, s, n in [("bpr", "plain", 0), ("freedom", "bsam+", 1), ("lightgcn", "mg", 2)]
    }
    assert len(found) == 1


@pytest.mark.parametrize("monitor", ["recall", "recall@", "recall@x", "recall@7", "gini@5", ""])
def test_what_is_no_metric_is_refused_in_one_line(monitor):
    data = with_left([13] * 4)
    ks = tuple(range(1, 400, 3))
    with pytest.raises(ValueError, match="training.monitor must be one of .* evaluation.ks") as caught:
        selection.check(asked(monitor, tuple(cut for cut in ks if cut != 7)), data)
    assert len(str(caught.value)) < 300


def chosen(*metrics, monitor="recall@20", **options):
    return Experiment(training=Training(monitor=monitor), evaluation=Evaluation(metrics=metrics, **options))


def test_every_chosen_metric_can_be_monitored():
    data = with_left([90] * 4)
    for name in METRICS:
        selection.check(chosen(name, monitor=f"{name}@5"), data)
    selection.check(asked("item_coverage@5"), data)


def test_a_metric_of_unordered_lists_gives_way_to_ndcg_only_where_that_is_computed():
    few = with_left([5] * 4)
    assert selection.monitored(chosen("gini", "ndcg", monitor="gini@20"), few).metric == "ndcg@20"
    found = selection.monitored(chosen("gini", monitor="gini@20"), few)
    assert found.metric == "gini@20"
    assert found.reason.endswith("; add ndcg to evaluation.metrics")
    assert selection.monitored(chosen("mrr", monitor="mrr@20"), few) == selection.Monitor("mrr@20")


def test_a_metric_that_needs_features_is_refused_before_training_where_there_are_none():
    with pytest.raises(ValueError, match="intra_list_diversity compares items by their features, but the data have"):
        fit(with_left([90] * 4), "bpr", "plain", evaluation=Evaluation(metrics=("intra_list_diversity",)))


def test_a_monitor_that_is_defined_for_nobody_is_one_line():
    data = block_dataset(blocks=3, users=8, items=6)  # all users are equally active
    settings = SHORT.replace(monitor="recall_mid_activity@5")
    with pytest.raises(ValueError, match="recall_mid_activity@5 is not defined for any user of the validation split"):
        fit(data, "bpr", "plain", training=settings, evaluation=Evaluation(metrics=("recall_mid_activity",)))
    last = fit(data, "popularity", evaluation=Evaluation(metrics=("recall", "recall_mid_activity"))).result
    assert "recall_mid_activity@5" not in last["test"]
    assert last["undefined"]["test"]["recall_mid_activity@5"] == 24


@pytest.mark.parametrize(("monitor", "best"), [("gini@5", min), ("recall@5", max)])
def test_the_best_epoch_follows_the_direction_of_the_monitor(two_tastes, monitor, best, tmp_path):
    settings = Training(epochs=8, patience=8, monitor=monitor, loggers=())
    options = {"evaluation": Evaluation(metrics=("recall", "ndcg", "gini")), "model_settings": {"embedding_dim": 4}}
    run = fit(two_tastes, "lightgcn", "plain", training=settings, out=tmp_path / "run", seed=2, **options)
    scores = [
        (one["valid"][monitor], one["valid"]["ndcg@5"])
        for one in map(json.loads, (tmp_path / "run" / "epochs.jsonl").read_text().splitlines())
    ]
    assert run.result["valid"][monitor] == best(score for score, _ in scores)
    assert len({score for score, _ in scores}) > 1
    equal = [ndcg for score, ndcg in scores if score == run.result["valid"][monitor]]
    assert scores[run.result["best_epoch"] - 1][1] == max(equal)


def test_unknown_users_and_items_are_counted_in_the_result(tmp_path):
    data = block_dataset(blocks=3, users=8, items=6)
    splits = data.interactions.splits.copy()
    splits[(data.interactions.users == 0) & (splits == 0)] = 1  # nothing in training
    splits[(data.interactions.items == 7) & (splits == 0)] = 2
    data = replace(data, interactions=replace(data.interactions, splits=splits))
    test_users, test_items = data.interactions.indices("test")
    assert 0 in test_users
    results = [
        fit(data, "popularity", evaluation=Evaluation(unknown_users=which), out=tmp_path / which).result
        for which in ("include", "exclude")
    ]
    for result in results:
        assert result["data"]["users_without_training"]["test"] == 1
        assert result["data"]["interactions_with_unknown_items"]["test"] == int((test_items == 7).sum()) > 0
    included, excluded = (load_run(tmp_path / which, data).evaluate("test") for which in ("include", "exclude"))
    assert set(included.users.tolist()) - set(excluded.users.tolist()) == {0}
    assert excluded.metrics == results[1]["test"] != included.metrics == results[0]["test"]


@pytest.fixture(scope="module")
def two_tastes():
    """Sixty users of two groups with a taste each: five of nine items in training, so 13 of 18 left to rank."""
    random = np.random.default_rng(0)
    rows = [
        (user, 9 * (user % 2) + item, part)
        for user in range(60)
        for item, part in zip(random.permutation(9)[:7].tolist(), [0] * 5 + [1, 2], strict=True)
    ]
    users, items, parts = np.array(rows).T
    ids = [Vocabulary(kind, [str(n) for n in range(size)]) for kind, size in (("user", 60), ("item", 18))]
    return Dataset("two tastes", Interactions(users, items, parts, 60, 18), *ids)


def lightgcn(data, seed=0, **training):
    settings = Training(**{"epochs": 60, "loggers": [], **training})
    options = {"embedding_dim": 16}
    return fit(data, "lightgcn", "bsam+", model_settings=options, optimizer_settings={"lr": 0.01}, training=settings,
               seed=seed)  # fmt: skip


def test_on_a_tiny_catalog_the_trained_model_is_kept_and_not_that_of_the_first_epoch(two_tastes, caplog):
    default, explicit = lightgcn(two_tastes), lightgcn(two_tastes, monitor="recall@5")
    assert default.result["monitor"] == "recall@5"
    assert default.result["settings"]["training"]["monitor"] == "recall@20"
    assert default.result["best_epoch"] == explicit.result["best_epoch"] > 1
    assert default.result["test"] == explicit.result["test"]
    assert default.result["test"]["recall@5"] > 1.3 * 5 / 13  # better than chance, which the first epoch is not
    assert caplog.text.count("recall@5 is monitored instead") == 1


@pytest.mark.skipif(not (CASES / "F03-saturated-monitor").is_dir(), reason="the cases are not here")
@pytest.mark.parametrize("name", ["small_18", "small_24", "small_32", "core0"])
def test_known_tiny_catalogs_keep_a_trained_model(name, tmp_path):
    for path in (CASES / "F03-saturated-monitor" / name).iterdir():  # core0 was described with the former name of a key
        (tmp_path / path.name).write_bytes(path.read_bytes().replace(b"\ncore=", b"\nk_core="))
    data = load_data(tmp_path)
    run = fit(data, "lightgcn", "bsam+", optimizer_settings={"lr": 0.005}, training=Training(loggers=()))
    assert run.result["monitor"] == {"small_32": "recall@10"}.get(name, "recall@5")
    assert run.result["best_epoch"] > 1
    if name == "small_18":
        assert run.result["test"]["recall@5"] > 0.8


def test_a_comparison_says_it_once_and_monitors_the_same_everywhere(two_tastes, tmp_path, caplog):
    experiment = Experiment(data="", model=Component("bpr", {"embedding_dim": 4}), training=SHORT)
    compare(experiment, ["plain", "bsam"], [0, 1], tmp_path, dataset=two_tastes)
    assert caplog.text.count("monitored instead") == 1
    results = [json.loads(path.read_text()) for path in tmp_path.rglob("result.json")]
    assert [selection.monitor_of(one) for one in results] == ["recall@5"] * 4
    assert [selection.score_of(one) for one in results] == [one["valid"]["recall@5"] for one in results]


def without(part, data=None):
    data = data or block_dataset(blocks=3, users=8, items=6)
    parts = data.interactions.splits.copy()
    parts[parts == part] = 0
    return replace(data, interactions=replace(data.interactions, splits=parts))


def test_data_without_a_validation_part_are_trained_to_the_last_epoch(tmp_path):
    data = without(1)
    experiment = Experiment(data="", model=Component("bpr", {"embedding_dim": 4}), training=LAST)
    first = run_experiment(experiment, data, tmp_path / "run").result
    assert (first["selected"], first["monitor"], first["valid"]) == ("last", None, {})
    assert (first["best_epoch"], first["epochs"]) == (2, 2)
    longer = experiment.replace(training=LAST.replace(epochs=3))
    resumed = run_experiment(longer, data, tmp_path / "run", resume=True)
    whole = run_experiment(longer, data)
    assert resumed.result["test"] == whole.result["test"]
    assert load_run(tmp_path / "run", data).evaluate("test").metrics == whole.result["test"]
    assert len(load_run(tmp_path / "run", data).recommend("user 0", 3)[0]) == 3
    with pytest.raises(ValueError, match="settings are chosen by validation, but the validation split"):
        selection.score_of(first)


def test_more_epochs_may_follow_where_nothing_is_evaluated_out_of_turn(tmp_path):
    experiment = Experiment(
        data="", model=Component("bpr", {"embedding_dim": 4}), training=LAST.replace(evaluate_every=5)
    )
    run_experiment(experiment, without(1), tmp_path)
    longer = experiment.replace(training=experiment.training.replace(epochs=3))
    assert run_experiment(longer, without(1), tmp_path, resume=True).result["epochs"] == 3


def test_data_with_a_training_part_alone_are_trained_and_recommend():
    data = without(1, without(2))
    run = fit(data, "bpr", "plain", training=LAST)
    assert (run.result["valid"], run.result["test"]) == ({}, {})
    assert len(run.recommend("user 0", 3)[0]) == 3


def test_the_message_names_the_way_out():
    with pytest.raises(ValueError, match="--set training.select=last --set training.epochs=N"):
        fit(without(1), "bpr", training=SHORT)


def test_validation_is_recorded_but_does_not_decide_where_the_last_is_selected():
    data = block_dataset(blocks=3, users=8, items=6)
    training = LAST.replace(epochs=6, patience=1)
    run = fit(data, "lightgcn", "bsam+", training=training, model_settings={"embedding_dim": 4})
    assert (run.result["best_epoch"], run.result["epochs"], run.result["selected"]) == (6, 6, "last")
    assert run.result["valid"]


def test_a_comparison_needs_no_validation_part_where_the_last_is_selected(tmp_path):
    experiment = Experiment(data="", model=Component("bpr", {"embedding_dim": 4}), training=LAST)
    table = compare(experiment, ["plain", "bsam"], [0, 1], tmp_path, dataset=without(1))
    assert "recall@20" in table.metrics["plain"]


@pytest.mark.parametrize(("epochs", "said"), [(Training().epochs, 1), (7, 0)])
def test_the_default_number_of_epochs_is_not_taken_silently(epochs, said):
    found = selection.choice_warnings(asked(select="last", epochs=epochs), with_left([90]))
    assert len(found) == said
    assert all("1000" in one for one in found)


def test_baselines_need_no_validation_part_and_select_no_epoch():
    run = fit(without(1), "popularity")
    assert (run.result["selected"], run.result["monitor"]) == (None, None)
    assert run.result["test"]


def returning(mask):
    """Users of whom two come back in test to what they have in training, one of them to what is in validation."""
    rows = np.array([(0, 0, 0), (0, 0, 2), (0, 1, 1), (0, 1, 2), (1, 1, 0), (1, 2, 1), (1, 0, 2), (1, 1, 2), (2, 0, 0)])
    ids = [Vocabulary(kind, ["0", "1", "2"]) for kind in ("user", "item")]
    dataset = Dataset("shop", Interactions(*rows.T, 3, 3, repeats=True), *ids)
    return selection.mask_warning(Evaluation(mask=mask), dataset)


@pytest.mark.parametrize(("mask", "hidden"), [("train", 2), ("train+valid", 3)])
def test_repeats_that_the_mask_hides_are_counted_in_a_warning(mask, hidden):
    said = returning(mask)
    assert said.startswith(f'{hidden} of the 4 test interactions are with items that evaluation.mask = "{mask}" never ')
    assert said.endswith('set evaluation.mask = "none" to rank them')


def test_repeats_in_validation_are_counted_too():
    rows = np.array([(0, 0, 0), (0, 0, 1), (0, 1, 1), (1, 1, 0), (1, 0, 2), (0, 2, 2)])
    ids = [Vocabulary(kind, ["0", "1", "2"]) for kind in ("user", "item")]
    dataset = Dataset("shop", Interactions(*rows.T, 3, 3, repeats=True), *ids)
    said = selection.mask_warning(Evaluation(), dataset)
    assert said.startswith('1 of the 2 valid interactions are with items that evaluation.mask = "train" never')


def test_without_a_mask_or_repeats_there_is_no_such_warning():
    assert not returning("none")
    assert not selection.mask_warning(Evaluation(), block_dataset())


@pytest.mark.parametrize("model", ["popularity", "bpr"])
def test_a_run_says_that_repeats_are_hidden(model, caplog):
    rows = [(user, item, split) for user in range(4) for item, split in ((0, 0), (1, 0), (2, 1), (0, 2), (3, 2))]
    users, items, splits = np.array(rows).T
    ids = [Vocabulary("user", list("abcd")), Vocabulary("item", list("0123456"))]
    dataset = Dataset("shop", Interactions(users, items, splits, 4, 7, repeats=True), *ids)
    short = SHORT.replace(monitor="ndcg@2")
    run = fit(dataset, model, "plain", training=short, evaluation=Evaluation(ks=(2,)))
    (said,) = [text for text in (record.getMessage() for record in caplog.records) if "evaluation.mask" in text]
    assert said in run.result["warnings"]
    caplog.clear()
    fit(dataset, model, "plain", training=short, evaluation=Evaluation(ks=(2,), mask="none"))
    assert "evaluation.mask" not in caplog.text
