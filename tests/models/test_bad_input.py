"""Data at the edge: a clear error, or finite graphs and representations."""

import numpy as np
import pytest
import torch

from flatrec import testing
from flatrec.data.batches import Sampler
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.interactions import Interactions
from flatrec.data.vocabulary import Vocabulary
from flatrec.models import MODELS
from flatrec.ops.spmm import Graph
from flatrec.utils import seeding
from tests.models.settings import SETTINGS, make


@pytest.fixture(params=sorted(MODELS))
def name(request):
    return request.param


def data(users, items, n_users, n_items, parts=None):
    """A data set with two modalities from bare numbers."""
    stream = np.random.default_rng(0)
    everywhere = np.ones(n_items, dtype=np.bool_)
    return Dataset(
        "edge",
        Interactions(*(np.array(one, np.int32) for one in (users, items, parts or [0] * len(users))), n_users, n_items),
        Vocabulary("user", [str(number) for number in range(n_users)]),
        Vocabulary("item", [str(number) for number in range(n_items)]),
        {
            modality: Features(stream.standard_normal((n_items, width)).astype(np.float32), everywhere)
            for modality, width in (("image", 4), ("text", 5))
        },
    )


def check_finite(model, dataset):
    """Every graph, and what is computed over it, in and before an epoch."""
    for epoch in (1, 2):
        testing.check_representations(model, dataset)
        for _, module in model.named_modules():
            if isinstance(module, Graph):
                assert np.isfinite(module.coo().data).all()
        model.on_epoch_start(seeding.generator(0, "model", epoch))
    assert model.train().encode().node_embeddings.isfinite().all()


ONE_OF_A_KIND = {
    "one user": data([0, 0], [0, 2], 1, 5),
    "one user with one pair": data([0], [1], 1, 5),
    "users and items without a training pair": data([0, 0, 2, 3], [0, 1, 1, 3], 4, 6, [0, 0, 0, 1]),
    "no common item": data([0, 1, 2], [0, 1, 2], 3, 5),
}


@pytest.mark.parametrize("kind", ONE_OF_A_KIND)
def test_small_data_train_and_stay_finite(name, kind):
    dataset = ONE_OF_A_KIND[kind]
    model = make(name, dataset)
    check_finite(model, dataset)
    testing.check_gradients(model, testing.whole_batch(dataset))


def test_one_item_gives_finite_vectors_or_a_clear_error_and_cannot_be_trained_on(name):
    dataset = data([0, 1], [0, 0], 3, 1)
    if "n_neighbors" in SETTINGS[name]:
        with pytest.raises(ValueError, match=r"n_neighbors must lie in \[1, 1\], the number of items, but is 4"):
            make(name, dataset)
    options = {"n_neighbors": 1} if "n_neighbors" in SETTINGS[name] else {}
    check_finite(make(name, dataset, **options), dataset)
    with pytest.raises(ValueError, match="an item without one"):
        Sampler(dataset.interactions, 2)


def test_a_part_without_training_pairs_gives_finite_vectors(name):
    dataset = data([0, 1], [0, 2], 2, 5, [1, 2])
    check_finite(make(name, dataset), dataset)


@pytest.mark.parametrize("name", [name for name in MODELS if "n_neighbors" in SETTINGS[name]])
def test_more_neighbors_than_items_are_refused(name):
    with pytest.raises(ValueError, match=r"n_neighbors must lie in \[1, 24\].*but is 25"):
        make(name, testing.block_dataset(), n_neighbors=25)


@pytest.mark.parametrize("name", ["dualgnn", "dragon"])
def test_more_user_neighbors_than_users_are_as_many_as_there_are(name):
    dataset = testing.block_dataset()
    most, more = (make(name, dataset, n_user_neighbors=count) for count in (29, 500))
    assert torch.equal(testing.scores(most), testing.scores(more))


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0)])
def test_data_without_users_or_items_are_refused(sizes):
    with pytest.raises(ValueError, match=r"at least one user and one item, but .* has"):
        data([], [], *sizes)


BAD = {
    "bpr": [{"embedding_dim": 0}, {"reg_weight": -1.0}],
    "ngcf": [
        {"embedding_dim": 0},
        {"hidden_dims": (8, 0)},
        {"message_dropout": 1.0},
        {"node_dropout": -0.1},
        {"reg_weight": -1.0},
    ],
    "lightgcn": [{"n_layers": -1}, {"reg_weight": -1.0}, {"embedding_dim": 0}],
    "layergcn": [{"n_layers": 0}, {"edge_dropout": 1.0}, {"reg_weight": float("nan")}, {"embedding_dim": 0}],
    "vbpr": [{"embedding_dim": 0}, {"reg_weight": -1.0}],
    "mmgcn": [{"embedding_dim": 0}, {"n_layers": 0}, {"hidden_dim": 0}, {"reg_weight": -1.0}],
    "grcn": [{"embedding_dim": 0}, {"modality_dim": 0}, {"n_routings": -1}, {"reg_weight": -1.0}],
    "dualgnn": [
        {"embedding_dim": 0},
        {"hidden_dim": 0},
        {"n_layers": -1},
        {"n_user_neighbors": 0},
        {"reg_weight": -1.0},
    ],
    "lattice": [
        {"modality_dim": 0},
        {"raw_fraction": 1.1},
        {"n_item_layers": -1},
        {"n_layers": -1},
        {"reg_rows": 0},
        {"reg_weight": -1.0},
    ],
    "slmrec": [{"embedding_dim": 1}, {"temperature": 0.0}, {"alignment_temperature": -1.0}, {"alignment_weight": -1.0}],
    "bm3": [{"dropout": 1.0}, {"n_layers": -1}, {"reg_weight": -1.0}, {"modality_weight": -1.0}, {"embedding_dim": 0}],
    "freedom": [{"edge_dropout": 1.0}],  # the others in test_freedom.py
    "dragon": [
        {"image_weight": 1.1},
        {"n_item_layers": -1},
        {"n_user_neighbors": 0},
        {"embedding_dim": 0},
        {"reg_weight": -1.0},
    ],
    "lgmrec": [
        {"n_hyperedges": 0},
        {"n_hyper_layers": 0},
        {"dropout": 1.0},
        {"temperature": 0.0},
        {"reg_weight": -1.0},
    ],
}


@pytest.mark.parametrize(("name", "option"), [(name, option) for name, options in BAD.items() for option in options])
def test_settings_out_of_range_are_refused_by_name(name, option):
    ((setting, _),) = option.items()
    with pytest.raises(ValueError, match=rf"^{setting}(\[1\])? must (be (at least|above)|lie in)"):
        make(name, testing.block_dataset(), **option)


def test_every_model_is_offered_bad_settings():
    assert set(BAD) == set(MODELS)
