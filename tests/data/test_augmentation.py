"""Profiles, attributes and suggested pairs as part of a data set, in memory and on disk."""

import pickle
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from flatrec import testing
from flatrec.data.augmentation import Augmentation
from flatrec.data.features import Features
from flatrec.data.formats import mmrec
from flatrec.data.interactions import Interactions
from flatrec.data.loading import load_data
from flatrec.inference.cold_start.holdout import without_items

BLOCKS = testing.block_dataset(blocks=1, users=3, items=4)


def vectors(*rows, absent=()):
    values = np.array(rows, dtype=np.float32)
    present = np.ones(len(values), dtype=np.bool_)
    present[list(absent)] = False
    return Features(values, present)


def said(**changes):
    whole = Augmentation(
        vectors([1, 2], [3, 4], [5, 6], absent=[1]),
        {"year": vectors([1], [2], [3], [4]), "color": vectors([5], [6], [7], [8], absent=[0])},
        np.array([[0, 3], [-1, -1], [2, 1]]),
        np.array([[0, 1], [2, 3]]),
    )
    return replace(BLOCKS, augmentation=replace(whole, **changes))


def equal(one, other):
    return list(map(str, one.augmentation.digested())) == list(map(str, other.augmentation.digested()))


def test_it_counts_in_the_fingerprint_and_what_has_none_keeps_its_own():
    plain = replace(said(), augmentation=None)
    prints = {BLOCKS.fingerprint, said().fingerprint, said(profiles=None).fingerprint, said(attributes={}).fingerprint}
    assert plain.fingerprint == BLOCKS.fingerprint
    assert len(prints | {said(suggestions=None).fingerprint}) == 5


def test_it_travels_to_another_process():
    again = pickle.loads(pickle.dumps(said()))  # noqa: S301
    assert again.fingerprint == said().fingerprint


def test_a_folder_keeps_it(tmp_path):
    mmrec.write(said(), tmp_path)
    again = load_data(tmp_path)
    assert again.fingerprint == said().fingerprint
    assert equal(again, said())
    mmrec.write(said(profiles=None, attributes={}), tmp_path)
    assert sorted(path.name for path in tmp_path.glob("augmented-*")) == [
        "augmented-shown.parquet",
        "augmented-suggestions.parquet",
    ]
    mmrec.write(BLOCKS, tmp_path)
    assert load_data(tmp_path).augmentation is None


def test_files_beside_a_description_name_users_and_items_by_id(tmp_path):
    clicks = pl.DataFrame({"user": ["b", "a", "a"], "item": ["x", "x", "y"], "split": ["train", "train", "test"]})
    clicks.write_csv(tmp_path / "clicks.csv")
    (tmp_path / "dataset.toml").write_text('interactions = "clicks.csv"\nsplit_column = "split"\n')
    pl.DataFrame({"user": ["b"], "vector": [[1.0, 2.0]]}).write_parquet(tmp_path / "augmented-profiles.parquet")
    rows = {"user": ["b", "a", "c"], "liked": ["y", None, "x"], "disliked": ["x", "x", "y"]}
    pl.DataFrame(rows).write_parquet(tmp_path / "augmented-suggestions.parquet")
    for path in (tmp_path, tmp_path / "dataset.toml"):
        found = load_data(path).augmentation
        assert found.profiles.values.tolist() == [[0, 0], [1, 2]]
        assert found.profiles.present.tolist() == [False, True]
        assert found.suggestions.tolist() == [[-1, -1], [1, 0]]
        assert not found.attributes
    assert load_data(tmp_path / "clicks.csv").augmentation is None


def test_a_column_of_texts_is_for_people(tmp_path):
    mmrec.write(said(), tmp_path)
    path = tmp_path / "augmented-profiles.parquet"
    pl.read_parquet(path).with_columns(text=pl.lit("likes mugs")).write_parquet(path)
    assert load_data(tmp_path).fingerprint == said().fingerprint


def test_what_was_shown_is_kept_and_no_part_of_the_fingerprint(tmp_path):
    mmrec.write(said(), tmp_path)
    assert load_data(tmp_path).augmentation.shown.tolist() == [[0, 1], [2, 3]]
    assert said(shown=None).fingerprint == said().fingerprint
    rows = {"user": [*BLOCKS.users, "nobody"], "item": [*list(BLOCKS.items)[:3], "nothing"]}
    pl.DataFrame(rows).write_parquet(tmp_path / "augmented-shown.parquet")
    assert load_data(tmp_path).augmentation.shown.tolist() == [[0, 0], [1, 1], [2, 2]]


def test_a_split_that_holds_out_what_was_shown_is_refused():
    interactions = Interactions(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 3]), np.array([0, 0, 2, 0]), 3, 4)
    said().augmentation.check_split(interactions)
    said(shown=None).augmentation.check_split(replace(interactions, splits=np.full(4, 2)))
    for splits, count in (([0, 1, 0, 0], 1), ([0, 2, 0, 1], 2)):
        with pytest.raises(ValueError, match=f"was shown {count} of the interactions that are validation or test"):
            said().augmentation.check_split(replace(interactions, splits=np.array(splits)))
    again = replace(
        interactions,
        **{name: np.r_[getattr(interactions, name), extra] for name, extra in (("users", 0), ("items", 1))},
        splits=np.array([0, 0, 2, 0, 2]),
        repeats=True,
    )
    said().augmentation.check_split(again)  # bought again: it is a training interaction too


def test_without_items_their_vectors_and_pairs_are_gone():
    found = without_items(said(), np.array([1])).augmentation
    assert found.attributes["year"].values.ravel().tolist() == [1, 3, 4]
    assert found.suggestions.tolist() == [[0, 2], [-1, -1], [1, -1]]
    assert found.is_suggested.tolist() == [True, False, False]
    assert found.shown.tolist() == [[2, 2]]


def test_other_indices_of_users_and_items():
    found = testing.datasets.permuted(said(), np.array([2, 0, 1]), np.array([3, 2, 1, 0])).augmentation
    assert found.profiles.values.tolist() == [[5, 6], [1, 2], [0, 0]]
    assert found.attributes["color"].present.tolist() == [True, True, True, False]
    assert found.suggestions.tolist() == [[1, 2], [3, 0], [-1, -1]]
    assert found.shown.tolist() == [[1, 2], [0, 0]]
    new = said().augmentation.reindexed(np.array([0, -1]), np.array([0, 1, 2, 3, -1]))
    assert new.profiles.present.tolist() == [True, False]
    assert new.attributes["year"].present.tolist() == [True, True, True, True, False]
    assert new.suggestions.tolist() == [[0, 3], [-1, -1]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"profiles": vectors([1.0], [2.0])}, "profiles has 2 rows, the data set has 3 users"),
        ({"attributes": {"year": vectors([1.0])}}, r"attributes\['year'\] has 1 rows, the data set has 4 items"),
        ({"attributes": {"a": vectors([1.0]), "b": vectors([1.0, 2])}}, "of one width for the same items"),
        ({"suggestions": np.array([[0, 1]])}, "suggestions has 1 rows, the data set has 3 users"),
        ({"suggestions": np.array([[0, 4], [0, 1], [0, 1]])}, r"below 4, or -1 for none, but lie in \[0, 4\]"),
        ({"suggestions": np.array([[0.5, 1]] * 3)}, "a liked and a disliked item per user"),
        ({"shown": np.array([0, 1])}, "a user and an item per interaction"),
        ({"shown": np.array([[0, 4]])}, "indices of 3 users and 4 items"),
        ({"shown": np.array([[-1, 0]])}, "indices of 3 users and 4 items"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        said(**changes)
