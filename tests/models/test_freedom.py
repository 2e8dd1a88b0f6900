from dataclasses import replace

import numpy as np
import pytest
import torch

from flatrec import testing
from flatrec.data.features import Features
from flatrec.graphs.knn import knn_matrix, modality_weights
from flatrec.models import FREEDOM
from flatrec.models.losses import bpr_loss_of_differences, gather_embeddings
from flatrec.utils import seeding

SETTINGS = {"embedding_dim": 8, "n_neighbors": 4}


@pytest.fixture
def dataset():
    return testing.block_dataset()


def freedom(dataset, seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return FREEDOM(dataset, FREEDOM.Config(**SETTINGS | options))


def test_a_data_set_without_features_is_refused():
    with pytest.raises(ValueError, match="needs item features.*'blocks' has none.*lightgcn"):
        freedom(testing.block_dataset(modalities=()))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["image", "text"], {"image": 0.3, "text": 0.7}),
        (["text", "image", "sound"], {"image": 0.3, "text": 0.35, "sound": 0.35}),
        (["image"], {"image": 1.0}),
        (["text"], {"text": 1.0}),
        (["text", "sound"], {"text": 0.5, "sound": 0.5}),
    ],
)
def test_shares_of_the_modalities(names, expected):
    assert modality_weights(dict.fromkeys(names), 0.3) == pytest.approx(expected)


@pytest.mark.parametrize("names", [("image", "text"), ("image", "text", "sound"), ("text",), ("my features 2",)])
def test_the_item_graph_is_the_weighted_sum_of_one_graph_a_modality(names):
    dataset = testing.block_dataset(modalities=names)
    model = freedom(dataset, image_weight=0.3)
    weights = modality_weights(dict.fromkeys(names), 0.3)
    expected = sum(weights[name] * knn_matrix(dataset.features[name].values, 4).toarray() for name in names)
    np.testing.assert_allclose(model.item_graph.coo().toarray(), expected, atol=1e-7)


@pytest.mark.parametrize(
    "names",
    [
        ("image", "text", "sound"),
        ("my features 2",),
        *((name,) for name in ("image.v2", "type", "keys", "items", "")),
    ],
)
def test_modalities_may_be_many_and_have_any_name(names):
    dataset = testing.block_dataset(modalities=names)
    model = freedom(dataset, features="trained")
    batch = testing.whole_batch(dataset)
    testing.check_gradients(model, batch)
    testing.check_pure(model, batch)
    testing.check_round_trip(model, freedom(dataset, seed=1, features="trained"))
    assert sum(one.numel() for one in model.features.parameters()) == sum(
        one.values.size for one in dataset.features.values()
    )


def test_the_loss_is_the_sum_of_one_bpr_for_the_ids_and_one_a_modality():
    dataset = testing.block_dataset(modalities=("image", "text", "sound"))
    model, batch = freedom(dataset, modality_weight=0.25), testing.whole_batch(dataset)
    encoded = model.train().encode()
    users, positives, negatives = gather_embeddings(encoded.node_embeddings, batch, dataset.n_users)
    expected = bpr_loss_of_differences(users, positives - negatives[:, 0])
    for (_, one), projection in zip(sorted(dataset.features.items()), model.projections, strict=True):
        table = torch.from_numpy(one.values.copy()) @ projection.weight.T
        expected = expected + 0.25 * bpr_loss_of_differences(
            users, table[batch.positives] - table[batch.negatives[:, 0]]
        )
    torch.testing.assert_close(model.loss(encoded, batch), expected)


def test_an_item_that_lacks_a_modality_gets_the_mean_of_the_others(dataset):
    present = np.ones(dataset.n_items, dtype=np.bool_)
    present[[2, 9]] = False
    image = Features(dataset.features["image"].values, present)
    model = freedom(dataset.with_features({**dataset.features, "image": image}))
    mean = dataset.features["image"].values[present].mean(axis=0)
    table = model.features()[model.features.names.index("image")].detach().numpy()
    np.testing.assert_allclose(table[[2, 9]], [mean, mean], atol=1e-6)
    np.testing.assert_array_equal(table[present], image.values[present])
    testing.check_gradients(model, testing.whole_batch(dataset))


def test_a_modality_that_all_items_lack_leaves_the_model_finite(dataset):
    nothing = Features(dataset.features["image"].values, np.zeros(dataset.n_items, dtype=np.bool_))
    incomplete = dataset.with_features({**dataset.features, "image": nothing})
    testing.check_embeddings(freedom(incomplete), incomplete)
    testing.check_pure(freedom(incomplete), testing.whole_batch(incomplete))


def test_frozen_features_stay_as_they_are_and_trained_ones_move(dataset):
    for features in ("trained", "frozen"):
        model = freedom(dataset, features=features)
        testing.fit(model, dataset, epochs=2)
        for table, (_, one) in zip(model.features(), sorted(dataset.features.items()), strict=True):
            assert np.array_equal(table.detach().numpy(), one.values) == (features == "frozen")
            assert table.requires_grad == (features == "trained")


def test_the_features_of_the_data_set_are_never_written(dataset):
    before = {name: one.values.copy() for name, one in dataset.features.items()}
    testing.fit(freedom(dataset), dataset, epochs=2)
    for name, values in before.items():
        np.testing.assert_array_equal(dataset.features[name].values, values)


def test_an_epoch_draws_a_graph_of_the_share_that_is_left(dataset):
    model = freedom(dataset, edge_dropout=0.4)
    n_pairs = dataset.interactions.count("train")
    model.on_epoch_start(seeding.generator(0, "model", 1))
    first = model.graph.dropped.coo()
    assert first.nnz == 2 * int(n_pairs * 0.6)
    model.on_epoch_start(seeding.generator(0, "model", 2))
    assert (first.toarray() != model.graph.dropped.coo().toarray()).any()
    assert model.graph.full.coo().nnz == 2 * n_pairs


def test_ranking_uses_the_full_graph_and_training_the_thinned_one(dataset):
    model = freedom(dataset, edge_dropout=0.6)
    before = testing.scores(model), model.train().encode().node_embeddings
    model.on_epoch_start(seeding.generator(0, "model", 1))
    assert torch.equal(testing.scores(model), before[0])
    assert not torch.equal(model.train().encode().node_embeddings, before[1])


def test_without_thinning_an_epoch_changes_nothing(dataset):
    model = freedom(dataset, edge_dropout=0.0)
    before = model.train().encode().node_embeddings
    model.on_epoch_start(seeding.generator(0, "model", 1))
    assert torch.equal(model.train().encode().node_embeddings, before)


def test_thinning_that_leaves_no_pair_still_trains(dataset):
    few = dataset.interactions
    chosen = np.flatnonzero(few.splits == 0)[:2]
    pairs = replace(few, users=few.users[chosen], items=few.items[chosen], splits=few.splits[chosen])
    tiny = replace(dataset, interactions=pairs)
    model = freedom(tiny, edge_dropout=0.9)
    model.on_epoch_start(seeding.generator(0, "model", 1))
    assert model.graph.dropped.coo().nnz == 0
    testing.check_gradients(model, testing.whole_batch(tiny))


def test_without_layers_the_vectors_are_the_table_and_twice_the_items(dataset):
    model = freedom(dataset, n_layers=0, n_item_layers=0)
    users, items = model.eval().user_item_embeddings(model.encode())
    table_users, table_items = model.nodes.split(model.sizes)
    assert torch.equal(users, table_users)
    torch.testing.assert_close(items, 2 * table_items)
