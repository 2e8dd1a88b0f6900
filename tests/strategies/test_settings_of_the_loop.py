"""Whatever a loop adds to a step works with every strategy, and precision and portions with every model."""

import pytest
import torch

from flatrec.config import Component
from flatrec.models import MODELS, VBPR
from flatrec.registry.instantiate import build_strategy, strategy_names
from flatrec.strategies.context import NonFiniteGradientError
from flatrec.testing import block_dataset, whole_batch
from flatrec.training.embedding_context import perturbing
from flatrec.training.optimizers import make
from flatrec.training.step_context import TrainStepContext
from tests.strategies.problems import TRAJECTORY, target_of

pytestmark = pytest.mark.repeats

WITHOUT_SCHEDULE = ("plain", "mg", "looksam", *TRAJECTORY)
PERTURBING = [name for name in strategy_names() if name.removesuffix("+") not in WITHOUT_SCHEDULE]
OF_PARAMETERS = [name for name in strategy_names() if target_of(name) == "parameters"]


def trained(name, *, model=VBPR, steps=3, optimizer="adam", options=None, settings=None, target=None, **given):
    """Parameters and losses after some steps from one start."""
    dataset = block_dataset()
    torch.manual_seed(0)
    made = model(dataset, model.Config(**given.pop("of_model", {})))
    inner = TrainStepContext(made.train(), make(optimizer, made.parameters(), {"lr": 0.01, **(options or {})}), **given)
    context = perturbing(inner, target or target_of(name))
    made.on_epoch_start(torch.Generator().manual_seed(0))
    strategy, batch = build_strategy(Component(name, settings or {})), whole_batch(dataset)
    torch.manual_seed(1)
    losses = []
    for step in range(steps):
        context.progress = step / 2
        losses.append(strategy.step(context, *[batch] * strategy.batches_per_step))
        made.on_step_end()
    values = torch.cat([one.detach().flatten() for one in inner.params])
    return values, torch.tensor([float(one) for one in losses]), strategy


@pytest.mark.parametrize("name", OF_PARAMETERS)
def test_portions_of_a_batch_make_the_same_step(name):
    whole, losses, _ = trained(name, optimizer="sgd", of_model={"reg_weight": 0.0})
    portions, as_well, _ = trained(name, optimizer="sgd", of_model={"reg_weight": 0.0}, grad_accumulation_steps=3)
    assert torch.allclose(portions, whole, atol=1e-5)
    assert torch.allclose(as_well, losses, atol=1e-5)


@pytest.mark.parametrize("name", strategy_names())
class TestEveryStrategy:
    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_lower_precision_trains_to_nearly_the_same(self, name, precision):
        whole, losses, _ = trained(name, optimizer="sgd")
        rough, as_well, _ = trained(name, optimizer="sgd", precision=precision)
        assert rough.dtype == torch.float32
        assert torch.allclose(as_well, losses, atol=0.03)
        assert torch.allclose(rough, whole, atol=0.02)
        assert not torch.equal(rough, whole)

    def test_a_limit_on_the_gradient_limits_the_step(self, name):
        start, _, _ = trained(name, steps=0)
        free, _, _ = trained(name, steps=1, optimizer="sgd", options={"lr": 1.0})
        bound, _, _ = trained(name, steps=1, optimizer="sgd", options={"lr": 1.0}, max_grad_norm=1e-3)
        updates = 2 if name == "mg" else 1
        assert (bound - start).norm() <= 1.01e-3 * updates
        assert (free - start).norm() > 5e-3

    def test_weight_decay_pulls_parameters_in(self, name):
        free, _, _ = trained(name, optimizer="adamw", options={"weight_decay": 0.0})
        decayed, _, _ = trained(name, optimizer="adamw", options={"weight_decay": 5.0})
        assert decayed.norm() < 0.95 * free.norm()

    def test_no_noise_of_another_setting(self, name):
        assert torch.equal(
            trained(name)[0], trained(name, grad_accumulation_steps=1, precision="float32", perturb_exclude=())[0]
        )


@pytest.mark.parametrize("name", PERTURBING)
class TestEveryPerturbation:
    def test_an_interval_leaves_the_other_steps_plain(self, name):
        plain = trained("plain+" if name.endswith("+") else "plain", steps=1, target=target_of(name))[0]
        assert torch.equal(trained(name, steps=1, settings={"interval": 2})[0], plain)
        assert not torch.equal(trained(name, steps=1, settings={"rho": 1.0})[0], plain)

    @pytest.mark.parametrize("settings", [{"rho_schedule": "inverse"}, {"rho_scale": "relative"}, {"rho_warmup": 1.0}])
    def test_what_sets_the_radius_changes_the_run(self, name, settings):
        usual, other = (trained(name, settings={"rho": 0.3, **one})[0] for one in ({}, settings))
        assert torch.isfinite(other).all()
        assert not torch.equal(usual, other)


@pytest.mark.parametrize("name", [name for name in PERTURBING if name in OF_PARAMETERS])
def test_parameters_can_be_left_out(name):
    everything, _, _ = trained(name, settings={"rho": 0.5})
    some, _, strategy = trained(name, settings={"rho": 0.5}, perturb_exclude=["users*", "items*"])
    assert not torch.equal(everything, some)
    assert 0 < strategy.take_diagnostics()["perturbed fraction of |g1|"] < 1


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ["plain", "bsam+"])
class TestEveryModel:
    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_lower_precision_trains(self, model, name, precision):
        if (model, precision) == ("lgmrec", "float16"):
            # Rows that lost every hyperedge have length 0; their slope, 1e12 before a factor 0, is beyond float16.
            with pytest.raises(NonFiniteGradientError):
                trained(name, model=MODELS[model], precision=precision, steps=2)
            return
        values, losses, _ = trained(name, model=MODELS[model], precision=precision, steps=2)
        usual, as_well, _ = trained(name, model=MODELS[model], steps=2)
        assert torch.isfinite(values).all()
        assert torch.allclose(losses.float(), as_well, rtol=0.05, atol=0.05)
        assert values.dtype == usual.dtype

    def test_portions_train(self, model, name):
        values, losses, _ = trained(name, model=MODELS[model], grad_accumulation_steps=2, steps=2)
        assert torch.isfinite(values).all()
        assert torch.isfinite(losses).all()


def test_what_makes_no_sense_is_refused():
    dataset = block_dataset()
    model = VBPR(dataset)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for settings, message in (
        ({"grad_accumulation_steps": 0}, "grad_accumulation_steps"),
        ({"perturb_exclude": ["nothing.*"]}, "no trainable parameter"),
        ({"perturb_exclude": ["*"]}, "no parameter to perturb"),
    ):
        with pytest.raises(ValueError, match=message):
            TrainStepContext(model, optimizer, **settings)


def test_portions_go_on_where_a_batch_has_fewer_pairs():
    batch = whole_batch(block_dataset())
    parts = batch.split(4)
    assert sum(len(part) for part in parts) == len(batch)
    assert max(len(part) for part in parts) - min(len(part) for part in parts) <= 1
