"""The folder of the recommenders: pointer, generations that stay, history."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

import flatrec
from flatrec.inference.storage import save_recommender
from flatrec.refresh.state import State, read_state, write_state
from flatrec.refresh.store import CANDIDATE, CURRENT, FINAL, Store
from flatrec.testing import block_dataset


@pytest.fixture(scope="module")
def recommender():
    return flatrec.fit(block_dataset(blocks=1, users=3, items=4), "popularity").recommender


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    store.make()
    return store


def add(store, number, outcome="promoted", recommender=None, **values):
    state = State(number, "2024-01-01", f"data {number}", "settings", outcome=outcome, finished="2024-01-01", **values)
    folder = store.folder(number)
    for run in (CANDIDATE, FINAL):
        (folder / run).mkdir(parents=True)
        (folder / run / "checkpoint.safetensors").touch()
        (folder / run / "recommender").mkdir()
        if recommender is not None:
            save_recommender(recommender, folder / run / "recommender")
    write_state(folder, state)
    return state


def test_the_pointer_is_read_as_a_recommender_wherever_the_folder_is(store, recommender, tmp_path):
    add(store, 3, recommender=recommender)
    assert store.in_use() is None
    store.promote(3)
    assert store.in_use() == 3
    store.path.rename(tmp_path / "moved")
    assert list(flatrec.load_recommender(tmp_path / "moved" / CURRENT).users) == list(recommender.users)


def test_the_pointer_is_replaced_in_one_step(store, monkeypatch):
    """It leads to one generation or the other at each call of the system, and to nothing at none."""
    add(store, 1)
    add(store, 2)
    store.promote(1)
    seen = []
    for name in ("symlink", "rename", "replace", "unlink", "remove"):
        original = getattr(os, name)

        def recorded(*args, original=original, **options):
            seen.append(store.in_use())
            value = original(*args, **options)
            seen.append(store.in_use())
            return value

        monkeypatch.setattr(os, name, recorded)
    store.promote(2)
    assert seen == [1, 1, 1, 2]
    assert [path.name for path in store.path.iterdir() if path.name.startswith(".")] == []


def test_a_reader_that_began_before_the_pointer_moved_reads_one_recommender(store, recommender, monkeypatch):
    from flatrec.inference import storage

    other = flatrec.fit(block_dataset(blocks=2, users=3, items=4), "popularity").recommender
    add(store, 1, recommender=recommender)
    add(store, 2, recommender=other)
    store.promote(1)
    original = storage.check_manifest

    def moving(folder, **options):
        original(folder, **options)
        store.promote(2)

    monkeypatch.setattr(storage, "check_manifest", moving)
    assert list(flatrec.load_recommender(store.path / CURRENT).users) == list(recommender.users)
    assert list(flatrec.load_recommender(store.path / CURRENT).users) == list(other.users)


@pytest.mark.parametrize("target", ["generations/0009/final/recommender", "/etc", "generations/0001", "../x/y/z"])
def test_a_pointer_to_elsewhere_is_an_error_with_advice(store, target):
    add(store, 1)
    store.pointer.symlink_to(target)
    with pytest.raises(ValueError, match="must be a symbolic link to a recommender of this folder.*ln -sfn"):
        store.in_use()


def test_a_folder_in_the_place_of_the_pointer_is_an_error(store):
    store.pointer.mkdir()
    with pytest.raises(ValueError, match="but is none"):
        store.in_use()


def test_the_newest_promoted_generations_stay_and_what_training_needs_goes(store):
    states = [add(store, number) for number in range(1, 7)][::-1]
    store.promote(6)
    store.prune(3, states, 6)
    assert store.numbers() == [6, 5, 4]
    assert (store.folder(6) / FINAL / "checkpoint.safetensors").exists()
    assert os.listdir(store.folder(5) / FINAL) == ["recommender"]
    assert os.listdir(store.folder(5) / CANDIDATE) == ["recommender"]


def test_the_one_in_use_stays_however_old_it_is(store):
    states = [add(store, number) for number in range(1, 7)][::-1]
    store.promote(1)
    store.prune(2, states, 1)
    assert store.numbers() == [6, 1]


def test_days_without_a_promotion_remove_no_recommender(store):
    outcomes = ["promoted", "promoted", *["refused"] * 5, *["kept"] * 4]
    states = [add(store, number, outcome) for number, outcome in enumerate(outcomes, start=1)][::-1]
    store.promote(2)
    store.prune(2, states, 2)
    assert store.numbers() == [11, 10, 2, 1]
    assert sorted(os.listdir(store.folder(11))) == ["state.json"]


def test_the_last_accepted_delivery_stays(store):
    states = [add(store, 1), add(store, 2, "kept", accepted=True), *(add(store, n, "refused") for n in (3, 4, 5))]
    store.promote(1)
    store.prune(2, states[::-1], 1)
    assert store.numbers() == [5, 4, 2, 1]


def test_a_generation_that_goes_on_stays(store):
    states = [add(store, 1), replace(add(store, 2, None), finished=None)]
    store.promote(1)
    store.prune(2, states[::-1], 1)
    assert (store.folder(2) / FINAL / "checkpoint.safetensors").exists()


def test_what_a_kill_left_is_removed(store):
    add(store, 1)
    (store.path / "generations" / ".removed-0007" / "final").mkdir(parents=True)
    store.folder(2).mkdir()
    store.clean()
    assert os.listdir(store.path / "generations") == ["0001"]


def test_a_generation_has_one_line_of_history_however_often_it_is_recorded(store):
    first, second = (replace(add(store, number), delivery={"columns": {}}) for number in (1, 2))
    for state in (first, second, replace(second, reason="again")):
        store.record(state)
    lines = [json.loads(line) for line in (store.path / "history.jsonl").read_text().splitlines()]
    assert [(line["number"], line["reason"]) for line in lines] == [(1, ""), (2, "again")]


def test_a_state_is_read_back(store):
    state = add(store, 1, checks=({"setting": "check.users", "passed": True},), seconds={"check": 0.5}, in_use=3)
    assert read_state(store.folder(1)) == state


def test_a_damaged_state_is_left_out_with_a_warning(store, caplog):
    add(store, 1)
    add(store, 2)
    path = store.folder(2) / "state.json"
    path.write_text(path.read_text().replace("data 2", "data 3"))
    assert [state.number for state in store.states()] == [1]
    assert "damaged or was edited" in caplog.text
    assert max(store.numbers()) == 2
