"""The context's verbs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flatrec.models import LightGCN
from flatrec.ops.param_vector import blend, cosine, dot, ema_update, lerp_, norm, plus_scaled
from flatrec.strategies import NonFiniteGradientError
from flatrec.testing import block_dataset, whole_batch
from flatrec.training.optimizers import make, settings
from flatrec.training.step_context import TrainStepContext
from tests.strategies.problems import Quadratic, batch, flat


def context_of(model, **settings):
    return TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=1.0), **settings)


def ones(context, factor=1.0):
    return [torch.full_like(one, factor) for one in context.params]


def test_gradients_leave_parameters_and_grad_alone():
    model = Quadratic()
    before = flat(model)
    context_of(model).gradients(batch(0), batch(1))
    assert (flat(model) == before).all()
    assert all(one.grad is None for one in model.parameters())


def test_gradients_of_two_batches_equal_those_of_each():
    context = context_of(Quadratic())
    losses, gradients = context.gradients(batch(0), batch(1))
    for number in range(2):
        (loss,), (gradient,) = context.gradients(batch(number))
        assert loss == losses[number]
        assert all(torch.equal(a, b) for a, b in zip(gradient, gradients[number], strict=True))


def test_a_parameter_that_the_loss_does_not_reach_has_gradient_zero():
    model = Quadratic()
    model.idle = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    _, (gradient,) = context_of(model).gradients(batch(0))
    assert [part.abs().sum().item() == 0 for part in gradient] == [False, False, True]


def test_shift_moves_and_is_undone_bit_for_bit():
    model = Quadratic()
    context = context_of(model)
    before = flat(model)
    with context.perturbed(ones(context, 0.1)):
        assert flat(model) == pytest.approx(before + 0.1)
    assert (flat(model) == before).all()


def test_shift_is_undone_when_the_body_raises():
    model = Quadratic()
    context = context_of(model)
    before = flat(model)
    with pytest.raises(KeyError), context.perturbed(ones(context)):
        raise KeyError
    assert (flat(model) == before).all()


def test_shift_keeps_the_storage_of_the_parameters():
    model = Quadratic()
    context = context_of(model)
    places = [one.data_ptr() for one in context.params]
    with context.perturbed(ones(context)):
        pass
    assert [one.data_ptr() for one in context.params] == places


@given(st.floats(-1e6, 1e6))
def test_shift_by_anything_is_undone(factor):
    model = Quadratic()
    context = context_of(model)
    before = flat(model)
    with context.perturbed(ones(context, factor)):
        pass
    assert (flat(model) == before).all()


def test_update_clips_the_whole_gradient_and_only_when_it_is_longer():
    model = Quadratic()
    context = context_of(model, max_grad_norm=0.5)
    before = flat(model)
    context.update(ones(context))
    assert flat(model) == pytest.approx(before - 0.5 / 5**0.5)
    context.update(ones(context, 0.1))
    assert flat(model) == pytest.approx(before - 0.5 / 5**0.5 - 0.1)
    context.update(ones(context, 0.0))
    assert flat(model) == pytest.approx(before - 0.5 / 5**0.5 - 0.1)


def test_rows_of_a_gradient_are_clipped_one_by_one_before_the_whole():
    model = Quadratic()
    model.second = torch.nn.Parameter(torch.zeros(3, 2, 1, dtype=torch.float64))
    vector = torch.tensor([2.0, 3.0, 6.0], dtype=torch.float64)  # one row of norm 7
    rows = torch.tensor([[[3.0], [4.0]], [[0.0], [0.0]], [[0.3], [0.4]]], dtype=torch.float64)
    first, expected = model.first.detach().clone(), torch.tensor([0.6, 0.8, 0.0, 0.0, 0.3, 0.4], dtype=torch.float64)
    context_of(model, max_row_grad_norm=1.0).update([vector, rows])
    assert model.second.detach().flatten() == pytest.approx(-expected, abs=1e-10)
    assert model.first.detach() == pytest.approx(first - vector / 7, abs=1e-10)
    model.second.data.zero_()
    context_of(model, max_row_grad_norm=1.0, max_grad_norm=0.75).update([vector, rows])
    assert model.second.detach().flatten() == pytest.approx(-expected / 2, abs=1e-10)  # norm 1.5 after the rows


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_raises_before_anything_changes(value):
    model = Quadratic()
    model.slopes[0, 2] = value
    before = flat(model)
    with pytest.raises(NonFiniteGradientError):
        context_of(model).gradients(batch(1), batch(0))
    assert (flat(model) == before).all()


@pytest.mark.parametrize("name", ["adam", "sgd", "adagrad", "rmsprop"])
def test_a_gradient_that_is_a_strided_view_updates_like_its_copy(name):
    ends = []
    for copy in (False, True):
        model = Quadratic()
        model.first = torch.nn.Parameter(torch.zeros(3, 2, dtype=torch.float64))
        context = TrainStepContext(model, make(name, model.parameters(), settings(name, {})))
        wide = torch.arange(12, dtype=torch.float64).reshape(3, 4)[:, :2]
        context.update([wide.clone() if copy else wide, torch.zeros_like(model.second)])
        ends.append(flat(model))
    assert (ends[0] == ends[1]).all()


def test_nothing_to_train_is_an_error():
    model = Quadratic().requires_grad_(False)
    with pytest.raises(ValueError, match="nothing to train"):
        TrainStepContext(model, torch.optim.SGD([torch.nn.Parameter(torch.ones(1))]))


def test_complex_parameters_are_an_error():
    model = Quadratic()
    model.first = torch.nn.Parameter(torch.ones(3, dtype=torch.complex128))
    with pytest.raises(ValueError, match="real and imaginary parts"):
        context_of(model)


def test_clip_must_be_positive():
    for name in ("max_grad_norm", "max_row_grad_norm"):
        with pytest.raises(ValueError, match=f"{name} must be positive"):
            context_of(Quadratic(), **{name: 0.0})


def test_vector_algebra_treats_a_list_as_one_vector():
    one = [torch.tensor([3.0]), torch.tensor([[0.0], [4.0]])]
    other = [torch.tensor([1.0]), torch.tensor([[2.0], [-1.0]])]
    assert norm(one) == 5
    assert dot(one, other) == -1
    assert ema_update([part.clone() for part in one], other, 0.0).manhattan == 2 + 2 + 5
    assert cosine(one, other) == pytest.approx(-1 / (5 * 6**0.5))
    assert cosine(one, [torch.zeros_like(part) for part in one]) == 0
    assert torch.equal(plus_scaled(one, other, torch.tensor(-1.0))[1], torch.tensor([[-2.0], [5.0]]))
    assert torch.equal(blend(one, other, 0.25)[0], torch.tensor([1.5]))
    assert torch.equal(blend(one, other, 1.0)[1], one[1])
    assert torch.equal(blend(one, other, 0.0)[1], other[1])
    moved = [part.clone() for part in other]
    lerp_(moved, one, 0.25)
    assert torch.equal(moved[1], blend(one, other, 0.25)[1])


def test_layers_of_lower_precision_are_those_of_steps_alone():
    dataset, model = block_dataset(), LightGCN(block_dataset(), LightGCN.Config(embedding_dim=8))
    exact, rounded = (context_of(model, layer_precision=kind) for kind in ("float32", "bfloat16"))
    before = model.encode().node_embeddings
    (_, ((gradient,),)), (_, ((other,),)) = (one.gradients(whole_batch(dataset)) for one in (exact, rounded))
    assert 0 < (gradient - other).norm() / gradient.norm() < 0.01
    assert other.dtype == torch.float32
    assert torch.equal(model.encode().node_embeddings, before)
