import torch

from flatrec.ops.dispatch import has_kernel


def test_kernels_of_this_torch_are_found():
    assert has_kernel("aten::add.Tensor", "CPU") is True
    assert has_kernel("aten::no_such_operator", "CPU") is False


def test_without_the_private_function_no_kernel_is_claimed(monkeypatch):
    monkeypatch.delattr(torch._C, "_dispatch_has_kernel_for_dispatch_key")
    assert has_kernel("aten::add.Tensor", "CPU") is False
