"""An index in the folder of a recommender: read back, damaged, foreign, or left out."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from flatrec.data.builder import IndexedFeatures
from flatrec.data.encoded_items import EncodedItems
from flatrec.data.features import Features
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.ann import IndexSettings
from flatrec.inference.ann.files import FILE, read_index, write_index
from flatrec.inference.catalog import Catalog
from flatrec.inference.recommender import Recommender
from flatrec.inference.storage import load_recommender, save_recommender
from flatrec.models.scoring import ItemScores
from flatrec.utils.integrity import MANIFEST
from tests.inference.ann.conftest import N_ITEMS, N_USERS, SETTINGS, index, seen, vectors

pytest.importorskip("faiss")


def recommender():
    users, items = (
        Vocabulary(kind, [f"{kind} {n}" for n in range(size)]) for kind, size in (("user", N_USERS), ("item", N_ITEMS))
    )
    catalog = Catalog(items, np.ones(N_ITEMS), np.zeros(N_ITEMS, dtype=np.bool_))
    return Recommender(vectors(), users, catalog, seen(), seen()).with_index(SETTINGS)


def test_a_saved_index_gives_the_same_lists(tmp_path):
    before = recommender()
    save_recommender(before, tmp_path / "saved")
    after = load_recommender(tmp_path / "saved")
    assert after.index.facts == before.index.facts
    users = list(before.users)
    assert after.recommend(users, 7) == before.recommend(users, 7)
    save_recommender(after, tmp_path / "again")
    for file in (tmp_path / "saved").iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_an_index_can_be_left_out(tmp_path, monkeypatch):
    before = recommender()
    save_recommender(before, tmp_path / "saved")
    monkeypatch.setitem(sys.modules, "faiss", None)  # importing it fails
    exact = load_recommender(tmp_path / "saved", index=False)
    assert exact.index is None
    assert exact.recommend("user 3", 7) == replace(before, index=None).recommend("user 3", 7)
    with pytest.raises(ModuleNotFoundError, match="flatrec\\[ann\\]"):
        load_recommender(tmp_path / "saved").recommend("user 3", 7)


def test_every_damage_is_noticed(tmp_path):
    entry = write_index(index(), tmp_path)
    written = (tmp_path / FILE).read_bytes()
    for position in np.linspace(0, len(written) - 1, 50).astype(int).tolist():
        damaged = bytearray(written)
        damaged[position] ^= 1
        (tmp_path / FILE).write_bytes(damaged)
        with pytest.raises(ValueError, match="index.faiss is damaged, or was changed"):
            _ = read_index(tmp_path, entry).graph


def test_a_damaged_index_is_noticed_when_the_folder_is_loaded(tmp_path):
    save_recommender(recommender(), tmp_path / "saved")
    assert FILE in (tmp_path / "saved" / MANIFEST).read_text()
    file = tmp_path / "saved" / FILE
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match="index.faiss is damaged"):
        load_recommender(tmp_path / "saved")


def test_the_index_of_other_vectors_is_refused(tmp_path):
    entry = write_index(index(), tmp_path)
    with pytest.raises(ValueError, match="is no index of 1999 items of 12 columns"):
        _ = read_index(tmp_path, {**entry, "n_items": 1999}).graph
    with pytest.raises(ValueError, match="recall"):
        read_index(tmp_path, {**entry, "recall": 2.0})
    (tmp_path / FILE).write_bytes(b"no index")
    foreign = {**entry, "digest": "8e2a0b3c"}
    with pytest.raises(ValueError, match="damaged"):
        _ = read_index(tmp_path, foreign).graph


def test_only_vectors_have_an_index():
    scores = ItemScores(torch.ones(N_ITEMS), N_USERS)
    with pytest.raises(ValueError, match="an index is of item vectors"):
        replace(recommender(), scoring=scores)
    with pytest.raises(ValueError, match="an index is of item vectors"):
        replace(recommender(), scoring=scores, index=None).with_index(IndexSettings(min_items=1))


def test_answers_by_an_index_obey_the_filters_of_a_request():
    known = recommender()
    (found,) = known.recommend("user 3", 50, exclude=[f"item {n}" for n in range(0, N_ITEMS, 2)])
    assert len(found) == 50
    assert all(int(one.item.split()[1]) % 2 for one in found)
    assert not {known.items.index_of(one.item) for one in found} & set(seen()[[3]].indices.tolist())
    (few,) = known.recommend("user 3", 50, items=["item 1", "item 2"])
    assert {one.item for one in few} <= {"item 1", "item 2"}


def test_items_that_join_later_are_listed_beside_those_of_the_index(tmp_path):
    known = recommender()
    features = Features(vectors().items.numpy(), np.ones(N_ITEMS, dtype=np.bool_))
    known = replace(known, catalog=replace(known.catalog, features={"text": features}))
    best = [int(known.recommend(user, 1)[0][0].item.split()[1]) for user in known.users]
    arrivals = IndexedFeatures([f"new {n}" for n in best[:20]], features.values[best[:20]], "text_feat.npy")
    joined = known.with_items(EncodedItems(tuple(dict.fromkeys(arrivals.ids)), {"text": first_of_each(arrivals)}))
    assert joined.index is known.index
    save_recommender(joined, tmp_path / "joined")
    for answers in (joined, load_recommender(tmp_path / "joined")):
        by_index = answers.rank(list(known.users), 10).items
        exact = replace(answers, index=None).rank(list(known.users), 10).items
        assert (by_index == exact).float().mean() > 0.9
        assert (by_index >= N_ITEMS).sum() == (exact >= N_ITEMS).sum() > 10


def first_of_each(rows):
    positions = [rows.ids.index(name) for name in dict.fromkeys(rows.ids)]
    return IndexedFeatures([rows.ids[position] for position in positions], rows.values[positions], rows.source)
