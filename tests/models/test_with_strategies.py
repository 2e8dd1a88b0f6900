"""The whole table of models and strategies: a step learns, stays pure, and a run goes on after a kill bit for bit."""

import pytest
import torch

from flatrec import testing
from flatrec.config import Component, Training
from flatrec.models import MODELS
from flatrec.registry.instantiate import build_strategy, strategy_names
from flatrec.sampling.sampler import Sampler
from flatrec.strategies import MIXABLE
from flatrec.training import Trainer, optimizers
from flatrec.training.embedding_context import perturbing
from flatrec.training.step_context import TrainStepContext
from flatrec.utils import seeding
from tests.models.settings import make
from tests.strategies.problems import SHORT_MEMORY, TRAJECTORY, target_of
from tests.training.kills import KillAt, Killed

pytestmark = pytest.mark.repeats  # of every model and every strategy, see test_contract
DATA = testing.block_dataset(blocks=2, users=6, items=6)
EPOCHS = 4


@pytest.fixture(params=sorted(MODELS))
def name(request):
    return request.param


# Mixing is the same code around each, so three of them stand for all; what strategies remember is of few shapes.
ALONE = [name for name in strategy_names() if not name.endswith("+")]
MIXED = ["plain+", "sam+", "bsam+"]
REMEMBERING = ["plain", "sam", "bsam", "bsam+", "mg", "looksam+", "ssam", "sharpcf", "saf", "mesa"]


@pytest.fixture(params=[*ALONE, *MIXED])
def strategy(request):
    return request.param


def loss_of(model, batch):
    """The training loss under one and the same noise."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        return model.train().loss(model.encode(), batch).item()


def test_steps_move_every_parameter_lower_the_loss_and_keep_everything_finite(name, strategy):
    dataset = testing.block_dataset()
    model = make(name, dataset)
    model.on_epoch_start(seeding.generator(0, "model", 1))
    has_radius = strategy.removesuffix("+") in MIXABLE and strategy not in ("plain", "plain+", *TRAJECTORY)
    step = build_strategy(Component(strategy, {"rho": 0.01} if has_radius else {}))
    batches = [testing.whole_batch(dataset, seed) for seed in range(step.batches_per_step)]
    inner = TrainStepContext(model.train(), torch.optim.Adam(model.parameters(), lr=1e-3))
    context = perturbing(inner, target_of(strategy))
    before = loss_of(model, batches[0])
    start = {key: one.detach().clone() for key, one in model.named_parameters()}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        step.step(context, *batches)
        assert not [key for key, one in model.named_parameters() if torch.equal(one, start[key])]
        for _ in range(4):
            step.step(context, *batches)
    assert loss_of(model, batches[0]) < before
    assert all(one.isfinite().all() for one in model.parameters())


def trainer_of(name, strategy, folder, callbacks=()):
    model = make(name, DATA, seed=3)
    inner = TrainStepContext(
        model, optimizers.make("adam", model.parameters(), optimizers.settings("adam", {"lr": 0.01}))
    )
    return Trainer(
        perturbing(inner, target_of(strategy)),
        build_strategy(Component(strategy, SHORT_MEMORY.get(strategy, {}))),
        Sampler(DATA.interactions, 16),
        lambda model: {"recall@20": sum(float(one.detach().sum()) for one in model.parameters()) * 1000 % 1},
        settings=Training(epochs=EPOCHS, batch_size=16),
        seed=3,
        folder=folder,
        callbacks=callbacks,
    )


# A checkpoint holds the model's tensors and the strategy's apart: every model beside the strategy that remembers most,
# and every strategy beside a model without an epoch of its own, one that thins its graph, and one that rebuilds it.
PAIRS = [(name, "bsam+") for name in sorted(MODELS)]
PAIRS += [(name, one) for name in ("bpr", "freedom", "lattice") for one in REMEMBERING if one != "bsam+"]


@pytest.mark.parametrize(("name", "strategy"), PAIRS)
def test_a_run_that_was_killed_goes_on_bit_for_bit(name, strategy, tmp_path):
    folders = {key: tmp_path / key for key in ("whole", "killed")}
    for folder in folders.values():
        folder.mkdir()
    whole = trainer_of(name, strategy, folders["whole"])
    whole.run()
    with pytest.raises(Killed):
        trainer_of(name, strategy, folders["killed"], [KillAt(3, 2)]).run()
    again = trainer_of(name, strategy, folders["killed"])
    again.resume()
    again.run()
    for key, one in whole.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[key], one), key
    assert (folders["killed"] / "checkpoint.safetensors").read_bytes() == (
        folders["whole"] / "checkpoint.safetensors"
    ).read_bytes()
