"""AMR around every model with features: the formula, what stays as it was, and whole runs."""

import json

import numpy as np
import pytest
import torch

from flatrec import testing
from flatrec.api import fit, load_run, run_experiment
from flatrec.config import AMR, Component, Experiment, Training, read
from flatrec.data.features import Features
from flatrec.data.formats import mmrec
from flatrec.models import MODELS, VBPR, Adversarial, Encoded
from flatrec.models.features import FeatureTables
from flatrec.registry.instantiate import build_strategy
from flatrec.training.step_context import TrainStepContext
from flatrec.utils import seeding
from tests.models.settings import READING, make
from tests.training.kills import KillAt, Killed

DATA = testing.block_dataset()
EPSILON, WEIGHT = 0.3, 0.7
NEAR = {"rtol": 1e-9, "atol": 1e-10}
SHORT = Training(epochs=3, batch_size=32, loggers=())


@pytest.fixture(params=READING)
def name(request):
    return request.param


def begun(name, dataset=DATA, **options):
    """A model in the first step of its first epoch."""
    model = make(name, dataset, **options)
    model.on_epoch_start(seeding.generator(0, "model", 1))
    return model.train()


def lacking(items):
    """The data, some items without an image."""
    present = np.ones(DATA.n_items, dtype=np.bool_)
    present[items] = False
    return DATA.with_features({**DATA.features, "image": Features(DATA.features["image"].values, present)})


def trainable(model):
    return [one for one in model.parameters() if one.requires_grad]


