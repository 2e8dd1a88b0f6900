"""Any number of modalities by any name, and items that lack one."""

import numpy as np
import pytest
import torch

from flatrec import testing
from flatrec.data.features import Features
from flatrec.models.features import FeatureTables
from flatrec.utils import seeding
from tests.models.settings import FEATURES_IN_GRAPHS, MULTIMODAL, READING, make

pytestmark = pytest.mark.repeats


@pytest.fixture(params=MULTIMODAL)
def name(request):
    return request.param


def lacking(dataset, modality, items):
    """The same data, some items without one modality."""
    present = np.ones(dataset.n_items, dtype=np.bool_)
    present[items] = False
    features = Features(dataset.features[modality].values, present)
    return dataset.with_features({**dataset.features, modality: features})


def check(model, dataset):
    """What must hold whatever the modalities are."""
    batch = testing.whole_batch(dataset)
    model.on_epoch_start(seeding.generator(0, "model", 1))
    testing.check_pure(model, batch)
    testing.check_gradients(model, batch)
    testing.check_embeddings(model, dataset)


def test_a_data_set_without_features_is_refused(name):
    with pytest.raises(ValueError, match=r"needs item features.*'blocks' has none.*lightgcn"):
        make(name, testing.block_dataset(modalities=()))


@pytest.mark.parametrize(
    "names",
    [("image", "text", "audio"), ("image",), ("text",), ("sound",), ("a", "b", "c", "d"), ("image.v2", "type", "")],
    ids="+".join,
)
def test_modalities_may_be_many_and_have_any_name(name, names):
    dataset = testing.block_dataset(modalities=names)
    model = make(name, dataset)
    check(model, dataset)
    testing.check_round_trip(model, make(name, dataset, seed=1))


@pytest.mark.parametrize("modality", ["image", "text", "audio"])
def test_every_modality_matters(name, modality):
    dataset = testing.block_dataset(modalities=("image", "text", "audio"))
    values = np.random.default_rng(1).standard_normal(dataset.features[modality].values.shape).astype(np.float32)
    other = dataset.with_features(
        {**dataset.features, modality: Features(values, np.ones(dataset.n_items, dtype=np.bool_))}
    )
    batch = testing.whole_batch(dataset)
    losses = []
    for data in (dataset, other):
        model = make(name, data).eval()
        losses.append(model.loss(model.encode(), batch).item())
    assert losses[0] != pytest.approx(losses[1], rel=1e-6)


@pytest.mark.parametrize("missing", ["mean", "zero", "learned"])
@pytest.mark.parametrize("items", [[2, 9], list(range(24))], ids=["some", "all"])
def test_items_may_lack_a_modality(name, missing, items):
    if missing == "learned" and name in FEATURES_IN_GRAPHS:
        pytest.skip("a graph that is built once cannot be made of what is learned later")
    dataset = lacking(testing.block_dataset(modalities=("image", "text", "audio")), "image", items)
    model = make(name, dataset, missing_modality=missing)
    check(model, dataset)
    testing.check_round_trip(model, make(name, dataset, seed=1, missing_modality=missing))
    params = [one for one in model.parameters() if one.requires_grad]
    loss = model.train().loss(model.encode(), testing.whole_batch(dataset))
    gradients = torch.autograd.grad(loss, params, materialize_grads=True)
    assert max(one.abs().max() for one in gradients) < 1e3  # nothing is divided by a length of zero


@pytest.mark.parametrize("name", READING)
def test_a_learned_vector_is_trained_and_a_fixed_one_is_not(name):
    dataset = lacking(testing.block_dataset(), "image", [2, 9])
    sizes = {}
    for missing in ("mean", "zero", "learned"):
        model = make(name, dataset, missing_modality=missing)
        sizes[missing] = sum(one.numel() for one in model.parameters())
    assert sizes["learned"] == sizes["mean"] + dataset.features["image"].width
    assert sizes["zero"] == sizes["mean"]


