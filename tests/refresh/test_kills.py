"""Kills at every step of the nightly job, and a second start that ends like one run."""

from __future__ import annotations

import shutil

import pytest

import flatrec
from flatrec.refresh import ending, job, refresh
from flatrec.refresh.store import Store
from flatrec.refresh.work import Work
from flatrec.utils.integrity import file_digest
from tests.refresh.deliveries import NOW, SETTINGS, Killed, current, history, run, settings_of


def digests(shop, number):
    folder = Store(shop / "store").folder(number) / "final" / "recommender"
    return {path.name: file_digest(path) for path in folder.iterdir() if path.suffix == ".safetensors"}


# What is called on the way, and on which object: a kill comes before or after it.
POINTS = [
    (job, "write_state", 1),
    (Work, "save", 1),
    (Work, "save", 2),
    (Work, "save", 3),
    (Work, "save", 4),
    (Work, "save", 5),
    (ending, "write_text", 1),
    (Store, "promote", 1),
    (Store, "record", 1),
    (ending, "write_text", 2),
    (Store, "prune", 1),
    (ending, "write_state", 1),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point[1]}-{point[2]}")
def test_a_kill_anywhere_and_a_second_start_end_like_one_run(shop, monkeypatch, point, after):
    owner, name, number = point
    original, calls = getattr(owner, name), []

    def killing(*args, **options):
        calls.append(name)
        if len(calls) == number and not after:
            raise Killed
        value = original(*args, **options)
        if len(calls) == number:
            raise Killed
        return value

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, killing)
        with pytest.raises(Killed):
            run(shop)
    in_use = current(shop)
    assert flatrec.load_recommender(shop / "store" / "current")
    if (name, number, after) == ("write_state", 1, True) and owner is ending:
        return  # nothing was left to do
    state = run(shop)
    assert (state.outcome, state.number) == ("promoted", 2)
    assert current(shop) == "generations/0002/final/recommender"
    assert [(line["number"], line["outcome"]) for line in history(shop)] == [(1, "promoted"), (2, "promoted")]
    moved = name in ("record", "prune") or (name, number) == ("write_text", 2) or (name, after) == ("promote", True)
    assert in_use == current(shop) if moved or owner is ending and name == "write_state" else in_use != current(shop)


def test_a_run_that_was_killed_and_resumed_gives_the_bits_of_one_that_was_not(shop, tmp_path, monkeypatch):
    shutil.copytree(shop, tmp_path / "undisturbed", symlinks=True)
    refresh(settings_of(tmp_path / "undisturbed", text=SETTINGS), now=NOW)
    calls = []
    original = Work.save

    def killing(work):
        calls.append(work)
        if len(calls) in (2, 4):  # before training and the final fit are recorded
            raise Killed
        original(work)

    monkeypatch.setattr(Work, "save", killing)
    for _ in range(2):
        with pytest.raises(Killed):
            refresh(settings_of(shop, text=SETTINGS), now=NOW)
    refresh(settings_of(shop, text=SETTINGS), now=NOW)
    assert digests(shop, 2) == digests(tmp_path / "undisturbed", 2)