def loss_of(model, batch, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return model.loss(model.encode(), batch)


def by_hand(model, batch, epsilon, weight):
    """Loss and gradients of the formula, row by row, with every pass written out and nothing shared between them."""
    (tables,) = [module for module in model.modules() if isinstance(module, FeatureTables)]
    params = trainable(model)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        leaves = [table.detach().clone().requires_grad_() for table in tables()]
        with tables.replaced(leaves):
            clean = model.loss(model.encode(), batch)
        slopes = torch.autograd.grad(clean, leaves, materialize_grads=True)
        deltas = [torch.zeros_like(slope) for slope in slopes]
        for delta, slope in zip(deltas, slopes, strict=True):
            for item, row in enumerate(slope):
                if row.abs().max() > 0:
                    delta[item] = epsilon * row / row.square().sum().sqrt()
        with tables.replaced([table + delta for table, delta in zip(tables(), deltas, strict=True)]):
            attacked = model.loss(model.encode(), batch)
        torch.manual_seed(0)
        again = model.loss(model.encode(), batch)
    of_clean, of_attacked = (torch.autograd.grad(one, params, materialize_grads=True) for one in (again, attacked))
    gradients = [one + weight * other for one, other in zip(of_clean, of_attacked, strict=True)]
    return clean + weight * attacked, gradients


def check_formula(name, model, batch):
    """The wrapper's loss and gradient are those worked by hand.

    Equal gradients say too that none flows through the noise, which is a constant in what is compared with.
    """
    # The search for neighbors in LATTICE is in single precision.
    model, near = (model, {"rtol": 1e-4, "atol": 1e-6}) if name == "lattice" else (model.double(), NEAR)
    expected, gradients = by_hand(model, batch, EPSILON, WEIGHT)
    loss = loss_of(Adversarial(model, epsilon=EPSILON, weight=WEIGHT), batch)
    found = torch.autograd.grad(loss, trainable(model), materialize_grads=True)
    torch.testing.assert_close(loss, expected, **near)
    for one, other in zip(found, gradients, strict=True):
        torch.testing.assert_close(one, other, **near)


def test_the_loss_and_its_gradient_are_those_of_the_formula(name):
    check_formula(name, begun(name), testing.whole_batch(DATA))


class TestNoise:
    @pytest.fixture
    def parts(self):
        """A model, what it encodes, and the noise of a batch that two items have no part in."""
        model = Adversarial(make("vbpr", DATA).double(), epsilon=EPSILON)
        batch = testing.whole_batch(DATA)
        there = (batch.positives > 1) & (batch.negatives[:, 0] > 1)
        batch = batch.with_indices(*(column[there] for column in batch.indices))
        encoded = model.encode()
        clean = model.model.loss(encoded, batch)
        return model, encoded, batch, clean, model.noise(clean, encoded.tables)

    def test_rows_have_length_epsilon_and_zero_where_the_loss_does_not_reach(self, parts):
        (noises,) = parts[-1]
        for noise in noises:
            assert torch.equal(noise[:2], torch.zeros_like(noise[:2]))
            torch.testing.assert_close(noise[2:].norm(dim=1), torch.full((22,), EPSILON, dtype=torch.float64))

    def test_it_is_the_direction_that_a_hand_worked_gradient_of_vbpr_gives(self, parts):
        wrapped, _, batch, _, ((image, _),) = parts
        model = wrapped.model
        n, dim = len(batch.users), model.items.shape[1]
        wide = torch.cat(model.features(), dim=1)
        seen = wide @ model.projection.weight.T + model.projection.bias
        items = torch.cat([model.items, seen], dim=1)
        users, positives, negatives = (
            table[number]
            for table, number in ((model.users, batch.users), (items, batch.positives), (items, batch.negatives[:, 0]))
        )
        margin = (users * (positives - negatives)).sum(dim=1)
        slope = -torch.sigmoid(-margin) / n  # of the mean of -log sigmoid
        hidden = torch.zeros_like(seen)
        hidden.index_add_(0, batch.positives, slope[:, None] * users[:, dim:])
        hidden.index_add_(0, batch.negatives[:, 0], -slope[:, None] * users[:, dim:])
        for block, numbers in ((positives, batch.positives), (negatives, batch.negatives[:, 0])):
            hidden.index_add_(0, numbers, model.config.reg_weight * block[:, dim:] / (block.norm() * n))
        gradient = hidden @ model.projection.weight[:, : model.features.widths[0]]
        expected = EPSILON * gradient[2:] / gradient[2:].norm(dim=1, keepdim=True)
        torch.testing.assert_close(image[2:], expected, **NEAR)

    def test_it_raises_the_loss(self, parts):
        wrapped, encoded, batch, clean, noises = parts
        assert not any(one.requires_grad for some in noises for one in some)
        assert wrapped.loss(encoded, batch) - clean > clean  # weight 1: what is left is the loss under noise

    def test_rows_of_a_vanishing_gradient_have_full_length(self, parts):
        wrapped, encoded, _, clean, _ = parts
        for some in wrapped.noise(clean * 1e-200, encoded.tables):
            for noise in some:
                torch.testing.assert_close(noise[2:].norm(dim=1), torch.full((22,), EPSILON, dtype=torch.float64))


def test_a_loss_is_pure_and_shares_what_is_encoded(name):
    wrapped = Adversarial(begun(name), epsilon=EPSILON, weight=WEIGHT)
    batch = testing.whole_batch(DATA)
    testing.check_pure(wrapped, batch)
    testing.check_registered(wrapped, batch)
    testing.check_gradients(wrapped, batch)
    testing.check_shared_encode(wrapped, batch)


class Counting(VBPR):
    """Counts what is encoded."""

    calls = 0

    def encode(self):
        type(self).calls += 1
        return super().encode()


def test_batches_share_the_pass_without_noise():
    Counting.calls = 0
    wrapped = Adversarial(Counting(DATA, VBPR.Config(embedding_dim=4)), epsilon=EPSILON)
    context = TrainStepContext(wrapped, torch.optim.SGD(wrapped.parameters(), lr=0.1))
    with torch.random.fork_rng():
        context.gradients(testing.whole_batch(DATA, 0), testing.whole_batch(DATA, 1))
    assert Counting.calls == 3  # one for both, and one each under noise


def test_both_passes_of_a_step_see_the_same_noise():
    wrapped = Adversarial(begun("lgmrec", dropout=0.5), epsilon=EPSILON)
    context = TrainStepContext(wrapped, torch.optim.SGD(wrapped.parameters(), lr=0.1))
    batch = testing.whole_batch(DATA)
    with torch.random.fork_rng():
        with context.step():
            (first,), _ = context.gradients(batch)
            (second,), _ = context.gradients(batch)
        (third,), _ = context.gradients(batch)
    assert first == second
    assert first != third


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_comes_near(precision):
    wrapped = Adversarial(make("vbpr", DATA), epsilon=EPSILON)
    batch = testing.whole_batch(DATA)
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.1)
    with torch.random.fork_rng():
        (plain,), (expected,) = TrainStepContext(wrapped, optimizer).gradients(batch)
        (other,), (found,) = TrainStepContext(wrapped, optimizer, precision=precision).gradients(batch)
    torch.testing.assert_close(other, plain, rtol=0.02, atol=0)
    distance = sum((one - two).square().sum() for one, two in zip(found, expected, strict=True)).sqrt()
    assert distance < 0.1 * sum(one.square().sum() for one in expected).sqrt()


