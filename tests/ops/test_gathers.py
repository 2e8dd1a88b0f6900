"""Gradients by rows that are gathered of tables, against dense gradients of autograd."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from flatrec.ops.gathers import GatheredGradients
from flatrec.ops.row_vector import RowMatrix, whole

pytestmark = pytest.mark.repeats  # comparing an annotation with a vector reads one of its tensors as a whole

READINGS = torch.tensor([[4, 1], [4, 0]])


def leaves(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(one, generator=generator, dtype=torch.float64).requires_grad_() for one in shapes]


def check(function, tables, by_rows):
    """The gradients are those of autograd; those of the tables named are kept by their rows."""
    want = torch.autograd.grad(function(), tables, materialize_grads=True)
    loss, gradient = GatheredGradients(tables).of(function)
    parts = gradient.parts
    assert torch.equal(loss, function().detach())
    assert [isinstance(part, RowMatrix) for part in parts] == by_rows
    for part, right in zip(parts, want, strict=True):
        assert torch.allclose(whole(part), right, atol=1e-10, rtol=0)


def test_a_row_that_is_read_twice_gets_the_sum_worked_by_hand():
    table = torch.eye(5, 3, dtype=torch.float64).requires_grad_()
    slopes = torch.arange(12, dtype=torch.float64).reshape(2, 2, 3)
    (part,) = GatheredGradients([table]).of(lambda: (F.embedding(READINGS, table) * slopes).sum()).gradient.parts
    assert part.rows.tolist() == [0, 1, 4]
    assert part.values.tolist() == [[9, 10, 11], [3, 4, 5], [6, 8, 10]]


def test_tables_that_are_gathered_of_once_twice_in_other_ways_too_or_never():
    once, twice, mixed, weight, unread = tables = leaves((6, 3), (6, 3), (6, 3), (3,), (2, 2))

    def function():
        rows = F.embedding(READINGS, once) * F.embedding(READINGS, twice).sin() * F.embedding(READINGS, mixed)
        return (rows * weight).sum() + (F.embedding(READINGS[0], twice) @ mixed.T).square().sum()

    check(function, tables, [True, True, False, False, True])


def test_options_that_change_the_gradient_are_left_to_torch():
    tables = leaves((6, 3))
    for options in ({"padding_idx": 0}, {"scale_grad_by_freq": True}, {"padding_idx": 4}):
        check(lambda options=options: F.embedding(READINGS, tables[0], **options).sum(), tables, [False])
    module = torch.nn.Embedding(6, 3, dtype=torch.float64)
    check(lambda: module(READINGS).square().sum(), [module.weight], [True])


def test_what_is_computed_again_for_the_gradient_gathers_as_before():
    tables = leaves((6, 3))

    def function():
        return checkpoint(lambda: F.embedding(READINGS, tables[0]).exp().sum(), use_reentrant=False)

    check(function, tables, [True])


def test_a_second_loss_of_other_rows_has_its_own_rows():
    (table,) = tables = leaves((6, 3))
    gradients = GatheredGradients(tables)
    for readings in (READINGS, READINGS[0], READINGS):
        (part,) = gradients.of(lambda readings=readings: F.embedding(readings, table).square().sum()).gradient.parts
        assert part.rows.tolist() == sorted(set(readings.flatten().tolist()))
        assert torch.allclose(part.values, 2 * table[part.rows] * _counts(readings, part.rows), atol=1e-10, rtol=0)


def _counts(readings, rows):
    return (readings.flatten() == rows[:, None]).sum(dim=1, keepdim=True)


@pytest.mark.parametrize("scale", [1.0, 1024.0])
def test_a_scale_is_taken_out_again(scale):
    once, weight = tables = leaves((6, 3), (3,))
    parts = GatheredGradients(tables).of(lambda: (F.embedding(READINGS, once) * weight).sum(), scale).gradient.parts
    want = torch.autograd.grad((F.embedding(READINGS, once) * weight).sum(), tables)
    assert all(torch.allclose(whole(one), other, atol=1e-10, rtol=0) for one, other in zip(parts, want, strict=True))


def test_the_gradient_by_further_tables_is_computed_where_it_is_read():
    once, twice, weight = tables = leaves((6, 3), (6, 3), (3,))

    def function():
        return (F.embedding(READINGS, once) * F.embedding(READINGS, twice) * weight).sum()

    gradient = GatheredGradients(tables).of(function, n_first=1).gradient
    want = torch.autograd.grad(function(), tables)
    first = gradient.first(1)
    assert len(first) == 1
    assert len(gradient) == 3
    assert first.parts[0].rows is not None
    assert all(torch.allclose(one, other, atol=1e-10, rtol=0) for one, other in zip(gradient, want, strict=True))
    assert gradient.parts[0] is first.parts[0]
