import json
import shutil

import polars as pl
import pytest

from tests.cli.conftest import SMALL


@pytest.fixture
def shop_run(flatrec, tmp_path):
    """A run on a small shop with item columns, whose data are gone."""
    assert flatrec("data", "shop", tmp_path / "shop", "--users", 60, "--items", 40).code == 0
    words = ("train", "--data", tmp_path / "shop", "--model", "lightgcn", *SMALL)
    outcome = flatrec(*words, "--out", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    items = pl.read_parquet(tmp_path / "shop" / "items.parquet")
    shutil.rmtree(tmp_path / "shop")
    return tmp_path / "run", items


def lists(outcome):
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)["recommendations"]


def test_a_run_answers_without_its_data(flatrec, shop_run):
    run, items = shop_run
    (known,) = lists(flatrec("recommend", run, "--user", "user-00003", "-k", 5, "--json"))
    assert (known["path"], len(known["items"]), known["note"]) == ("known", 5, "")
    titles = dict(items.select("id", "title").iter_rows())
    assert all(one["title"] == titles[one["item"]] for one in known["items"])
    (similar,) = [json.loads(flatrec("similar", run, "--item", "item-00004", "-k", 3, "--json").out)]
    assert (similar["path"], len(similar["similar"])) == ("known", 3)


def test_filters_of_the_command_line_hold(flatrec, shop_run, tmp_path):
    run, items = shop_run
    cheap = set(items.filter(pl.col("price") < 40, pl.col("in_stock"))["id"])
    words = ("recommend", run, "--user", "user-00003", "--user", "nobody", "-k", 40, "--json")
    known, unknown = lists(flatrec(*words, "--where", "price < 40 and in_stock = true"))
    assert {one["item"] for one in unknown["items"]} == cheap
    assert {one["item"] for one in known["items"]} < cheap
    assert (unknown["path"], known["path"]) == ("popular", "known")
    everything, _ = lists(flatrec(*words, "--where", "price < 40 and in_stock = true", "--include-seen"))
    assert {one["item"] for one in everything["items"]} == cheap
    (tmp_path / "ids.txt").write_text("item-00001\nitem-00002\n\n")
    _, listed = lists(flatrec(*words, "--items", f"@{tmp_path / 'ids.txt'}"))
    assert {one["item"] for one in listed["items"]} == {"item-00001", "item-00002"}
    _, rest = lists(flatrec(*words, "--exclude", "item-00001, item-00002"))
    assert len(rest["items"]) == 38


def test_somebody_without_an_id_is_answered_from_a_history(flatrec, shop_run):
    run, _ = shop_run
    (answer,) = lists(flatrec("recommend", run, "--history", "item-00001,item-00002,nothing", "-k", 3, "--json"))
    assert (answer["user"], answer["path"]) == (None, "history")
    assert answer["note"] == "1 of 3 items of the history is not known"
    shown = flatrec("recommend", run, "--history", "item-00001", "-k", 3).out
    assert "For the history (history)" in shown


def test_lists_are_diverse_limited_pinned_and_explained(flatrec, shop_run):
    run, items = shop_run
    categories = dict(items.select("id", "category").iter_rows())
    words = ("recommend", run, "--user", "user-00003", "-k", 4, "--json")
    (found,) = lists(flatrec(*words, "--max-per", "category=1", "--diversity", 0.3, "--pin", "item-00007"))
    listed = [one["item"] for one in found["items"]]
    assert len({categories[item] for item in listed}) == len(listed)
    (plain,) = lists(flatrec(*words, "--explain"))
    assert {reason["kind"] for one in plain["items"] for reason in one["reasons"]} == {"exact"}
    (folded,) = lists(flatrec("recommend", run, "--history", "item-00001", "--explain", "--json"))
    for one in folded["items"]:
        assert {reason["kind"] for reason in one["reasons"]} == {"exact"}
        assert sum(reason["contribution"] for reason in one["reasons"]) == pytest.approx(one["score"], abs=1e-4)
    assert "because of" in flatrec("recommend", run, "--user", "user-00003", "--explain").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nobody to recommend to"),
        (["--user", "a", "--where", "prize < 3"], "prize"),
        (["--user", "a", "--where", "price <"], "position 8: expected a number"),
        (["--user", "a", "--items", ","], "--items names no item"),
        (["--user", "a", "--exclude", "@nowhere.txt"], "nowhere.txt"),
        (["--user", "a", "--max-per", "category"], "--max-per must have the form COLUMN=N, but is 'category'"),
        (["--user", "a", "--max-per", "kind_of=2"], "kind_of"),
        (["--user", "a", "--boost", "much:price < 3"], "--boost must have the form STRENGTH:CONDITION"),
        (["--user", "a", "--diversity", "2"], "flatrec: diversity must lie in [0, 1], but is 2.0"),
        (["--user", "a", "--reserve", "0:price < 3"], "flatrec: reserve must be at least 1, but is 0"),
        (["--user", "a", "--boost", "nan:price < 3"], "flatrec: boosts must be at least -100 and at most 100"),
        (["--user", "a", "-k", "0"], "k must be at least 1"),
        (["--user", "a", "--include-known"], "give --new-items too"),
    ],
)
def test_wrong_requests_are_one_line(flatrec, shop_run, words, said):
    outcome = flatrec("recommend", shop_run[0], *words)
    assert outcome.code == 2
    assert said in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_run_of_a_study_gets_a_recommender_only_if_asked(flatrec, blocks, tmp_path):
    words = ("train", "--data", blocks, "--model", "popularity", "--out", tmp_path / "run")
    assert flatrec(*words, "--set", "training.save_recommender=never").code == 0
    assert not (tmp_path / "run" / "recommender").exists()
    # It is made of the run and its data then.
    assert lists(flatrec("recommend", tmp_path / "run", "--user", "user 0", "--json"))[0]["path"] == "popular"
    words = ("compare", "--data", blocks, "--model", "bpr", "--strategies", "plain,sam", "--seeds", "2", *SMALL)
    assert flatrec(*words, "--out", tmp_path / "without").code == 0
    assert flatrec(*words, "--set", "training.save_recommender=always", "--out", tmp_path / "with").code == 0
    assert len(list((tmp_path / "without").rglob("recommender.json"))) == 0
    assert len(list((tmp_path / "with").rglob("recommender.json"))) == 4


@pytest.mark.parametrize(
    "command", [("recommend", "--user", "a"), ("similar", "--item", "a"), ("who-wants", "--item", "a")]
)
def test_a_folder_that_holds_nothing_is_one_line(flatrec, tmp_path, command):
    outcome = flatrec(command[0], tmp_path, *command[1:])
    assert (outcome.code, outcome.err) == (
        2,
        f"flatrec: {tmp_path} holds no recommender (no recommender.json); name the folder of a run that flatrec train "
        "wrote, or that of a recommender\n",
    )