def test_weight_zero_is_the_plain_loss_and_gradient_to_the_bit(name):
    model = begun(name)
    batch = testing.whole_batch(DATA)
    plain, zero = loss_of(model, batch), loss_of(Adversarial(model, epsilon=EPSILON, weight=0.0), batch)
    params = trainable(model)
    both = [torch.autograd.grad(one, params, materialize_grads=True) for one in (plain, zero)]
    assert torch.equal(plain, zero)
    assert all(torch.equal(one, other) for one, other in zip(*both, strict=True))


@pytest.mark.parametrize("strategy", ["plain", "bsam+", "mg"])
def test_a_step_keeps_everything_finite_and_moves_every_parameter(name, strategy):
    model = begun(name)
    before = {key: one.detach().clone() for key, one in model.named_parameters()}
    wrapped = Adversarial(model, epsilon=EPSILON, weight=WEIGHT)
    step = build_strategy(Component(strategy, {}))
    context = TrainStepContext(wrapped, torch.optim.Adam(model.parameters(), lr=1e-3))
    with torch.random.fork_rng():
        loss = step.step(context, *(testing.whole_batch(DATA, seed) for seed in range(step.batches_per_step)))
    assert loss.isfinite()
    after = dict(model.named_parameters())
    assert all(one.isfinite().all() for one in after.values())
    assert not [key for key, one in after.items() if torch.equal(one, before[key])]


@pytest.mark.parametrize("missing", ["mean", "zero", "learned"])
def test_items_may_lack_a_modality(name, missing):
    dataset = lacking([2, 9])
    check_formula(name, begun(name, dataset, missing_modality=missing), testing.whole_batch(dataset))


def test_evaluation_and_hooks_are_the_model_s():
    model = make("freedom", DATA)
    wrapped = Adversarial(model, epsilon=EPSILON)
    wrapped.on_epoch_start(seeding.generator(0, "model", 1))
    assert model.graph.dropped is not model.graph.full
    lattice = make("lattice", DATA)
    Adversarial(lattice, epsilon=EPSILON).on_step_end()
    assert not lattice.fresh
    wrapped.eval()
    for one, other in zip(
        wrapped.user_item_embeddings(wrapped.encode()), model.user_item_embeddings(model.encode()), strict=True
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in READING])
def test_a_model_without_features_is_refused(name):
    with pytest.raises(ValueError, match="reads no item features, so there is nothing to perturb; set epsilon to 0"):
        Adversarial(make(name, DATA), epsilon=0.1)


@pytest.mark.parametrize(
    ("epsilon", "weight"), [(0.0, 1.0), (-1.0, 1.0), (float("nan"), 1.0), (0.1, -1.0), (0.1, float("inf"))]
)
def test_settings_out_of_range_are_refused(epsilon, weight):
    with pytest.raises(ValueError, match="epsilon must be finite and above 0 and weight finite and at least 0"):
        Adversarial(make("vbpr", DATA), epsilon=epsilon, weight=weight)


def test_what_another_model_encodes_is_refused():
    model = make("vbpr", DATA)
    with pytest.raises(TypeError, match="what encode of the same object gives, but got Encoded"):
        Adversarial(model, epsilon=0.1).loss(Encoded(model.encode().node_embeddings), testing.whole_batch(DATA))


def test_without_gradients_there_is_no_adversary():
    model = Adversarial(make("vbpr", DATA), epsilon=0.1)
    with torch.no_grad(), pytest.raises(RuntimeError, match="does not require grad"):
        model.loss(model.encode(), testing.whole_batch(DATA))


class TestReplaced:
    def test_other_tables_are_read_inside_the_block_alone(self):
        tables = FeatureTables(DATA)
        own = tables()
        other = [table + 1 for table in own]
        further = [table + 2 for table in own]
        with tables.replaced(other):
            with tables.replaced(further):
                assert all(one is given for one, given in zip(tables(), further, strict=True))
            assert all(one is given for one, given in zip(tables(), other, strict=True))
        assert all(one is given for one, given in zip(tables(), own, strict=True))

    def test_they_are_put_back_when_the_block_raises(self):
        tables = FeatureTables(DATA)
        own = tables()
        with pytest.raises(KeyError), tables.replaced([table + 1 for table in own]):
            raise KeyError
        assert all(one is given for one, given in zip(tables(), own, strict=True))