@pytest.mark.parametrize("name", sorted(FEATURES_IN_GRAPHS))
def test_a_model_with_features_in_graphs_alone_learns_no_vector(name):
    with pytest.raises(ValueError, match=r"missing_modality.*'mean' or 'zero'"):
        make(name, testing.block_dataset(), missing_modality="learned")


@pytest.mark.parametrize("row", [0.0, 3.0], ids=["zeros", "constant"])
def test_rows_that_are_zero_or_constant_leave_everything_finite(name, row):
    dataset = testing.block_dataset()
    features = {}
    for modality, one in dataset.features.items():
        values = one.values.copy()
        values[[0, 5, 6]] = row
        features[modality] = Features(values, one.present)
    odd = dataset.with_features(features)
    check(make(name, odd), odd)
    same = dataset.with_features(
        {modality: Features(np.full_like(one.values, row), one.present) for modality, one in dataset.features.items()}
    )
    check(make(name, same), same)


class TestFeatureTables:
    """The one place where the policy is carried out."""

    @pytest.fixture
    def dataset(self):
        return lacking(testing.block_dataset(), "image", [2, 9])

    def table(self, dataset, **options):
        tables = FeatureTables(dataset, **options)
        return tables, tables()[tables.names.index("image")]

    def test_the_mean_is_that_of_the_items_that_have_the_modality(self, dataset):
        _, table = self.table(dataset)
        present = dataset.features["image"].present
        mean = dataset.features["image"].values[present].mean(axis=0)
        np.testing.assert_allclose(table[[2, 9]], [mean, mean], atol=1e-6)
        np.testing.assert_array_equal(
            table[torch.from_numpy(present.copy())], dataset.features["image"].values[present]
        )

    def test_zero_means_zero(self, dataset):
        _, table = self.table(dataset, missing_modality="zero")
        assert not table[[2, 9]].any()

    @pytest.mark.parametrize("trained", [False, True])
    def test_the_learned_vector_begins_as_the_mean_and_is_one_for_all(self, dataset, trained):
        tables, table = self.table(dataset, missing_modality="learned", trained=trained)
        torch.testing.assert_close(table, self.table(dataset)[1])
        vectors = [one for key, one in tables.named_parameters() if key.endswith("stand_in")]
        (gradient,) = torch.autograd.grad(table.sum(), vectors)
        assert torch.equal(gradient, torch.full_like(gradient, 2))

    @pytest.mark.parametrize("items", [[], list(range(24))], ids=["none", "all"])
    def test_where_no_item_lacks_it_or_none_has_it_nothing_is_learned(self, items):
        dataset = lacking(testing.block_dataset(), "image", items)
        assert not list(FeatureTables(dataset, missing_modality="learned").parameters())

    def test_a_learned_row_is_normalized_like_the_others(self, dataset):
        tables = FeatureTables(dataset, missing_modality="learned", normalized=["image"])
        with torch.no_grad():
            for one in tables.parameters():
                one.mul_(7)
        torch.testing.assert_close(tables()[0].norm(dim=1), torch.ones(24))

    @pytest.mark.parametrize("scale", [1e-25, 1e25])
    def test_rows_of_any_length_keep_their_direction(self, scale):
        dataset = testing.block_dataset()
        plain = FeatureTables(dataset, normalized=["image"])()[0]
        one = dataset.features["image"]
        scaled = dataset.with_features({"image": Features((one.values * scale).astype(np.float32), one.present)})
        torch.testing.assert_close(FeatureTables(scaled, normalized=["image"])()[0], plain)

    def test_frozen_tables_are_not_saved_and_trained_ones_are(self, dataset):
        assert not FeatureTables(dataset).state_dict()
        assert len(FeatureTables(dataset, trained=True).state_dict()) == 2

    def test_rows_can_be_brought_to_length_one(self, dataset):
        _, table = self.table(dataset, normalized=["image"], missing_modality="zero")
        lengths = table.norm(dim=1)
        assert torch.equal(lengths[[2, 9]], torch.zeros(2))
        torch.testing.assert_close(lengths[lengths > 0], torch.ones(22))
