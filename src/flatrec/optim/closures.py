"""The context of steps in a user's own loop: parameters of a torch optimizer, and closures as batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from numbers import Real
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from flatrec.ops.foreach import foreach
from flatrec.ops.param_vector import Vector, unshared
from flatrec.ops.scalars import Scalar, add_scaled, at_hand
from flatrec.optim.noise import Noise
from flatrec.optim.running_statistics import kept_running_statistics
from flatrec.strategies.context import NonFiniteGradientError
from flatrec.strategies.finiteness import FiniteChecks
from flatrec.strategies.state import Layout

Closure: TypeAlias = Callable[[], Tensor | float]
NOT_FINITE = "a loss or gradient is not finite and the step has ended; catch this error to go on with the next step"


class ClosureContext:
    """One step of a base optimizer, as a :class:`flatrec.strategies.StepContext`; batches are closures.

    A complex parameter is a real one here, with the real and imaginary part of each entry side by side.

    Args:
        optimizer: the base optimizer; its groups may hold ``rho`` and ``perturb``.
        same_dropout_mask: whether a closure that is called again draws the random numbers of its first call.
        model: where batch-norm layers are looked for; None to notice them as they are called.

    Raises:
        ValueError: parameters on several devices, none that is trained, or none that is perturbed.
    """

    def __init__(self, optimizer: Optimizer, *, same_dropout_mask: bool, model: nn.Module | None) -> None:
        self.optimizer = optimizer
        self.model = model
        everything = [(group, parameter) for group in optimizer.param_groups for parameter in group["params"]]
        trained = [number for number, (_, parameter) in enumerate(everything) if parameter.requires_grad]
        groups = [everything[number][0] for number in trained]
        is_perturbed = [_is_perturbed(group) for group in groups]
        self.leaves: list[nn.Parameter] = [everything[number][1] for number in trained]
        self.params: list[Tensor] = [real(leaf.detach()) for leaf in self.leaves]
        self.perturbed_params: list[Tensor] = _chosen(self.params, is_perturbed)
        self.layout = Layout(tuple(trained), tuple(_chosen(trained, is_perturbed)))
        self.progress = float("inf")  # no warm-up: an optimizer does not see epochs
        self.is_perturbed = False
        self._signs = [-1.0 if group.get("maximize", False) else 1.0 for group in groups]
        radii = [_radius(group) for group in _chosen(groups, is_perturbed)]
        self.rho = max(radii, default=0.0)
        self._relative_radii = [radius / self.rho if self.rho else 1.0 for radius in radii]
        self._has_gradient = [False] * len(groups)
        self._noise = Noise({parameter.device for parameter in self.params}) if same_dropout_mask else None
        self._checks = FiniteChecks(NOT_FINITE)
        self._check()

    def _check(self) -> None:
        devices = sorted({str(parameter.device) for parameter in self.params})
        if not devices:
            raise ValueError("the base optimizer has no parameter that requires a gradient; there is nothing to train")
        if len(devices) > 1:
            raise ValueError(
                f"all parameters must be on one device, for they are one vector here, but they are on "
                f"{' and '.join(devices)}; move them, or wrap an optimizer for each device"
            )
        if not self.perturbed_params:
            raise ValueError("perturb is False in every parameter group; use the base optimizer by itself")

    def select_perturbed(self, gradient: Vector) -> Vector:
        """Return the tensors of a gradient that belong to ``perturbed_params``; the gradient itself if all do."""
        return self.layout.select_perturbed(gradient)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Context manager for one step; gradients are cleared if a loss or gradient is not finite."""
        try:
            yield
        except NonFiniteGradientError:
            self._clear()
            raise

    def gradients(self, *batches: Closure) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Call the closures one after another and take the gradients that they leave.

        Raises:
            NonFiniteGradientError: a loss or gradient is NaN or infinite.
            RuntimeError: a closure called no backward.
            TypeError: a closure returned no loss, or a gradient is sparse.
            ValueError: a closure returned more than one number.
        """
        results = [self._call(closure) for closure in batches]
        losses, gradients = [loss for loss, _ in results], [gradient for _, gradient in results]
        self._checks.require(losses, gradients)
        return losses, gradients

    def take_gradient(self) -> list[Tensor]:
        """Take the gradient that the caller's own backward has left.

        Raises:
            NonFiniteGradientError: it is NaN or infinite.
            RuntimeError: there is none.
            TypeError: it is sparse.
        """
        gradient = self._take()
        self._checks.require([], [gradient])
        self._checks.settle()
        return gradient

    def _call(self, closure: Closure) -> tuple[Tensor, list[Tensor]]:
        self._clear()
        with torch.enable_grad(), self._noise.of(closure) if self._noise else nullcontext():
            loss = closure()
        if not isinstance(loss, (Tensor, Real)):
            raise TypeError(f"a closure must return its loss, a scalar, but returned {type(loss).__name__}")
        if isinstance(loss, Tensor) and loss.numel() != 1:
            raise ValueError(
                f"a closure must return its loss as one number, but returned a tensor of shape {tuple(loss.shape)}; "
                "take its mean() before backward()"
            )
        return torch.as_tensor(loss, device=self.params[0].device).detach().float().sum(), self._take()

    def _take(self) -> list[Tensor]:
        """Return the gradients by value and clear them; zero for a parameter without one."""
        if all(leaf.grad is None for leaf in self.leaves):
            raise RuntimeError(
                "no parameter has a gradient; call loss.backward() before, in the closure if there is one, with the "
                "parameters that the optimizer was made with"
            )
        gradient = []
        for index, leaf in enumerate(self.leaves):
            tensor = leaf.grad
            if tensor is not None and tensor.layout != torch.strided:
                raise TypeError("a gradient is sparse, which no strategy here works with; use sparse=False")
            self._has_gradient[index] |= tensor is not None
            gradient.append(
                torch.zeros_like(self.params[index]) if tensor is None else _own(tensor, self._signs[index])
            )
            leaf.grad = None
        return gradient

    def _clear(self) -> None:
        for leaf in self.leaves:
            leaf.grad = None

    @contextmanager
    def perturbed(self, direction: Vector, scale: Scalar = 1.0) -> Iterator[None]:
        """Context manager that moves the perturbed parameters, each as far as its group's rho says, and restores them.

        They are changed in place and restored bit for bit.
        """
        before, known = [parameter.clone() for parameter in self.perturbed_params], at_hand(scale)
        if isinstance(known, Tensor):
            self._checks.require([known])
        try:
            self.is_perturbed = True
            for parameter, tensor, relative in zip(self.perturbed_params, direction, self._relative_radii, strict=True):
                add_scaled(parameter, tensor, known * relative, out=parameter)
            with kept_running_statistics(self.model):
                yield
        finally:
            foreach("copy_", self.perturbed_params, before)
            self.is_perturbed = False

    def update(self, gradient: Vector) -> None:
        """Let the base optimizer take one step; as in torch, parameters that no closure reached are left alone.

        Raises:
            NonFiniteGradientError: something of the step is NaN or infinite; nothing is updated.
        """
        self._checks.settle()
        for index, (leaf, tensor) in enumerate(zip(self.leaves, gradient, strict=True)):
            signed = _signed(tensor, self._signs[index]).contiguous()
            leaf.grad = _like(leaf, signed) if self._has_gradient[index] else None
        self.optimizer.step()


def real(tensor: Tensor) -> Tensor:
    """Return a complex tensor as a real one in the same memory, with one dimension more; a real one as it is."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def _chosen(values: list[Any], chosen: list[bool]) -> list[Any]:
    return [value for value, keep in zip(values, chosen, strict=True) if keep]


def _like(leaf: Tensor, tensor: Tensor) -> Tensor:
    return torch.view_as_complex(tensor) if leaf.is_complex() else tensor


def _is_perturbed(group: Mapping[str, object]) -> bool:
    perturb = group.get("perturb", True)
    if not isinstance(perturb, bool):
        raise ValueError(f"perturb of a parameter group must be True or False, but is {perturb!r}")
    return perturb


def _radius(group: Mapping[str, object]) -> float:
    """Return how far a group's parameters are moved; with a radius of 0 they stay, but still count in the norm."""
    rho = group["rho"]
    if not isinstance(rho, (int, float)) or not 0 <= rho < float("inf"):
        raise ValueError(f"rho of a parameter group must be a finite number of at least 0, but is {rho!r}")
    return float(rho)


def _own(gradient: Tensor, sign: float) -> Tensor:
    """Return the gradient of what is minimized, in memory of its own; DDP's gradients are views of buckets."""
    return _signed(real(unshared(gradient.detach())), sign)


def _signed(tensor: Tensor, sign: float) -> Tensor:
    return tensor if sign == 1 else tensor.neg()
