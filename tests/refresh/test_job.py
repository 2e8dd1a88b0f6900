"""The nightly job as a whole: what is promoted, what is refused, and what stays in use."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

import flatrec
from flatrec.config import SplitSettings
from flatrec.inference.evaluation import evaluate_recommender
from flatrec.refresh import RefusedError, preview, refresh, steps
from flatrec.refresh.newest_days import newest_days
from flatrec.refresh.store import Store
from flatrec.utils.locks import InUseError, lock_folder
from tests.refresh.deliveries import KNN, NOW, Killed, current, deliver, events, history, run, settings_of


def test_the_first_generation_is_promoted_and_compared_with_the_most_popular_items(first):
    (line,) = history(first)
    assert (line["number"], line["outcome"], line["in_use"]) == (1, "promoted", None)
    assert "there was nothing to compare with" in line["reason"]
    assert "most popular items" in line["comparison"]["values"]
    assert current(first) == "generations/0001/final/recommender"


def test_the_recommender_in_use_knows_all_interactions(first):
    recommender = flatrec.load_recommender(first / "store" / "current")
    table = events(30).unique(["user", "item"])
    assert recommender.history.nnz == len(table)


def test_the_next_delivery_is_compared_with_the_candidate_of_the_one_in_use(shop):
    state = run(shop)
    assert (state.outcome, state.in_use, current(shop)) == ("promoted", 1, "generations/0002/final/recommender")
    assert state.comparison["reference"] == "recommender in use"
    dataset = flatrec.load_data(shop / "data" / "dataset.toml", SplitSettings(method="none"))
    split = newest_days(dataset, settings_of(shop, text=KNN).compare)
    former = flatrec.load_recommender(shop / "store" / "generations" / "0001" / "candidate")
    alone = evaluate_recommender(former, split, ks=(5,), metrics=("recall", "ndcg"))
    assert state.comparison["values"]["recommender in use"] == alone.metrics


def test_the_same_delivery_again_is_nothing_new(shop):
    run(shop)
    state = run(shop)
    assert (state.outcome, state.reason.partition(":")[0]) == ("kept", "nothing new")
    assert current(shop) == "generations/0002/final/recommender"
    assert list(state.seconds) == ["check"]


def test_other_item_columns_are_something_new(shop):
    run(shop)
    items = shop / "data" / "items.csv"
    items.write_text(items.read_text().replace("i1,1.5", "i1,9.5"))
    assert run(shop).outcome == "promoted"
    assert flatrec.load_recommender(shop / "store" / "current").catalog.columns["price"][1] == 9.5


def test_the_same_delivery_with_other_settings_is_new(shop):
    run(shop)
    text = KNN.replace("margin = 0.9", "margin = 0.8")
    assert refresh(settings_of(shop, text=text), now=NOW).outcome == "promoted"


def test_a_candidate_that_is_worse_by_more_than_the_margin_is_kept_out(shop, monkeypatch):
    settings = settings_of(shop, text=KNN.replace("margin = 0.9", "margin = 0.1"))
    original = steps.compare

    def worse(work):
        found = original(work)
        return replace(found, promote=False)

    monkeypatch.setattr(steps, "compare", worse)
    state = refresh(settings, now=NOW)
    assert state.outcome == "kept"
    assert current(shop) == "generations/0001/final/recommender"
    assert not (Store(shop / "store").folder(2) / "final").exists()
    assert [line["outcome"] for line in history(shop)] == ["promoted", "kept"]


def test_an_error_is_recorded_and_the_next_start_goes_on_with_the_step_that_failed(shop, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(steps, "fit_final", lambda _: (_ for _ in ()).throw(OSError("the disk is full")))
        with pytest.raises(OSError, match="the disk is full"):
            run(shop)
    stopped = Store(shop / "store").states()[0]
    assert (stopped.error, list(stopped.seconds)) == ("fit: the disk is full", ["check", "train", "compare"])
    assert "<strong>failed.</strong>" in (shop / "store" / "latest.html").read_text()
    assert current(shop) == "generations/0001/final/recommender"
    state = run(shop)
    assert (state.outcome, state.number, state.error) == ("promoted", 2, "")
    assert state.seconds["train"] == stopped.seconds["train"]


def test_another_delivery_after_an_error_begins_again_and_the_history_says_so(shop, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(steps, "train_candidate", lambda _: (_ for _ in ()).throw(OSError("the disk is full")))
        with pytest.raises(OSError, match="the disk is full"):
            run(shop)
    deliver(shop, events(32))
    assert run(shop).number == 3
    assert [line["outcome"] for line in history(shop)] == ["promoted", "abandoned", "promoted"]
    assert "the disk is full" in history(shop)[1]["reason"]


def test_another_delivery_after_a_kill_just_before_the_pointer_moved_ends_that_generation_first(shop, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(Store, "promote", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            run(shop)
    deliver(shop, events(32))
    state = run(shop)
    assert (state.number, state.in_use) == (3, 2)
    assert [line["outcome"] for line in history(shop)] == ["promoted"] * 3


def test_half_of_the_rows_are_refused_and_the_next_delivery_goes_on(shop):
    deliver(shop, events(31).sample(fraction=0.5, seed=1))
    with pytest.raises(RefusedError, match="check.interactions allows -10.0% to"):
        run(shop)
    assert current(shop) == "generations/0001/final/recommender"
    deliver(shop, events(32))
    state = run(shop)
    assert (state.outcome, state.before["interactions"]) == ("promoted", events(30).n_unique(["user", "item"]))
    assert [line["outcome"] for line in history(shop)] == ["promoted", "refused", "promoted"]
    assert history(shop)[1]["broken"][0] == "check.interactions"


def test_a_refused_delivery_can_be_accepted(shop):
    deliver(shop, events(31).filter(pl.col("user") != "u3"))
    settings = settings_of(shop, text=KNN + "[check]\nmin_user_overlap = 1.0\n")
    for _ in range(2):
        with pytest.raises(RefusedError, match="check.min_user_overlap"):
            refresh(settings, now=NOW)
    assert refresh(settings, now=NOW, accept=True).outcome == "promoted"
    assert [line["outcome"] for line in history(shop)] == ["promoted", "refused", "refused", "promoted"]
    deliver(shop, events(32).filter(pl.col("user") != "u3"))  # is compared with the delivery that was accepted
    assert refresh(settings, now=NOW).outcome == "promoted"


def test_a_delivery_that_ends_too_early_is_refused_and_the_next_one_goes_on(shop):
    deliver(shop, events(15))
    with pytest.raises(
        ValueError, match="is of 2024-01-15.* nothing newer is left to compare them on; repair the data"
    ):
        run(shop)
    assert current(shop) == "generations/0001/final/recommender"
    deliver(shop, events(31))
    assert run(shop).outcome == "promoted"
    assert [line["outcome"] for line in history(shop)] == ["promoted", "abandoned", "promoted"]


def test_a_changed_table_of_items_is_refused(shop):
    deliver(shop, events(31), columns=("price", "stock"))
    with pytest.raises(RefusedError, match="column stock was absent, is Float64"):
        run(shop)


def test_a_final_fit_that_is_worse_than_the_candidate_on_what_it_was_trained_on_is_not_promoted(shop, monkeypatch):
    from flatrec.refresh import training

    monkeypatch.setattr(training, "scores", lambda *_: {"recall@5": 0.0})
    with pytest.raises(RuntimeError, match="the final fit is broken: its recall@5 .* is 0.0000"):
        run(shop)
    assert current(shop) == "generations/0001/final/recommender"


def test_two_at_once_are_refused(shop):
    with lock_folder(shop / "store", "refreshes"):
        with pytest.raises(InUseError, match="another process refreshes in"):
            run(shop)


def test_what_fails_after_the_pointer_moved_is_a_warning_and_is_done_by_the_next_start(shop, monkeypatch, caplog):
    with monkeypatch.context() as patched:
        patched.setattr(Store, "record", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
        assert run(shop).outcome == "promoted"
    assert "the disk is full; the next refresh does it" in caplog.text
    assert len(history(shop)) == 1
    deliver(shop, events(32))
    run(shop)
    assert [line["number"] for line in history(shop)] == [1, 2, 3]


def test_a_damaged_record_of_the_generation_in_use_does_not_stop_the_job(shop, caplog):
    path = shop / "store" / "generations" / "0001" / "state.json"
    path.write_text(path.read_text().replace("promoted", "demoted"))
    state = run(shop)
    assert (state.outcome, state.in_use) == ("promoted", 1)
    assert state.comparison["reference"] == "recommender in use"
    assert "is damaged or was edited" in caplog.text


def test_a_damaged_recommender_in_use_is_replaced(shop, caplog):
    (shop / "store" / "generations" / "0001" / "candidate" / "recommender" / "users.parquet").write_bytes(b"damaged")
    state = run(shop)
    assert (state.outcome, state.in_use, state.comparison["reference"]) == ("promoted", 1, "most popular items")
    assert "users.parquet is damaged" in caplog.text
    assert current(shop) == "generations/0002/final/recommender"


def test_without_a_pointer_the_next_generation_is_a_first_one(shop):
    (shop / "store" / "current").unlink()
    state = run(shop)
    assert (state.outcome, state.in_use, state.comparison["reference"]) == ("promoted", None, "most popular items")


def test_an_earlier_generation_can_be_put_into_use_by_hand(shop):
    run(shop)
    (shop / "store" / "current").unlink()
    (shop / "store" / "current").symlink_to("generations/0001/final/recommender")
    deliver(shop, events(32))
    assert run(shop).in_use == 1


def test_old_generations_are_removed(shop):
    for days in (31, 32, 33):
        deliver(shop, events(days))
        refresh(settings_of(shop, text="keep = 2\n" + KNN), now=NOW)
    assert Store(shop / "store").numbers() == [4, 3]
    assert flatrec.load_recommender(shop / "store" / "generations" / "0003" / "final")


def test_the_report_and_the_latest_one_are_the_same_page(shop):
    run(shop)
    page = (shop / "store" / "generations" / "0002" / "report.html").read_text()
    assert (shop / "store" / "latest.html").read_text() == page
    assert "<strong>promoted.</strong>" in page


def test_a_preview_writes_nothing(tmp_path):
    deliver(tmp_path, events(30))
    found = preview(settings_of(tmp_path, text=KNN), now=NOW)
    assert (found.refusal, found.delivery.users) == ("", 24)
    assert not (tmp_path / "store").exists()


def test_a_preview_of_a_broken_delivery_says_what_is_wrong(shop):
    deliver(shop, events(31).sample(fraction=0.5, seed=1))
    assert "check.interactions allows" in preview(settings_of(shop, text=KNN), now=NOW).refusal
    assert len(history(shop)) == 1
