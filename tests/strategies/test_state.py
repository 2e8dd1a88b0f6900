"""What strategies remember: begun afresh, saved, checked, undone; and what they say of themselves, counted."""

from __future__ import annotations

from dataclasses import dataclass, fields

import pytest
import torch

import flatrec
from flatrec.config import Component
from flatrec.registry.instantiate import build_strategy, strategy_names
from flatrec.strategies import ESAM, SAM, SSAM, Mixed, NonFiniteGradientError, SAMStrategy, euclidean_perturbation
from flatrec.strategies.state import (
    Layout,
    pack_state,
    realign_state,
    state_count,
    state_history,
    state_vector,
    unpack_state,
)
from flatrec.testing import block_dataset
from flatrec.training import checkpoint
from flatrec.training.step_context import TrainStepContext
from tests.strategies import problems
from tests.strategies.problems import (
    N_BATCHES,
    SHORT_MEMORY,
    TRAJECTORY,
    Network,
    batch,
    flat,
    problems_of,
    target_of,
)

pytestmark = pytest.mark.repeats
STEPS = 30
ALL = strategy_names()


def context_of(model):
    return problems.context_of(model, torch.optim.SGD(model.parameters(), lr=0.01))


def problem_of(name):
    return problems_of(name)[-1]()


def train(strategy, context, numbers):
    for number in numbers:
        context.progress = float(number)  # each step begins an epoch
        strategy.step(context, *(batch((number + more) % N_BATCHES) for more in range(strategy.batches_per_step)))


def remembered(strategy):
    return {name: one.clone() for name, one in strategy.state().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def counted(strategy, model):
    """Batch gradients a step, in the mean over many steps."""
    context, n_gradients = context_of(model), []
    inner = context.gradients

    def gradients(*batches):
        n_gradients.append(len(batches))
        return inner(*batches)

    context.gradients = gradients
    train(strategy, context, range(STEPS))
    return sum(n_gradients) / STEPS


def settings_of(name):
    """The defaults, radius 0, and every whole-number setting at 2, 3 and 5."""
    inner = build_strategy(Component(name.removesuffix("+")))
    whole = [one.name for one in fields(inner) if one.init and type(one.default) is int]
    radius = [{"rho": 0.0}] if hasattr(inner, "rho") else []
    usual = {one: getattr(inner, one) for one in whole}
    return [{}, *radius, *({one: value} for one in whole for value in (1, 2, 3, 5) if value != usual[one])]


@pytest.mark.parametrize(
    ("name", "settings"),
    [pytest.param(name, one, id=f"{name} {one}") for name in ALL for one in settings_of(name)],
)
def test_the_gradients_of_a_step_are_those_declared(name, settings):
    strategy = build_strategy(Component(name, settings))
    assert counted(strategy, problem_of(name)) == pytest.approx(strategy.gradients_per_step, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in ALL if "+" not in name])
def test_the_setting_that_makes_steps_cheaper_is_called_interval(name):
    strategy = build_strategy(Component(name))
    usual = strategy.gradients_per_step
    cheaper = [
        one.name
        for one in fields(strategy)
        if one.init
        and type(one.default) is int
        and build_strategy(Component(name, {one.name: 10 * one.default})).gradients_per_step < usual
    ]
    assert cheaper == (["interval"] if name not in ("plain", *TRAJECTORY) else [])


@pytest.mark.parametrize("name", ALL)
def test_after_a_reset_a_strategy_is_as_new(name):
    used, new = build_strategy(Component(name)), build_strategy(Component(name))
    train(used, context_of(problem_of(name)), range(7))
    used.reset(0)
    assert same(remembered(used), remembered(new))
    assert used.take_diagnostics() == {}
    one, other = problem_of(name), problem_of(name)
    train(used, context_of(one), range(5))
    train(new, context_of(other), range(5))
    assert (flat(one) == flat(other)).all()


@pytest.mark.parametrize("name", ALL)
def test_an_object_that_trained_before_trains_again_like_a_fresh_one(name):
    def fitted(strategy, seed=0):
        run = flatrec.fit(dataset, "bpr", strategy, training=training, seed=seed)
        return torch.cat([one.detach().flatten() for one in run.model.parameters()])

    dataset = block_dataset()
    training = flatrec.Training(epochs=2, batch_size=16, perturb_target=target_of(name))
    strategy = build_strategy(Component(name, SHORT_MEMORY.get(name.removesuffix("+"), {})))
    assert torch.equal(fitted(strategy), fitted(strategy))


@pytest.mark.parametrize("name", ALL)
def test_reset_by_the_trainer_does_not_touch_settings(name):
    strategy = build_strategy(Component(name))
    before = repr(strategy.inner if isinstance(strategy, Mixed) else strategy)
    strategy.reset(3)
    assert repr(strategy.inner if isinstance(strategy, Mixed) else strategy) == before


