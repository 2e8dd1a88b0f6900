"""flatrec recommender info and forget."""

from __future__ import annotations

import json
import shutil
import sqlite3

import pytest

from flatrec import load_recommender
from flatrec.api import run_experiment
from flatrec.config import Component, Experiment, Training
from flatrec.data.formats import mmrec
from flatrec.event_log import Event, LogPlace
from flatrec.inference.export import ExportOptions, export_recommendations, export_vectors
from flatrec.inference.storage import FOLDER
from flatrec.runs import run_dir
from flatrec.testing import block_dataset
from flatrec.utils.integrity import check_manifest

PERSON, OTHER = "user 13", "user 7"
DATA = block_dataset(blocks=3, users=8, items=6)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    mmrec.write(DATA, folder / "data")
    experiment = Experiment(
        data=str(folder / "data"),
        model=Component("bpr", {"embedding_dim": 4}),
        strategy=Component("plain"),
        training=Training(epochs=2, select="last", loggers=()),
    )
    run_experiment(experiment, out=folder / "run")
    return folder


@pytest.fixture
def command(flatrec):
    """Runs a command that ends with a code."""

    def run(*words, code=0):
        outcome = flatrec(*words)
        assert outcome.code == code, outcome.err
        return outcome

    return run


@pytest.fixture
def shop(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "shop")
    return tmp_path / "shop"


def test_nothing_of_a_person_is_left_in_the_folder(shop, command):
    run = shop / "run"
    recommender = load_recommender(run)
    vector = recommender.scoring.users[recommender.users.index_of(PERSON)].numpy().tobytes()
    others = recommender.recommend([user for user in recommender.users if user != PERSON], 5)
    holding = [path.name for path in (run / FOLDER).iterdir() if vector in path.read_bytes()]
    assert holding == ["recommender.safetensors"]
    command("recommender", "forget", run, "--user", PERSON)
    for path in (run / FOLDER).rglob("*"):
        assert PERSON.encode() not in path.read_bytes(), path
        assert vector not in path.read_bytes(), path
    check_manifest(run / FOLDER, advice="")
    after = load_recommender(run)
    assert len(after.users) == DATA.n_users - 1
    assert after.recommend(list(after.users), 5) == others
    assert after.recommend(PERSON, 5)[0].path == "popular"
    assert sorted(path.name for path in run.iterdir() if path.name.startswith(".flatrec")) == []


def test_rows_of_exports_and_of_a_table_are_removed(trained, shop, command):
    run, recommender = shop / "run", load_recommender(shop / "run")
    export_recommendations(recommender, shop / "recs.parquet", ExportOptions(k=3))
    export_recommendations(recommender, shop / "recs.csv", ExportOptions(k=3))
    export_vectors(recommender, shop / "vectors")
    with sqlite3.connect(shop / "shop.db") as database:
        database.execute("create table recs (user_id text, item_id text)")
        database.executemany("insert into recs values (?, ?)", [(PERSON, "a"), (PERSON, "b"), (OTHER, "a")])
    database.close()
    options = [word for name in ("recs.parquet", "recs.csv", "vectors") for word in ("--export", shop / name)]
    url = f"sqlite:///{shop / 'shop.db'}"
    found = json.loads(
        command(
            *("recommender", "forget", run, "--user", PERSON, *options, "--to", url, "--table", "recs", "--json")
        ).out
    )
    assert found["exports"] == {str(shop / "recs.parquet"): 3, str(shop / "recs.csv"): 3, str(shop / "vectors"): 1}
    assert (found["users"], found["unknown"], found["table"]) == ([PERSON], [], 2)
    assert found["untouched"] == [str(run / "checkpoint.safetensors"), str(trained / "data")]
    with sqlite3.connect(shop / "shop.db") as database:
        assert database.execute("select user_id, item_id from recs").fetchall() == [(OTHER, "a")]
    database.close()


