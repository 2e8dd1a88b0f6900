"""New items in a recommender: what becomes of the known ones, on which scale they are, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from scipy import sparse

from flatrec.data.builder import IndexedFeatures
from flatrec.data.encoded_items import EncodedItems
from flatrec.data.features import Features
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.catalog import Catalog
from flatrec.inference.joining import ItemDetails, join_nearest
from flatrec.inference.known_items import KnownItems
from flatrec.inference.nearest_items import mean_rows, neighbor_weights
from flatrec.inference.recommender import Recommender
from flatrec.inference.run import Run
from flatrec.inference.storage import load_recommender, save_recommender
from flatrec.models import BASELINES
from flatrec.models.scoring import Vectors
from tests.inference.cold_start.conftest import data, encoded, new, trained
from tests.models.settings import WITH_VECTORS


def recommender():
    return trained("lightgcn").recommender


def test_a_new_item_has_the_average_of_its_neighbors_times_the_scale():
    joined = join_nearest(recommender(), encoded((0, 1)), n_neighbors=3)
    weights = neighbor_weights(KnownItems.of(data()), new((0, 1)).features, 3)
    expected = joined.calibration.scale * mean_rows(weights, recommender().scoring.items)
    torch.testing.assert_close(joined.recommender.scoring.items[-2:], expected)
    assert joined.method == "nearest"


def test_known_items_answer_as_before_to_the_last_bit():
    before, after = recommender(), recommender().with_items(encoded((0, 1, 2)))
    assert torch.equal(after.scoring.items[: len(before.items)], before.scoring.items)
    users = list(before.users)
    one, other = (each.recommend(users, 5, items=list(before.items)) for each in (before, after))
    assert one == other
    assert len(before.items) == 24  # the first one is as it was
    assert before.catalog.new.sum() == 0


def test_a_new_item_is_recommended_compared_and_scored_as_any_other():
    after = recommender().with_items(encoded((1,)))
    (found,) = after.recommend("user 12", 1)
    assert (found[0].item, found[0].new, found.path) == ("new 0", True, "known")
    (similar,) = after.similar("new 0", 8)
    assert {one.item for one in similar} == {f"item {index}" for index in range(8, 16)}
    assert similar.path == "cold-item"
    assert after.score("user 12", "new 0")[0, 0] == pytest.approx(found[0].score, rel=1e-5)


def test_the_scale_does_not_depend_on_items_that_joined_before():
    first = join_nearest(recommender(), encoded((0, 1)))
    second = join_nearest(first.recommender, encoded((2, 0), names=["c", "d"], seed=5))
    alone = join_nearest(recommender(), encoded((2, 0), names=["c", "d"], seed=5))
    assert second.calibration == alone.calibration
    assert torch.equal(second.recommender.scoring.items[-2:], alone.recommender.scoring.items[-2:])
    assert list(second.recommender.items)[-4:] == ["new 0", "new 1", "c", "d"]
    assert second.recommender.catalog.new.tolist() == [False] * 24 + [True] * 4


def test_a_saved_recommender_needs_no_data_to_be_joined(tmp_path):
    save_recommender(recommender(), tmp_path / "saved")
    loaded = load_recommender(tmp_path / "saved").with_items(encoded((0, 1)))
    assert torch.equal(loaded.scoring.items, recommender().with_items(encoded((0, 1))).scoring.items)
    save_recommender(loaded, tmp_path / "joined")
    again = load_recommender(tmp_path / "joined")
    assert again.recommend("user 3", 5) == loaded.recommend("user 3", 5)
    assert again.catalog.new.tolist() == [False] * 24 + [True] * 2


def test_details_follow_the_items_that_are_new(tmp_path):
    known = recommender()
    columns = pl.DataFrame({"price": [float(index) for index in range(24)], "color": ["red", "blue"] * 12})
    known = replace(known, catalog=replace(known.catalog, columns=columns, titles=tuple("abcdefgh" * 3)))
    details = ItemDetails(
        titles=["no", "mug", None],
        images=[None, tmp_path / "mug.png", None],
        columns=pl.DataFrame({"price": [0, 7, 8]}),
    )
    after = known.with_items(encoded((0, 1, 2), names=["item 3", "mug", "lamp"]), details)
    assert after.catalog.titles == (*"abcdefgh" * 3, "mug", None)
    assert after.catalog.images == (*[None] * 24, tmp_path / "mug.png", None)
    assert after.catalog.columns.tail(2).rows() == [(7.0, None), (8.0, None)]
    (found,) = after.recommend("user 12", 3, where="price >= 7.0 and new = true")
    assert [(one.item, one.title) for one in found] == [("mug", "mug"), ("lamp", None)]


@pytest.mark.parametrize(
    ("details", "message"),
    [
        (ItemDetails(titles=["a"]), "titles must have one value for each of 2 new items, but has 1"),
        (ItemDetails(columns=pl.DataFrame({"size": [1, 2]})), "have a column 'size', but .* are price; leave it out"),
        (ItemDetails(columns=pl.DataFrame({"price": ["1", "dear"]})), "'price' .* must hold values of type Float64"),
    ],
)
def test_details_that_do_not_fit_are_refused_in_one_line(details, message):
    known = recommender()
    known = replace(known, catalog=replace(known.catalog, columns=pl.DataFrame({"price": [1.0] * 24})))
    with pytest.raises(ValueError, match=message) as refused:
        known.with_items(encoded((0, 1)), details)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", sorted(set(BASELINES) - WITH_VECTORS - {"content-knn", "hybrid-knn"}))
def test_a_baseline_without_vectors_is_not_joined(name):
    with pytest.raises(ValueError, match="has no vectors of items"):
        Run(data(), BASELINES[name](data())).recommender.with_items(encoded((0,)))


@pytest.mark.parametrize("name", sorted(WITH_VECTORS))
def test_a_baseline_with_vectors_is_joined_by_the_nearest_items(name):
    joined = Run(data(), BASELINES[name](data())).recommender.with_items(encoded((2,)))
    assert {one.user for one in joined.who_wants("new 0", 10)} == {f"user {index}" for index in range(20, 30)}


def test_without_features_nothing_joins():
    bare = replace(recommender(), catalog=replace(recommender().catalog, features={}))
    with pytest.raises(ValueError, match="data set 'blocks' has none; add features"):
        bare.with_items(encoded((0,)))


def synthetic(n_users=60, n_items=90, dim=6):
    """A recommender whose items have features that are close to their vectors."""
    stream = np.random.default_rng(0)
    users, items = (torch.tensor(stream.random((n, dim)), dtype=torch.float32) for n in (n_users, n_items))
    seen = sparse.random_array((n_users, n_items), density=0.1, rng=stream, format="csr")
    features = (items.numpy() + 0.2 * stream.standard_normal((n_items, dim))).astype(np.float32)
    catalog = Catalog(
        Vocabulary("item", [f"item {index}" for index in range(n_items)]),
        np.ones(n_items),
        np.zeros(n_items, dtype=np.bool_),
        features={"text": Features(features, np.ones(n_items, dtype=np.bool_))},
    )
    names = Vocabulary("user", [f"user {index}" for index in range(n_users)])
    return Recommender(Vectors(users, items), names, catalog, seen, seen)


def test_known_items_hold_as_many_places_as_new_ones_as_when_they_were_trained():
    arrivals = IndexedFeatures(["a", "b"], np.random.default_rng(1).random((2, 6)), "text_feat.npy")
    found = join_nearest(synthetic(), EncodedItems(("a", "b"), {"text": arrivals})).calibration
    assert (found.n_users, found.n_items, found.k, found.slots) == (60, 90, 10, 600)
    assert found.slots_before < 500
    assert found.slots_after == found.slots
    assert found.scale > 1.02
