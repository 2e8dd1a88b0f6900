"""Products of dense matrices by the faster of the two libraries that PyTorch has for them."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from flatrec.ops.dispatch import has_kernel
from flatrec.ops.operator import operator

WORTHWHILE = 2**18  # number of multiplications from which the choice is worth its microseconds


def matmul(left: Float[Tensor, "n k"], right: Float[Tensor, "k m"]) -> Float[Tensor, "n m"]:
    """Return ``left @ right``, differentiable to any order.

    PyTorch multiplies float32 matrices on CPUs by MKL, which uses 512-bit instructions only on Intel's processors. On
    other processors with such instructions, oneDNN, which PyTorch has too, is two to three times faster; there it is
    called for large float32 matrices on the CPU. The results of the two libraries differ by rounding.
    """
    return linear(left, right.T)


def linear(
    rows: Float[Tensor, "n k"], weight: Float[Tensor, "m k"], bias: Float[Tensor, "m"] | None = None
) -> Float[Tensor, "n m"]:
    """Return ``rows @ weight.T + bias`` by the same choice as :func:`matmul`."""
    if _suited(rows, weight):
        return _linear(rows, weight, bias)
    return nn.functional.linear(rows, weight, bias)


def linear_of_blocks(
    blocks: Sequence[Float[Tensor, "n _"]], weight: Float[Tensor, "m k"], bias: Float[Tensor, "m"] | None = None
) -> Float[Tensor, "n m"]:
    """Return :func:`linear` of blocks of columns that together have the columns of ``weight``.

    On a CPU, products of each block spare the wide table that holds all of them, and its gradient; elsewhere, one
    product takes fewer operations.
    """
    if weight.device.type != "cpu":
        return linear(torch.cat(list(blocks), dim=1), weight, bias)
    *firsts, last = zip(blocks, weight.split([block.shape[1] for block in blocks], dim=1), strict=True)
    total = linear(*last, bias)
    for block, columns in firsts:
        total.add_(linear(block, columns))
    return total


def linear_of_some(rows: Float[Tensor, "n k"], weight: Float[Tensor, "m k"], n_all: int) -> Float[Tensor, "n m"]:
    """Return ``rows @ weight.T`` where ``weight`` holds some of the ``n_all`` rows of a matrix.

    The library is that which :func:`linear` chooses for the whole matrix, so that the products are the same.
    """
    if _suited(rows, weight, n_all):
        return _onednn(rows.contiguous(), weight.contiguous(), None)
    return nn.functional.linear(rows, weight)


class Linear(nn.Linear):
    """A linear map by :func:`linear`."""

    def forward(self, rows: Float[Tensor, "n k"]) -> Float[Tensor, "n m"]:  # noqa: D102
        return linear(rows, self.weight, self.bias)


def _empty_product(rows: Tensor, weight: Tensor, _bias: Tensor | None) -> Tensor:
    return rows.new_empty(rows.shape[0], weight.shape[0])


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], _output: Tensor) -> None:  # noqa: ANN401
    ctx.save_for_backward(*inputs[:2])


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # noqa: ANN401
    rows, weight = ctx.saved_tensors
    of_rows, of_weight, of_bias = ctx.needs_input_grad
    return (
        linear(gradient, weight.T) if of_rows else None,
        linear(gradient.T, rows.T) if of_weight else None,
        gradient.sum(dim=0) if of_bias else None,
    )


@operator("linear(Tensor rows, Tensor weight, Tensor? bias) -> Tensor", _empty_product, _save, _backward)
def _linear(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the product by oneDNN, or by torch's default library where compiled code did not ask which one pays."""
    return _product(rows, weight, bias) if onednn_pays() else nn.functional.linear(rows, weight, bias)


def _product(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the product by oneDNN; transposed if the first matrix is stored by column, which oneDNN is slow with."""
    if bias is None and not rows.is_contiguous() and rows.T.is_contiguous() and weight.numel() < rows.numel():
        return _onednn(weight.contiguous(), rows, None).T.contiguous()
    # A second matrix that is contiguous in neither layout is handled by a kernel a thousand times slower.
    operand = weight if weight.is_contiguous() or weight.T.is_contiguous() else weight.contiguous()
    return _onednn(rows.contiguous(), operand, bias)


def _onednn(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the product by oneDNN, or by torch's default library if this torch lacks the private operation."""
    try:
        onednn = torch.ops.mkldnn._linear_pointwise  # private: no public operation calls oneDNN by choice
    except AttributeError:
        return nn.functional.linear(rows, weight, bias)
    return cast(Tensor, onednn(rows, weight, bias, "none", [], ""))


def _suited(rows: Tensor, weight: Tensor, n_all: int | None = None) -> bool:
    return bool(
        rows.device.type == weight.device.type == "cpu"
        and rows.dtype == weight.dtype == torch.float32
        and rows.numel() * (len(weight) if n_all is None else n_all) >= WORTHWHILE
        and not torch.is_autocast_enabled("cpu")
        and (torch.compiler.is_compiling() or onednn_pays())  # a compiler cannot look into files; the kernel asks
    )


@cache
def onednn_pays() -> bool:
    """Return True if MKL does not use this processor to the full and oneDNN is available."""
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    if not has_kernel("mkldnn::_linear_pointwise", "cpu"):
        return False
    listed = Path("/proc/cpuinfo")
    processor = listed.read_text(encoding="utf-8", errors="replace") if listed.exists() else platform.processor()
    return "GenuineIntel" not in processor
