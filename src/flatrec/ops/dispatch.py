"""Which kernels the installed torch has, asked through one function."""

from __future__ import annotations

import torch


def has_kernel(operator: str, key: str) -> bool:
    """Return True if torch registered a kernel of an operator for a dispatch key, such as ``CPU``.

    torch answers this by a private function. If a later version lacks it, the answer is False, and callers use the
    public operation.
    """
    try:
        return bool(torch._C._dispatch_has_kernel_for_dispatch_key(operator, key))
    except (AttributeError, RuntimeError):  # no such function, or no such operator
        return False
