"""flatrec refresh: exit codes for cron, what is printed, and real kills."""

from __future__ import annotations

import json
import os
import time

import pytest

from flatrec.refresh.store import Store
from flatrec.utils.locks import lock_folder
from tests.processes import Process
from tests.refresh.deliveries import KNN, SETTINGS, current, deliver, events, history, settings_of


@pytest.fixture
def shop(tmp_path):
    deliver(tmp_path, events(30))
    settings_of(tmp_path, text=KNN)
    return tmp_path


def test_the_exit_code_says_what_became_of_the_delivery(flatrec, shop):
    first = flatrec("refresh", shop / "shop.toml")
    assert (first.code, "generation 1: promoted; there was nothing to compare with" in first.out) == (0, True)
    again = flatrec("refresh", shop / "shop.toml")
    assert (again.code, "the recommender in use stays; nothing new" in again.out) == (3, True)
    deliver(shop, events(31).sample(fraction=0.4, seed=1))
    refused = flatrec("refresh", shop / "shop.toml")
    assert refused.code == 2
    assert refused.err.startswith("flatrec: the delivery is refused: interactions: ")
    assert len(refused.err.splitlines()) == 1
    assert current(shop) == "generations/0001/final/recommender"
    accepted = flatrec("refresh", shop / "shop.toml", "--accept")
    assert accepted.code == 0, accepted.err
    assert [line["outcome"] for line in history(shop)] == ["promoted", "kept", "refused", "promoted"]


def test_the_recommender_in_use_answers_on_the_command_line(flatrec, shop):
    flatrec("refresh", shop / "shop.toml")
    outcome = flatrec("recommend", shop / "store" / "current", "--user", "u1", "-k", "2", "--json")
    assert outcome.code == 0, outcome.err
    assert len(json.loads(outcome.out)["recommendations"][0]["items"]) == 2


def test_json_is_the_line_of_the_history(flatrec, shop):
    outcome = flatrec("refresh", shop / "shop.toml", "--json")
    assert json.loads(outcome.out) == {**history(shop)[0], "folder": str(shop / "store")}


def test_a_dry_run_checks_and_writes_nothing(flatrec, shop):
    outcome = flatrec("refresh", shop / "shop.toml", "--dry-run")
    assert (outcome.code, "nothing was trained or written" in outcome.out) == (0, True)
    assert not (shop / "store").exists()


def test_a_dry_run_of_a_broken_delivery_says_what_is_wrong(flatrec, shop):
    flatrec("refresh", shop / "shop.toml")
    deliver(shop, events(31).sample(fraction=0.4, seed=1))
    outcome = flatrec("refresh", shop / "shop.toml", "--dry-run", "--json")
    assert (outcome.code, json.loads(outcome.out)["refused"]) == (2, True)
    assert "check.interactions allows" in outcome.err
    assert len(history(shop)) == 1


def test_two_at_once_are_an_error(flatrec, shop):
    (shop / "store").mkdir()
    with lock_folder(shop / "store", "refreshes"):
        outcome = flatrec("refresh", shop / "shop.toml")
    assert (outcome.code, "another process refreshes in" in outcome.err) == (2, True)


@pytest.mark.parametrize("broken", ["data = 3\n", "folder = 3\n", "nonsense\n"])
def test_a_broken_file_is_one_line(flatrec, tmp_path, broken):
    (tmp_path / "shop.toml").write_text(broken)
    outcome = flatrec("refresh", tmp_path / "shop.toml")
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)


def test_missing_data_are_one_line_and_leave_what_is_in_use(flatrec, shop):
    flatrec("refresh", shop / "shop.toml")
    (shop / "data" / "events.csv").unlink()
    outcome = flatrec("refresh", shop / "shop.toml")
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
    assert current(shop) == "generations/0001/final/recommender"


LONG = SETTINGS.replace("epochs = 2", 'epochs = 15\nselect = "last"')


@pytest.mark.parametrize("run", ["candidate", pytest.param("final", marks=pytest.mark.slow)])
def test_a_process_that_is_killed_while_it_trains_goes_on_when_it_is_started_again(tmp_path, run):
    deliver(tmp_path, events(30))
    settings_of(tmp_path, text=LONG)
    records = Store(tmp_path / "store").folder(1) / run / "epochs.jsonl"
    process = Process("refresh", "shop.toml", folder=tmp_path, logs=tmp_path / "killed")
    while process.runs and not (records.exists() and len(records.read_text().splitlines()) > 2):
        time.sleep(0.005)
    process.kill()
    assert not os.path.lexists(tmp_path / "store" / "current")
    assert history(tmp_path) == []
    ended = Process("refresh", "shop.toml", folder=tmp_path, logs=tmp_path / "again").ended()
    assert ended.code == 0, ended.err
    assert current(tmp_path) == "generations/0001/final/recommender"
    assert [line["number"] for line in history(tmp_path)] == [1]
