"""Kernels as operators of torch, which ``torch.compile`` and ``torch.export`` take as they are. Needs torch alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast

import torch

P = ParamSpec("P")
R = TypeVar("R")
Save: TypeAlias = Callable[[Any, tuple[Any, ...], Any], None]  # (context, inputs, output), as torch calls it
Gradients: TypeAlias = tuple[Any, ...]
Backward: TypeAlias = Callable[..., Gradients]  # given a context and the gradients of the outputs


def operator(
    schema: str, fake: Callable[..., Any], save: Save | None = None, backward: Backward | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that registers a kernel as an operator of torch's namespace ``flatrec``.

    Where code is compiled or exported, a call is one node of the graph; else the kernel is called by
    ``torch.autograd.Function``, which takes a third of the time that torch's dispatcher takes for an operator written
    in Python. Both are differentiated by the same functions.

    Args:
        schema: name, arguments and results in the language of ``torch.library``, such as ``f(Tensor x) -> Tensor``.
        fake: returns empty tensors of the kernel's shapes, strides and types, given its arguments.
        save: keeps what the gradient needs, given a context, the inputs and the output. ``None`` for a kernel that is
            not differentiated.
        backward: returns one gradient, or ``None``, per input, by operations that are differentiable themselves if
            the kernel is to be differentiated more than once.
    """

    def register(kernel: Callable[P, R]) -> Callable[P, R]:
        name, brace, signature = schema.partition("(")
        registered = torch.library.custom_op(f"flatrec::{name}", kernel, mutates_args=(), schema=brace + signature)
        registered.register_fake(fake)
        eager: Callable[..., Any] = kernel
        if save is not None and backward is not None:
            registered.register_autograd(_by_list(backward), setup_context=_by_name(save))
            eager = _function(name, kernel, save, backward)

        @wraps(kernel)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return cast(R, (registered if torch.compiler.is_compiling() else eager)(*args, **kwargs))

        return call

    return register


def _function(name: str, kernel: Callable[..., Any], save: Save, backward: Backward) -> Callable[..., Any]:
    """The kernel as an autograd function; profilers show its name."""

    def forward(ctx: Any, *inputs: Any) -> Any:  # noqa: ANN401
        output = kernel(*inputs)
        save(ctx, inputs, output)
        return output

    members = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return cast(type[torch.autograd.Function], type(name, (torch.autograd.Function,), members)).apply


def _by_name(save: Save) -> Save:
    """The same for torch's dispatcher, which passes its arguments by these names."""
    return lambda ctx, inputs, output: save(ctx, inputs, output)


def _by_list(backward: Backward) -> Backward:
    """The same for torch's dispatcher, which takes a gradient per tensor of a list; lists are constants here."""

    def by_list(ctx: Any, *gradients: Any) -> Gradients:  # noqa: ANN401
        found = zip(backward(ctx, *gradients), ctx.needs_input_grad, strict=True)
        return tuple([None] * len(needed) if isinstance(needed, list) else gradient for gradient, needed in found)

    return by_list
