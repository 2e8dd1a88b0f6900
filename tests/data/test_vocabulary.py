import pytest

from flatrec.data.vocabulary import Vocabulary


def test_a_number_and_its_id_lead_to_each_other():
    ids = Vocabulary("item", ["mug", "lamp"])
    assert [ids[ids.index_of(name)] for name in ids] == ["mug", "lamp"]
    assert "mug" in ids
    assert "sofa" not in ids


def test_repeated_ids_are_refused():
    with pytest.raises(ValueError, match="item ids must be unique, but 1 of 3 repeat"):
        Vocabulary("item", ["a", "b", "a"])


def test_an_unknown_id_is_answered_with_its_neighbors():
    with pytest.raises(KeyError, match="user 'ann' is not in the data set of 2 users.*'anna'"):
        Vocabulary("user", ["anna", "bob"]).index_of("ann")
