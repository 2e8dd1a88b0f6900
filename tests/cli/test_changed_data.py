"""Commands on a run whose data have changed, moved or gone since."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from flatrec import load_recommender, load_run
from flatrec.data.formats import mmrec
from flatrec.inference.evaluation import evaluate_recommender
from flatrec.inference.storage import FOLDER
from flatrec.testing import block_dataset
from flatrec.testing.datasets import enlarged


@pytest.fixture
def changed(trained, blocks):
    """The run, whose data have two more users and one more item since."""
    shutil.rmtree(blocks)
    data = enlarged(block_dataset(blocks=3, users=8, items=6), users=2, items=1)
    mmrec.write(data, blocks)
    return trained


def test_evaluate_scores_the_recommender_with_a_note(changed, blocks, flatrec):
    outcome = flatrec("evaluate", changed, "--json")
    assert outcome.code == 0, outcome.err
    from flatrec.data.loading import load_data

    recommender = load_recommender(changed)
    run = json.loads((changed / "result.json").read_text())["settings"]["evaluation"]
    expected = evaluate_recommender(
        recommender, load_data(blocks), "test", ks=run["ks"], metrics=run["metrics"], mask=run["mask"]
    )
    assert json.loads(outcome.out)["metrics"] == pytest.approx(expected.metrics)
    assert outcome.err.startswith(
        f"'blocks' now holds other data than {changed} was trained on (2 users and 1 item and"
    )
    assert outcome.err.count("\n") == 1
    assert "the recommender of the run is scored on the data as they are now, by ids" in outcome.err


def test_evaluate_warns_of_scores_on_what_was_trained_on(trained, blocks, flatrec):
    data = block_dataset(blocks=3, users=8, items=6)
    old = data.interactions
    turned = data.with_interactions(replace(old, splits=(old.splits + 2) % 3))  # train becomes test
    shutil.rmtree(blocks)
    mmrec.write(turned, blocks)
    outcome = flatrec("evaluate", trained)
    assert outcome.code == 0, outcome.err
    n = old.count("train")
    assert f"test: the recommender was trained on {n} of the {n} interactions that are scored" in outcome.err
    assert "(the same interactions, with another split, other times, weights or features)" in outcome.err


def test_moved_data_are_no_other_data(trained, blocks, flatrec):
    moved = blocks.rename(blocks.with_name("moved"))
    outcome = flatrec("evaluate", trained, "--data", moved)
    assert (outcome.code, outcome.err) == (0, "")
    assert "not" in flatrec("evaluate", trained).err


def test_recommend_similar_and_info_need_no_data(changed, blocks, flatrec):
    shutil.rmtree(blocks)
    for words in (
        ("recommend", changed, "--user", "user 0"),
        ("similar", changed, "--item", "item 1"),
        ("recommender", "info", changed),
    ):
        outcome = flatrec(*words)
        assert (outcome.code, outcome.err) == (0, "")


def test_recommend_with_newer_data_masks_what_was_bought_and_answers_new_users(trained, blocks, flatrec):
    first = json.loads(flatrec("recommend", trained, "--user", "user 0", "-k", "1", "--json").out)
    item = first["recommendations"][0]["items"][0]["item"]
    newer = blocks.parent / "newer.csv"
    newer.write_text(f"user,item\nuser 0,{item}\nnewcomer,item 1\nnewcomer,item 2\nnewcomer,unheard of\n")
    words = ("recommend", trained, "--user", "user 0", "--user", "newcomer", "--data", newer, "--json")
    outcome = flatrec(*words)
    assert outcome.code == 0, outcome.err
    known, new = json.loads(outcome.out)["recommendations"]
    assert item not in [one["item"] for one in known["items"]]
    assert (known["path"], new["path"]) == ("known", "history")
    by_hand = flatrec("recommend", trained, "--user", "newcomer", "--history", "item 1,item 2", "--json")
    assert new["items"] == json.loads(by_hand.out)["recommendations"][0]["items"]
    assert "1 new interaction of users that the recommender was trained on are masked" in outcome.err
    assert "1 interaction with 1 item that the recommender does not know are left out" in outcome.err


def test_cold_start_holds_items_out_of_the_data_as_they_are_now(changed, flatrec):
    outcome = flatrec("cold-start", changed, "--fraction", "0.2", "--json")
    assert outcome.code == 0, outcome.err
    assert "items are held out of the data as they are now" in outcome.err
    assert json.loads(outcome.out)["n_items"] == 4  # of 19


def test_load_run_says_what_answers_without_the_data(changed, blocks, flatrec):
    with pytest.raises(ValueError, match=r"^.* was trained on other data .* or train again; without the model, .*/rec"):
        load_run(changed)
    shutil.rmtree(blocks)
    with pytest.raises(FileNotFoundError, match="; without the model, .*recommender answers: flatrec recommend, "):
        load_run(changed)
    shutil.rmtree(changed / FOLDER)
    with pytest.raises(FileNotFoundError) as caught:
        load_run(changed)
    assert "without the model" not in str(caught.value)
    assert flatrec("recommend", changed, "--user", "user 0").code == 2


def test_resume_is_still_refused(changed, flatrec):
    outcome = flatrec("train", "--resume", "--out", changed)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "was trained on other data" in outcome.err


def test_train_init_from_says_what_was_taken(changed, blocks, flatrec):
    out = changed.parent / "warm"
    words = ("train", "--data", blocks, "--model", "lightgcn", "--set", "model.embedding_dim=4", "--set")
    more = ("training.epochs=2", "--set", "training.monitor=ndcg@20", "--set", "training.loggers=none")
    outcome = flatrec(*words, *more, "--init-from", changed, "--out", out, "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["init_from"]["users"] == {"taken": 24, "new": 2, "dropped": 0}
    assert f"training starts from the parameters of {changed} for 24 of 26 users (2 new, 0 gone) and" in outcome.err
    outcome = flatrec("train", "--data", blocks, "--model", "bpr", "--init-from", changed, "--out", out, "--overwrite")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "is a run of lightgcn, whose parameters bpr cannot start from" in outcome.err
