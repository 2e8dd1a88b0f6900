"""A step that raises, in whichever pass, leaves parameters and all that is remembered as before."""

import copy

import pytest
import torch

from flatrec.optim import SAM, NonFiniteGradientError
from tests.optim.kinds import ALL, adam, closure_of, memory, network, same, train, values

pytestmark = pytest.mark.repeats


class StopError(Exception):
    """Raised by a closure."""


@pytest.mark.parametrize("error", [NonFiniteGradientError, StopError])
@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("name", ALL)
def test_what_is_remembered_is_as_before_and_the_step_can_be_tried_again(name, which, error):
    model = network()
    optimizer = ALL[name](adam(model))
    train(model, optimizer, range(4 if "Look" in name else 3))  # the next step takes two gradients of its batch
    twin, unharmed = copy.deepcopy((model, optimizer))
    calls = iter(range(3))

    def factor():
        if next(calls) == which:
            if error is StopError:
                raise StopError
            return float("nan")
        return 1.0

    if which == 2 and not name.startswith("Mixed"):
        pytest.skip("this one calls twice")
    before, remembered = values(model), memory(optimizer)
    closures = [closure_of(model, optimizer, seed, factor) for seed in (7, 107)]
    with pytest.raises(error):
        optimizer.step(*closures[: optimizer.strategy.batches_per_step])
    assert same(memory(optimizer), remembered)
    if name == "MirrorGradient":  # the first of its two updates stays
        assert torch.equal(values(model), before) == (which == 0)
        return
    assert torch.equal(values(model), before)
    for one, other in ((model, optimizer), (twin, unharmed)):
        train(one, other, range(7, 11))
    assert torch.equal(values(model), values(twin))
    assert same(memory(optimizer), memory(unharmed))


def test_a_perturbed_step_that_is_tried_again_is_perturbed_again():
    model, calls = network(), []
    optimizer = SAM(adam(model), interval=2)
    failing = [True]

    def factor():
        calls.append(optimizer.perturbed)
        return float("inf") if optimizer.perturbed and failing.pop() else 1.0

    closure = closure_of(model, optimizer, 0, factor)
    optimizer.step(closure)
    with pytest.raises(NonFiniteGradientError):
        optimizer.step(closure)
    failing.append(False)
    optimizer.step(closure)
    assert calls == [False, False, True, False, True]


def test_a_base_that_raises_leaves_the_memory():
    model = network()
    optimizer = ALL["BSAM"](adam(model))
    train(model, optimizer, range(2))
    remembered = memory(optimizer)
    optimizer.base.register_step_pre_hook(lambda *_: (_ for _ in ()).throw(StopError))
    with pytest.raises(StopError):
        train(model, optimizer, [2])
    assert same(memory(optimizer), remembered)
