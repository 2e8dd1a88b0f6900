"""flatrec who-wants: users for a known and a new item."""

from __future__ import annotations

import json

from flatrec import load_recommender
from flatrec.data.encoded_items import read_encoded
from tests.cli.test_cold_start import write


def test_the_users_are_those_of_the_recommender(flatrec, trained):
    expected = load_recommender(trained).who_wants("item 3", 4)
    outcome = flatrec("who-wants", trained, "--item", "item 3", "-k", 4, "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["users"] == [vars(one) for one in expected]
    assert found["new"] is False
    every = json.loads(flatrec("who-wants", trained, "--item", "item 3", "-k", 100, "--include-seen", "--json").out)
    assert len(every["users"]) == 24
    shown = flatrec("who-wants", trained, "--item", "item 3").out
    assert "Users for item 3" in shown
    assert expected[0].user in shown


def test_a_new_item_is_read_from_its_folder(flatrec, trained, tmp_path):
    folder = write(tmp_path / "new", (1, 2), names=["lamp", "mug"])
    found = json.loads(flatrec("who-wants", trained, "--item", "mug", "--new-items", folder, "-k", 3, "--json").out)
    joined = load_recommender(trained).with_items(read_encoded(folder))
    assert found["new"] is True
    assert found["users"] == [vars(one) for one in joined.who_wants("mug", 3)]


def test_an_unknown_item_is_one_line(flatrec, trained):
    outcome = flatrec("who-wants", trained, "--item", "lamp")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "item 'lamp' is not in" in outcome.err