@pytest.mark.parametrize("name", ["ssam", "ssam+", "esam", "esam+"])
def test_five_seeds_draw_five_sequences_of_masks(name):
    def masks(seed):
        strategy = build_strategy(Component(name, {"mask": "dynamic", "refresh": 1} if "ssam" in name else {}))
        strategy.reset(seed)
        model = Network()
        train(strategy, context_of(model), range(3))
        return flat(model)

    ends = [masks(seed) for seed in range(5)]
    assert not any((one == other).all() for place, one in enumerate(ends) for other in ends[:place])
    assert (masks(4) == ends[4]).all()


@pytest.mark.parametrize("name", [name for name in ALL if name.removesuffix("+") not in ("ssam", "esam")])
def test_the_others_draw_nothing(name):
    ends = []
    for seed in range(2):
        strategy, model = build_strategy(Component(name)), problem_of(name)
        strategy.reset(seed)
        train(strategy, context_of(model), range(4))
        ends.append(flat(model))
    assert (ends[0] == ends[1]).all()


def test_the_trainer_gives_the_seed_of_the_run():
    dataset, training = block_dataset(), flatrec.Training(epochs=1, batch_size=16)
    for strategy in (ESAM(), Mixed(SSAM(mask="dynamic"))):
        flatrec.fit(dataset, "bpr", strategy, training=training, seed=4)
        assert strategy.seed == 4
        assert not isinstance(strategy, Mixed) or strategy.inner.seed == 4


@pytest.mark.parametrize("cause", [NonFiniteGradientError, KeyboardInterrupt])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("name", ALL)
def test_a_step_that_raises_leaves_what_is_remembered(name, which, cause):
    strategy, context, raised = build_strategy(Component(name)), context_of(problem_of(name)), 0
    inner = context.gradients
    for number in range(10):
        calls, before = [], remembered(strategy)

        def failing(*batches, calls=calls):
            calls.append(batches)
            if len(calls) == which + 1:
                raise cause
            return inner(*batches)

        context.gradients = failing
        try:
            train(strategy, context, [number])
        except cause:
            raised += 1
            assert same(remembered(strategy), before)
            context.gradients = inner
            train(strategy, context, [number])
    takes_two = strategy.gradients_per_step > strategy.batches_per_step
    assert (raised > 0) == (which == 0 or takes_two)


def test_a_state_of_another_model_or_strategy_is_refused():
    strategy = build_strategy(Component("bsam+"))
    context = context_of(Network())
    train(strategy, context, range(2))
    state = remembered(strategy)
    for other, params, said in (
        ("bsam+", [torch.zeros(4, 4), torch.zeros(4)], "shape"),
        ("bsam+", list(context.params)[:1], "no field for"),
        ("bsam", list(context.params), "'steps' must be"),
        ("plain", list(context.params), "no field for"),
        ("sam+", list(context.params), "no field for"),
    ):
        fresh = build_strategy(Component(other))
        with pytest.raises(ValueError, match=said) as caught:
            fresh.load_state(state, params)
        assert "\n" not in str(caught.value)
        assert same(remembered(fresh), remembered(build_strategy(Component(other))))


@dataclass(kw_only=True, eq=False)
class Counting(SAMStrategy):
    """One of a user's own, with a count beside its vector."""

    looks: int = state_count(1)
    last: list[torch.Tensor] = state_vector()

    def perturbation(self, point):
        self.looks += 1
        self.last = list(point.grad)
        return euclidean_perturbation(point.grad)


def test_a_strategy_of_a_user_s_own_is_saved_and_undone_without_a_word():
    strategy, context = Counting(), context_of(Network())
    train(strategy, context, range(3))
    state = remembered(strategy)
    assert state.keys() == {"steps", "looks", "last.0", "last.1"}
    assert state["looks"] == 4
    other = Counting()
    other.load_state(state, context.params)
    assert same(remembered(other), state)
    inner = context.gradients
    context.gradients = lambda *_: (_ for _ in ()).throw(KeyError)
    with pytest.raises(KeyError):
        train(strategy, context, [3])
    context.gradients = inner
    assert same(remembered(strategy), state)


def test_a_vector_of_the_wrong_parameters_is_named():
    strategy = Counting()
    context = TrainStepContext(Network(), torch.optim.SGD(Network().parameters(), lr=0.1), perturb_exclude=["hidden"])
    strategy.step(context, batch(0))
    strategy.last = [one.detach() for one in context.params]
    with pytest.raises(ValueError, match="last must hold one tensor per perturbed parameter"):
        strategy.state()


def test_unperturbed_parameters_have_no_memory_and_numbers_stay_theirs():
    strategy, model = build_strategy(Component("bsam")), Network()
    context = TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=0.1), perturb_exclude=["hidden"])
    train(strategy, context, range(2))
    assert strategy.state().keys() == {"steps", "mean.1"}


@dataclass
class Remembering:
    """What keeps a list of vectors."""

    past: list[list[torch.Tensor]] = state_history()


