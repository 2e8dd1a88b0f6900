"""The operations on lists of tensors beside what they fall back to where torch lacks a private kernel."""

from __future__ import annotations

import pytest
import torch

from flatrec.ops.foreach import foreach, one_by_one

SHAPES = [(300, 7), (5,), (0, 4), ()]
WITHOUT, NUMBER, LIST, BOTH = [], [0.3], ["list"], ["list", 0.3]
ARGUMENTS = {
    "abs": [WITHOUT],
    "norm": [WITHOUT],
    "add_": [NUMBER, LIST],
    "mul": [NUMBER, LIST, [torch.tensor(0.3)]],
    "mul_": [NUMBER, LIST],
    "div": [LIST],
    "copy_": [LIST],
    "lerp": [BOTH],
    "lerp_": [BOTH],
}


def vector(seed, precision):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator).to(precision) for shape in SHAPES]


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("operation", "arguments"), [(name, arguments) for name, several in ARGUMENTS.items() for arguments in several]
)
def test_the_fallback_gives_the_same_bits(operation, arguments, precision, monkeypatch):
    def result(function):
        tensors = vector(0, precision)
        values = [vector(1, precision) if value == "list" else value for value in arguments]
        return tensors, function(operation, tensors, *values)

    before, fused = result(foreach)
    after, plain = result(one_by_one)
    assert all(map(torch.equal, fused, plain))
    assert all(map(torch.equal, before, after))
    assert [one is other for one, other in zip(before, fused, strict=True)] == [operation.endswith("_")] * len(SHAPES)
    monkeypatch.delattr(torch, f"_foreach_{operation}")
    assert all(map(torch.equal, result(foreach)[1], plain))


def test_the_fallback_differs_by_rounding_in_a_lower_precision():
    fused, plain = (function("mul", vector(0, torch.bfloat16), 0.3) for function in (foreach, one_by_one))
    assert all(torch.allclose(one, other, rtol=2**-7) for one, other in zip(fused, plain, strict=True))
