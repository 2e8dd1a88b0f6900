"""What is known of torch's operators."""

import torch

from flatrec.ops.dispatch import has_kernel


def test_operators_are_known_by_device():
    assert has_kernel("aten::_fused_adam_", "cpu")
    assert not has_kernel("aten::_fused_adam_", "meta")
    assert not has_kernel("aten::_fused_nothing_", "cpu")


def test_without_torchs_private_query_no_operator_is_known(monkeypatch):
    monkeypatch.delattr(torch._C, "_dispatch_has_kernel_for_dispatch_key")
    assert not has_kernel("aten::_fused_adam_", "cpu")