def test_events_of_a_person_are_removed_from_the_log(shop, command):
    log = LogPlace(shop / "events.sqlite").open(create=True)
    log.append([Event(PERSON, "a", "click", 1), Event(OTHER, "a", "click", 2), Event("only-here", "b", "click", 3)])
    words = ("recommender", "forget", shop / "run", "--user", PERSON, "--user", "only-here")
    found = json.loads(command(*words, "--events", shop / "events.sqlite", "--json").out)
    assert (found["users"], found["unknown"], found["events"]) == ([PERSON], ["only-here"], 2)
    assert log.until(9)["user"].to_list() == [OTHER]
    for path in shop.glob("events.sqlite*"):
        for gone in (PERSON, "only-here"):
            assert gone.encode() not in path.read_bytes(), path
    log.close()
    for place, said in (
        ("none.sqlite", "there is no log of events"),
        ("postgresql://me:secret@host/db", "there is a URL"),
    ):
        ended = command(*words, "--events", place, code=2)
        assert said in ended.err
        assert "secret" not in ended.err
        assert ended.err.count("\n") == 1


def test_somebody_is_forgotten_behind_a_link_which_stays(shop, command):
    (shop / "current").symlink_to(shop / "run" / FOLDER)
    command("recommender", "forget", shop / "current", "--user", PERSON)
    assert (shop / "current").is_symlink()
    assert PERSON not in load_recommender(shop / "run").users


def test_it_says_what_was_removed_and_what_still_holds_the_person(shop, command):
    out = command("recommender", "forget", shop / "run", "--user", PERSON, "--user", OTHER).out
    said = " ".join(out.split())
    assert f"2 users removed from {shop / 'run' / FOLDER}: id, vector, history and seen items" in said
    assert f"not touched, and may still hold what was removed: {shop / 'run' / 'checkpoint.safetensors'}, " in said


def test_an_unknown_user_is_one_line_and_changes_nothing(shop, command):
    before = (shop / "run" / FOLDER / "recommender.json").read_bytes()
    ended = command("recommender", "forget", shop / "run", "--user", "nobody", code=2)
    assert ended.err.startswith("flatrec: user 'nobody' is not in the data set of 24 users; ids look like")
    assert ended.err.count("\n") == 1
    assert (shop / "run" / FOLDER / "recommender.json").read_bytes() == before


def test_a_command_that_failed_at_an_export_can_be_given_again(shop, command):
    run, recommender = shop / "run", load_recommender(shop / "run")
    export_recommendations(recommender, shop / "recs.csv", ExportOptions(k=3))
    words = ["recommender", "forget", run, "--user", PERSON, "--export", shop / "recs.csv", "--export"]
    ended = command(*words, shop / "gone.csv", code=2)
    assert "there is no export" in ended.err
    assert PERSON in load_recommender(run).users
    assert PERSON not in (shop / "recs.csv").read_text()
    export_recommendations(recommender, shop / "late.csv", ExportOptions(k=3))
    command(*words, shop / "late.csv")
    found = json.loads(command(*words[:4], PERSON, "--export", shop / "late.csv", "--json").out)
    assert (found["unknown"], found["exports"]) == ([PERSON], {str(shop / "late.csv"): 0})


def test_a_run_can_be_started_from_after_somebody_was_forgotten(shop, command):
    command("recommender", "forget", shop / "run", "--user", PERSON)
    shutil.move(shop / "data", shop / "moved")
    run = run_experiment(
        run_dir.read_experiment(shop / "run").replace(data=str(shop / "moved")), init_from=shop / "run"
    )
    assert run.result["init_from"]["users"] == {"taken": 23, "new": 1, "dropped": 1}


def test_info_shows_what_the_folder_holds(shop, command):
    command("recommender", "forget", shop / "run", "--user", PERSON)
    found = json.loads(command("recommender", "info", shop / "run", "--json").out)
    assert (found["model"], found["scores"], found["dim"]) == ("bpr", "Vectors", 4)
    assert (found["users"], found["forgotten_users"], found["items"]) == (23, 1, 18)
    assert found["interactions"] == 23 * 6
    assert found["features"] == ["image", "text"]
    assert "recommender.safetensors" in found["files"]
    assert "forgotten" in command("recommender", "info", shop / "run").out
    (shop / "run" / FOLDER / "users.parquet").write_bytes(b"")
    assert "users.parquet is damaged" in command("recommender", "info", shop / "run", code=2).err
