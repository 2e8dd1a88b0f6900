"""A new item's vector: what it recommends, what it depends on, and what it is by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flatrec.data.features import Features
from flatrec.inference.cold_start import check_supported, embed_new_items, join_new_items
from flatrec.inference.known_items import KnownItems
from flatrec.inference.nearest_items import mean_rows, neighbor_weights
from flatrec.inference.run import Run, user_item_embeddings
from flatrec.models import BASELINES, FREEDOM, MODELS
from flatrec.testing import fit
from tests.inference.cold_start.conftest import USERS, data, encoded, new, only, trained
from tests.models.settings import WITH_VECTORS, make

BY_FEATURES = {"vbpr", "mmgcn", "grcn", "dualgnn", "slmrec"}
BLOCKS_OF_NEW = (2, 0, 1, 0, 2, 1)


@pytest.mark.parametrize("name", MODELS)
def test_a_new_item_of_a_block_is_recommended_to_its_users(name):
    joined = join_new_items(trained(name), encoded(BLOCKS_OF_NEW))
    lists = joined.recommender.recommend(list(data().users), 2, items=joined.items.ids)
    for user, one in enumerate(lists):
        wanted = {f"new {place}" for place, block in enumerate(BLOCKS_OF_NEW) if block == user // USERS}
        assert {found.item for found in one} == wanted, (user, one)


@pytest.mark.parametrize("name", MODELS)
def test_the_method_is_that_of_the_class(name):
    method = "features" if name in BY_FEATURES else "nearest"
    assert method == MODELS[name].COLD
    assert method == embed_new_items(trained(name), new((0,))).method


@pytest.mark.parametrize("name", MODELS)
def test_a_vector_does_not_depend_on_the_other_new_items(name):
    items = new(BLOCKS_OF_NEW, lacking={"image": (1, 4), "text": (2,)})
    together = embed_new_items(trained(name), items).new_items
    assert together.std(dim=0).max() > 1e-3
    for number in range(len(BLOCKS_OF_NEW)):
        alone = embed_new_items(trained(name), only(items, number)).new_items
        torch.testing.assert_close(alone[0], together[number], atol=1e-5, rtol=0)


def test_another_method_can_be_asked_for_if_the_model_supports_it():
    items, run = new(BLOCKS_OF_NEW), trained("vbpr")
    nearest = embed_new_items(run, items, method="nearest")
    assert nearest.method == "nearest"
    weights = neighbor_weights(KnownItems.of(run.dataset), items.features)
    torch.testing.assert_close(nearest.new_items, mean_rows(weights, nearest.known_items))
    assert not torch.allclose(nearest.new_items, embed_new_items(run, items).new_items)
    with pytest.raises(
        ValueError, match="FREEDOM does not embed an item by its own features alone.*choose method nearest"
    ):
        embed_new_items(trained("freedom"), items, method="features")


@pytest.mark.parametrize("name", ["freedom", "dragon", "lgmrec"])
def test_models_that_mix_items_would_fail_that_by_their_equations(name, monkeypatch):
    monkeypatch.setattr(MODELS[name], "COLD", "features")
    items = new(BLOCKS_OF_NEW)
    together = embed_new_items(trained(name), items).new_items
    alone = embed_new_items(trained(name), only(items, 0)).new_items
    assert (alone[0] - together[0]).abs().max() > 1e-3


@pytest.mark.parametrize("name", MODELS)
def test_users_known_items_and_parameters_stay_bit_for_bit(name):
    run = trained(name)
    before = {key: value.clone() for key, value in run.model.state_dict().items()}
    users, known = user_item_embeddings(run.model)
    state = torch.random.get_rng_state()
    embeddings = embed_new_items(run, new(BLOCKS_OF_NEW))
    assert torch.equal(embeddings.users, users)
    assert torch.equal(embeddings.known_items, known)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in run.model.state_dict().items())


def gaps(seed=0):
    """The block data, an item in five of which lacks images."""
    dataset = data()
    image = dataset.features["image"]
    present = np.random.default_rng(seed).random(len(image.present)) > 0.2
    return dataset.with_features({**dataset.features, "image": Features(image.values, present)})


@pytest.mark.parametrize("missing", ["mean", "zero", "learned"])
@pytest.mark.parametrize("known_lack", [True, False])
def test_vbpr_is_its_equation_whatever_stands_in_for_a_missing_image(missing, known_lack):
    dataset = gaps() if known_lack else data()
    model = make("vbpr", dataset, missing_modality=missing)
    fit(model, dataset, epochs=3)
    run = Run(dataset, model)
    items = new((0, 1, 2), dataset, lacking={"image": (1,)})
    found = embed_new_items(run, items).new_items
    known = dataset.features["image"]
    row = torch.tensor(known.values[known.present].mean(axis=0)) * (missing != "zero")
    if missing == "learned" and known_lack:
        row = model.features.tables[0].stand_in.detach()
    table = torch.tensor(items.features["image"].values)
    table[1] = row
    seen = torch.cat([table, torch.tensor(items.features["text"].values)], dim=1)
    weights = neighbor_weights(KnownItems.of(dataset), items.features)
    with torch.no_grad():
        expected = torch.cat([mean_rows(weights, model.items), model.projection(seen)], dim=1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_nearest_is_the_mean_direction_at_the_mean_length():
    run, items = trained("lightgcn"), new((0, 1))
    known = user_item_embeddings(run.model)[1]
    weights = torch.tensor(neighbor_weights(KnownItems.of(run.dataset), items.features, 3).toarray()).float()
    expected = torch.nn.functional.normalize(weights @ known, dim=1) * (weights @ known.norm(dim=1))[:, None]
    torch.testing.assert_close(embed_new_items(run, items, n_neighbors=3).new_items, expected)


def test_with_one_neighbor_of_the_same_features_the_vector_is_its_own():
    run = trained("bpr")
    features = {name: Features(one.values[5:6], one.present[5:6]) for name, one in run.dataset.features.items()}
    items = new((0,))
    same = type(items)(items.ids, features, items.rows)
    torch.testing.assert_close(
        embed_new_items(run, same, n_neighbors=1).new_items[0], user_item_embeddings(run.model)[1][5]
    )


def test_the_row_of_ids_is_that_of_the_nearest_item_where_users_come_before_items():
    """GRCN without pairs: [unit(id row), a unit vector a modality]; its table holds users, then items."""
    run = trained("grcn")
    features = {name: Features(one.values[5:6], one.present[5:6]) for name, one in run.dataset.features.items()}
    items = new((0,))
    (found,) = embed_new_items(run, type(items)(items.ids, features, items.rows), n_neighbors=1).new_items
    expected = torch.nn.functional.normalize(run.model.nodes[data().n_users + 5].detach(), dim=0)
    torch.testing.assert_close(found[:8], expected)
    torch.testing.assert_close(found[8:].unflatten(0, (2, 7)).norm(dim=1), torch.ones(2))


def test_a_modality_that_no_known_item_has_counts_for_nothing():
    dataset = data()
    nobody = Features(dataset.features["image"].values, np.zeros(dataset.n_items, dtype=bool))
    bare = dataset.with_features({**dataset.features, "image": nobody})
    model = make("vbpr", bare)
    fit(model, bare, epochs=3)
    items = new((0, 1, 2), bare, lacking={"text": (1,)})
    assert items.ids == ("new 0", "new 2")
    assert items.without_features == ("new 1",)
    other = new((0, 1, 2), bare, lacking={"text": (1,), "image": (0, 1, 2)})
    run = Run(bare, model)
    torch.testing.assert_close(embed_new_items(run, items).new_items, embed_new_items(run, other).new_items)


def test_known_items_are_listed_too_except_those_of_the_user():
    run = trained("lightgcn")
    joined = join_new_items(run, encoded((0, 0, 1)))
    embeddings = embed_new_items(run, joined.items)
    (found,) = joined.recommender.recommend("user 0", 100)
    names = [one.item for one in found]
    bought = run.dataset.interactions
    hidden = {run.dataset.items[item] for item in bought.items[bought.users == 0].tolist()}
    assert len(hidden) == 8
    assert sorted(names) == sorted({*run.dataset.items, "new 0", "new 1", "new 2"} - hidden)
    assert {"new 0", "new 1"} == set(names[:2])
    assert [one.new for one in found] == [name.startswith("new") for name in names]
    scores = dict(zip(names, [one.score for one in found], strict=True))
    users, known = user_item_embeddings(run.model)
    assert scores["item 9"] == pytest.approx(float(users[0] @ known[9]), rel=1e-5)
    unscaled = float(embeddings.users[0] @ embeddings.new_items[2])
    assert scores["new 2"] == pytest.approx(joined.calibration.scale * unscaled, rel=1e-5)


@pytest.mark.parametrize("name", sorted(set(BASELINES) - WITH_VECTORS - {"content-knn", "hybrid-knn"}))
def test_a_baseline_without_vectors_cannot_embed_new_items(name):
    with pytest.raises(ValueError, match="has no vectors of items"):
        check_supported(Run(data(), BASELINES[name](data())))


@pytest.mark.parametrize("name", sorted(WITH_VECTORS))
def test_a_baseline_with_vectors_embeds_new_items_by_the_nearest_ones_alone(name):
    run = Run(data(), BASELINES[name](data()))
    assert check_supported(run)[1] == check_supported(run, method="nearest")[1] == "nearest"
    with pytest.raises(ValueError, match="choose method nearest"):
        check_supported(run, method="features")


def test_without_features_no_item_can_be_embedded():
    bare = data().with_features({})
    with pytest.raises(ValueError, match="has none; add features"):
        check_supported(Run(bare, make("bpr", bare)))


def test_a_table_that_does_not_grow_with_the_items_is_refused():
    class Transposed(FREEDOM):
        COLD = "features"

        def __init__(self, dataset, config=None):
            super().__init__(dataset, config)
            self.columns = torch.nn.Parameter(torch.zeros(4, dataset.n_items))

    run = Run(data(), Transposed(data(), Transposed.Config(embedding_dim=4, n_neighbors=3)).eval())
    with pytest.raises(ValueError, match=r"tables with one row per item.*\(4, 24\) became \(4, 26\) with 2 more"):
        embed_new_items(run, new((0, 1)))
