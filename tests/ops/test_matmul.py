"""Dense products: both libraries give the same, forward, backward and twice backward, however matrices lie."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from flatrec.ops import matmul


@pytest.fixture(params=[False, True], ids=["mkl", "onednn"])
def library(request, monkeypatch):
    monkeypatch.setattr(matmul, "onednn_pays", lambda: request.param)
    monkeypatch.setattr(matmul, "WORTHWHILE", 1)
    called = []
    product = matmul._onednn
    monkeypatch.setattr(matmul, "_onednn", lambda *given: called.append(1) or product(*given))
    yield request.param
    assert bool(called) is request.param


def laid(rows, columns, how):
    stream = torch.Generator().manual_seed(rows + columns)
    wide = torch.randn(2 * rows, 2 * columns, generator=stream)
    return {
        "by row": wide[:rows, :columns].contiguous(),
        "by column": wide[:rows, :columns].T.contiguous().T,
        "within another": wide[:rows, :columns],
        "every other": wide[::2, ::2],
    }[how]


LAYOUTS = ["by row", "by column", "within another", "every other"]
CASES = [*itertools.product(LAYOUTS, LAYOUTS)]


def close(ours, wanted):
    torch.testing.assert_close(ours, wanted, atol=2e-5, rtol=2e-5)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(("n", "k", "m"), [(5, 3, 7), (40, 7, 3), (3, 50, 20), (1, 1, 1)])
@pytest.mark.parametrize(("left", "right"), CASES)
def test_products_and_gradients_are_those_of_torch(left, right, n, k, m):
    rows, weight = laid(n, k, left).requires_grad_(), laid(m, k, right).requires_grad_()
    bias = torch.randn(m, requires_grad=True)
    gradient = torch.randn(n, m)
    ours, wanted = matmul.linear(rows, weight, bias), F.linear(rows, weight, bias)
    close(ours, wanted)
    inputs = rows, weight, bias
    for of_ours, of_torch in zip(*(torch.autograd.grad(one, inputs, gradient) for one in (ours, wanted)), strict=True):
        close(of_ours, of_torch)
    close(matmul.matmul(rows, weight.T), rows @ weight.T)


@pytest.mark.usefixtures("library")
def test_second_derivatives_are_those_of_torch():
    rows, weight = laid(6, 4, "by row").requires_grad_(), laid(3, 4, "by row").requires_grad_()
    seconds = []
    for linear in (matmul.linear, F.linear):
        loss = linear(rows, weight).pow(3).sum()
        of_weight, of_rows = torch.autograd.grad(loss, (weight, rows), create_graph=True)
        seconds.append(torch.autograd.grad(of_weight.square().sum() + of_rows.square().sum(), (weight, rows)))
    for ours, wanted in zip(*seconds, strict=True):
        torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.usefixtures("library")
def test_a_gradient_that_nobody_asks_for_is_not_made():
    weight = laid(3, 4, "by row").requires_grad_()
    frozen = laid(5, 4, "by row")
    matmul.linear(frozen, weight).sum().backward()
    assert frozen.grad is None
    close(weight.grad, frozen.sum(dim=0).expand(3, 4))


@pytest.mark.parametrize(
    "rows",
    [torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 4, device="meta")],
    ids=["double", "elsewhere"],
)
def test_anything_else_is_left_to_torch(monkeypatch, rows):
    monkeypatch.setattr(matmul, "onednn_pays", lambda: True)
    monkeypatch.setattr(matmul, "WORTHWHILE", 0)
    monkeypatch.setattr(matmul, "_onednn", None)
    weight = torch.randn(3, 4, dtype=rows.dtype, device=rows.device)
    assert matmul.linear(rows, weight).shape == (5, 3)


def test_autocast_is_obeyed(monkeypatch):
    monkeypatch.setattr(matmul, "onednn_pays", lambda: True)
    monkeypatch.setattr(matmul, "WORTHWHILE", 0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert matmul.linear(torch.randn(5, 4), torch.randn(3, 4)).dtype == torch.bfloat16


def test_small_products_are_left_to_torch(monkeypatch):
    monkeypatch.setattr(matmul, "onednn_pays", lambda: True)
    monkeypatch.setattr(matmul, "_onednn", None)
    assert matmul.linear(torch.ones(5, 4), torch.ones(3, 4)).eq(4).all()


def test_the_module_is_drop_in():
    torch.manual_seed(0)
    ours = matmul.Linear(4, 3)
    torch.manual_seed(0)
    theirs = torch.nn.Linear(4, 3)
    ours.load_state_dict(theirs.state_dict())
    rows = torch.randn(5, 4)
    assert torch.equal(ours(rows), theirs(rows))


@pytest.mark.parametrize(
    ("capability", "vendor", "pays"),
    [
        ("AVX512", "AuthenticAMD", True),
        ("AVX512", "GenuineIntel", False),
        ("AVX2", "AuthenticAMD", False),
    ],
)
def test_who_gets_which(monkeypatch, capability, vendor, pays):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(Path, "exists", lambda _: True)
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: f"processor\t: 0\nvendor_id\t: {vendor}\n")
    assert matmul.onednn_pays.__wrapped__() is pays


def test_without_the_private_operation_products_and_gradients_are_those_of_torch(monkeypatch):
    monkeypatch.setattr(matmul, "onednn_pays", lambda: True)
    monkeypatch.setattr(matmul, "WORTHWHILE", 1)
    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace())
    rows, weight = laid(5, 3, "by row").requires_grad_(), laid(7, 3, "by column").requires_grad_()
    ours, wanted = matmul.linear(rows, weight), F.linear(rows, weight)
    assert torch.equal(ours, wanted)
    gradient = torch.randn(5, 7)
    for of_ours, of_torch in zip(
        *(torch.autograd.grad(product, (rows, weight), gradient) for product in (ours, wanted)), strict=True
    ):
        close(of_ours, of_torch)


@pytest.mark.usefixtures("library")
def test_blocks_of_columns_give_the_product_of_the_table_that_holds_them():
    blocks = [laid(6, 4, "by row"), laid(6, 2, "by row"), laid(6, 1, "by row")]
    weight, bias = laid(3, 7, "by row").requires_grad_(), torch.randn(3, requires_grad=True)
    ours, wanted = matmul.linear_of_blocks(blocks, weight, bias), F.linear(torch.cat(blocks, dim=1), weight, bias)
    close(ours, wanted)
    for of_ours, of_torch in zip(
        *(torch.autograd.grad(one.sum(), (weight, bias)) for one in (ours, wanted)), strict=True
    ):
        close(of_ours, of_torch)


def test_blocks_of_columns_are_one_product_elsewhere():
    blocks = [torch.empty(6, 4, device="meta"), torch.empty(6, 2, device="meta")]
    assert matmul.linear_of_blocks(blocks, torch.empty(3, 6, device="meta")).shape == (6, 3)