def test_a_history_is_saved_in_order_and_loaded_by_the_ids_of_parameters():
    layout, params = Layout((0, 1, 2), (0, 2)), [torch.zeros(2), torch.zeros(5), torch.zeros(3, 1)]
    owner = Remembering()
    owner.past = [[torch.full((2,), float(age)), torch.full((3, 1), float(age))] for age in range(11)]
    packed = pack_state(owner, layout)
    assert list(packed)[:3] == ["past.0.0", "past.0.2", "past.1.0"]
    loaded = unpack_state(Remembering(), packed, params)
    assert [[one.tolist() for one in vector] for vector in loaded.values["past"]] == [
        [[age] * 2, [[age]] * 3] for age in range(11)
    ]
    assert loaded.layout == Layout((), (0, 2))
    assert unpack_state(Remembering(), {}, params).values == {"past": []}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"past.1.0": torch.zeros(4)}, "'past.1.0' must have shape"),
        ({"past.2.1": torch.zeros(5)}, "past.2 is there for other parameters than the rest"),
        ({"past.4.0": torch.zeros(2)}, "there is no field for 'past.4.0'"),
    ],
)
def test_a_history_that_does_not_fit_is_refused(changes, said):
    params = [torch.zeros(2), torch.zeros(5)]
    packed = {f"past.{age}.0": torch.zeros(2) for age in range(2)}
    with pytest.raises(ValueError, match=said):
        unpack_state(Remembering(), {**packed, **changes}, params)


def test_a_history_follows_parameters_that_leave_and_join():
    owner = Remembering()
    owner.past = [[torch.ones(2), torch.ones(3)], [torch.full((2,), 2.0), torch.full((3,), 2.0)]]
    params = [torch.zeros(3), torch.zeros(4)]
    realign_state(owner, Layout((0, 1), (0, 1)), Layout((1, 2), (1, 2)), params)
    assert [[one.tolist() for one in vector] for vector in owner.past] == [[[1] * 3, [0] * 4], [[2] * 3, [0] * 4]]


def test_two_wrapped_strategies_keep_their_memories_apart():
    mixed = Mixed(SAM())
    train(mixed, context_of(Network()), range(2))
    assert mixed.state().keys() == {"inner.steps"}


class StopError(Exception):
    """Raised in the middle of a run."""


class Stopping:
    """Ends a run after its first epoch, like a kill."""

    def on_start(self, first_epoch, epochs, steps):
        pass

    def on_step(self, epoch, step):
        pass

    def on_epoch(self, record):
        if record.epoch == 1:
            raise StopError

    def on_end(self):
        pass


def run(out, name, settings, *, seed=5, **more):
    chosen = flatrec.Training(epochs=3, batch_size=16, loggers=(), perturb_target=target_of(name))
    return flatrec.fit(
        block_dataset(), "bpr", name, strategy_settings=settings, training=chosen, seed=seed, out=out, **more
    )


def parameters(run):
    return torch.cat([one.detach().flatten() for one in run.model.parameters()])


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("esam", {}),
        ("esam+", {}),
        ("ssam", {"mask": "dynamic", "refresh": 2}),
        ("ssam+", {"mask": "dynamic", "refresh": 2}),
        ("bsam+", {}),
        ("looksam", {}),
        ("mg", {}),
        ("helen", {}),
        ("pamacf", {"control": "random"}),
        ("pamacf+", {}),
        ("sharpcf", {"window": 1, "lam": 5.0}),
        ("sharpcf+", {"window": 2, "lam": 5.0}),
        ("saf", {"window": 1, "lam": 50.0}),
        ("saf+", {"window": 2, "lam": 50.0}),
        ("mesa", {"lam": 50.0}),
        ("mesa+", {"lam": 50.0, "decay": 0.5}),
    ],
)
def test_a_run_that_goes_on_ends_in_the_same_bits_and_another_seed_in_others(tmp_path, name, settings):
    whole = run(tmp_path / "whole", name, settings)
    with pytest.raises(StopError):
        run(tmp_path / "killed", name, settings, callbacks=[Stopping()])
    assert torch.equal(parameters(run(tmp_path / "killed", name, settings, resume=True)), parameters(whole))
    assert not torch.equal(parameters(run(tmp_path / "other", name, settings, seed=6)), parameters(whole))


def test_a_checkpoint_with_a_memory_of_another_shape_is_refused(tmp_path):
    with pytest.raises(StopError):
        run(tmp_path / "run", "looksam", {}, callbacks=[Stopping()])
    path = tmp_path / "run" / "checkpoint.safetensors"
    saved = checkpoint.load(path)
    crafted = {**saved.tensors, "strategy.orthogonal.0": torch.zeros(3)}
    metadata = {name: one for name, one in saved.metadata.items() if name != "format"}
    checkpoint.save(path, checkpoint.Checkpoint(crafted, metadata))
    with pytest.raises(ValueError, match=r"'orthogonal.0' must have shape") as caught:
        run(tmp_path / "run", "looksam", {}, resume=True)
    assert "\n" not in str(caught.value)
