"""Data at the edge: a clear error, or finite graphs and representations."""

import numpy as np
import pytest
import torch

from flatrec import testing
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.groups import Groups
from flatrec.data.interactions import Interactions
from flatrec.data.vocabulary import Vocabulary
from flatrec.models import BASELINES, MODELS
from flatrec.ops.spmm import Graph
from flatrec.sampling.sampler import Sampler
from flatrec.utils import seeding
from tests.models.settings import NEEDS_GROUPS, SETTINGS, make


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
        groups=Groups(np.array([0]), np.array([n_users - 1]), n_users) if n_users > 1 else None,
    )


def check_finite(model, dataset):
    """Every graph, and what is computed over it, in and before an epoch."""
    for epoch in (1, 2):
        testing.check_embeddings(model, dataset)
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
    if name in NEEDS_GROUPS and dataset.groups is None:
        with pytest.raises(ValueError, match="needs groups of users, but 'edge' has none"):
            make(name, dataset)
        return
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


def test_more_neighbors_of_images_than_items_are_refused():
    with pytest.raises(ValueError, match="n_image_neighbors must be at most 24, the number of items, but is 25"):
        make("smore", testing.block_dataset(), n_image_neighbors=25)


@pytest.mark.parametrize("name", ["cohesion", "dualgnn", "dragon"])
def test_more_user_neighbors_than_users_are_as_many_as_there_are(name):
    dataset = testing.block_dataset()
    most, more = (make(name, dataset, n_user_neighbors=count) for count in (29, 500))
    assert torch.equal(testing.scores(most), testing.scores(more))


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0)])
def test_data_without_users_or_items_are_refused(sizes):
    with pytest.raises(ValueError, match=r"at least one user and one item, but .* has"):
        data([], [], *sizes)


def out_of_range(kind):
    """Values beside the range of each setting, as the types of the settings say."""
    for setting, one in kind.Config.model_fields.items():
        assert one.annotation not in (int, float) or one.metadata, f"{kind.__name__}: {setting} has no range"
        for limits in one.metadata:
            yield setting, one.annotation(limits.gt if limits.ge is None else limits.ge - 1)
            if limits.le is not None or limits.lt is not None:
                yield setting, one.annotation(limits.lt if limits.le is None else limits.le + 1)


ALL = {**MODELS, **BASELINES}
BAD = [pytest.param(ALL[name], *bad, id=f"{name} {bad[0]}={bad[1]}") for name in ALL for bad in out_of_range(ALL[name])]


@pytest.mark.parametrize(("kind", "setting", "value"), [*BAD, (MODELS["ngcf"], "hidden_dims", (8, 0))])
def test_settings_out_of_range_are_refused_by_name(kind, setting, value):
    with pytest.raises(ValueError, match=rf"^{setting}(\[1\])? must (be (at least|at most|above)|lie in)"):
        kind.Config(**{setting: value})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e39])
def test_numbers_that_float32_does_not_hold_are_refused(value):
    with pytest.raises(ValueError, match="^reg_weight must be "):
        MODELS["bpr"].Config(reg_weight=value)


def test_settings_of_another_class_are_refused():
    with pytest.raises(ValueError, match=r"must be a BPR.Config, but are of type LightGCN.Config; write BPR\(dataset"):
        MODELS["bpr"](testing.block_dataset(), MODELS["lightgcn"].Config())


def test_a_weight_that_no_term_of_the_loss_uses_is_refused():
    dataset = testing.block_dataset()
    model = make("bpr", dataset)
    model.loss_weights = {"norm": 0.5}
    with pytest.raises(ValueError, match="loss_weights has 'norm', but the terms of the loss are ranking, norms"):
        model.loss(model.encode(), testing.whole_batch(dataset))