class TestRuns:
    @pytest.fixture
    def experiment(self, tmp_path):
        dataset = testing.block_dataset(users=8, items=6)
        mmrec.write(dataset, tmp_path / "blocks")
        training = SHORT.replace(amr=AMR(epsilon=0.5))
        return Experiment(
            data=str(tmp_path / "blocks"), model=Component("vbpr", {"embedding_dim": 4}), training=training
        )

    def test_a_loaded_run_scores_like_the_one_that_was_trained(self, experiment, tmp_path):
        trained = run_experiment(experiment, out=tmp_path / "run")
        loaded = load_run(tmp_path / "run")
        assert loaded.evaluate("test").metrics == trained.result["test"]
        assert loaded.recommend("user 0", 5) == trained.recommend("user 0", 5)
        assert list(loaded.model.state_dict()) == list(make("vbpr", DATA).state_dict())

    def test_the_settings_are_recorded(self, experiment, tmp_path):
        run_experiment(experiment, out=tmp_path / "run")
        result = json.loads((tmp_path / "run" / "result.json").read_text())
        assert result["settings"]["training"]["amr"] == {"epsilon": 0.5, "weight": 1.0}
        assert read(tmp_path / "run" / "experiment.toml").training.amr == AMR(epsilon=0.5)

    def test_epsilon_zero_and_weight_zero_are_plain_training_to_the_bit_and_others_are_not(self, experiment):
        off, no_epsilon, no_weight, on = (
            run_experiment(experiment.replace(training=SHORT.replace(amr=amr))).model.state_dict()
            for amr in (AMR(), AMR(weight=5.0), AMR(epsilon=0.5, weight=0.0), AMR(epsilon=0.5))
        )
        assert all(torch.equal(off[key], no_epsilon[key]) for key in off)
        assert all(torch.equal(off[key], no_weight[key]) for key in off)
        assert not all(torch.equal(off[key], on[key]) for key in off)

    @pytest.mark.parametrize("model", ["vbpr", "freedom", "lgmrec"])
    def test_a_run_that_was_killed_goes_on_bit_for_bit(self, experiment, tmp_path, model):
        options = {"embedding_dim": 4, **({"n_neighbors": 3} if model == "freedom" else {})}
        experiment = experiment.replace(model=Component(model, options))
        whole = run_experiment(experiment, out=tmp_path / "whole").model.state_dict()
        with pytest.raises(Killed):
            run_experiment(experiment, out=tmp_path / "killed", callbacks=[KillAt(2, 1)])
        again = run_experiment(experiment, out=tmp_path / "killed", resume=True).model.state_dict()
        assert all(torch.equal(whole[key], again[key]) for key in whole)

    def test_resuming_with_another_epsilon_is_refused(self, experiment, tmp_path):
        run_experiment(experiment, out=tmp_path / "run")
        other = experiment.replace(training=experiment.training.replace(amr=AMR(epsilon=0.4)))
        with pytest.raises(ValueError, match=r"other settings \(training.amr.epsilon was 0.5, now 0.4\)"):
            run_experiment(other, out=tmp_path / "run", resume=True)

    def test_a_model_without_features_is_refused_and_leaves_nothing(self, experiment, tmp_path):
        with pytest.raises(ValueError, match="training.amr: LightGCN reads no item features"):
            run_experiment(experiment.replace(model=Component("lightgcn")), out=tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_parameters_keep_the_names_that_settings_know_them_by(self, experiment):
        named = experiment.replace(training=experiment.training.replace(perturb_exclude=("projection.*",)))
        assert run_experiment(named).result["epochs"] == 3
        wrong = experiment.replace(training=experiment.training.replace(perturb_exclude=("model.projection.*",)))
        with pytest.raises(ValueError, match=r"model\.projection"):
            run_experiment(wrong)

    def test_a_model_of_one_s_own_trains_with_it_and_stays_unwrapped(self):
        model = make("vbpr", DATA)
        run = fit(DATA, model, "bsam+", training=SHORT.replace(amr=AMR(epsilon=0.1)))
        assert run.model is model
        assert run.result["epochs"] == 3
