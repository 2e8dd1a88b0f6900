"""Parameters of an optimizer and closures, in the verbs that strategies are written in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from numbers import Real
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from flatrec.ops.param_vector import Vector, norm
from flatrec.optim.noise import Noise
from flatrec.optim.running_statistics import kept_running_statistics
from flatrec.strategies.context import NonFiniteGradientError, finite

Closure: TypeAlias = Callable[[], Tensor | float]


class Closures:
    """One step of a base optimizer, offered to a strategy; batches are closures.

    A complex parameter is a real one here, with the two parts of each entry side by side.

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
        all_of_them = [(group, one) for group in optimizer.param_groups for one in group["params"]]
        self.numbers: Sequence[int] = [number for number, (_, one) in enumerate(all_of_them) if one.requires_grad]
        groups = [all_of_them[number] for number in self.numbers]
        self.leaves: list[nn.Parameter] = [one for _, one in groups]
        self.params: list[Tensor] = [real(one.detach()) for one in self.leaves]
        self.perturbed: Sequence[int] = [place for place, (group, _) in enumerate(groups) if _is_perturbed(group)]
        self.progress = float("inf")  # no warm-up: an optimizer does not see epochs
        self.moved = False
        self._signs = [-1.0 if group.get("maximize", False) else 1.0 for group, _ in groups]
        radii = [_radius(groups[place][0]) for place in self.perturbed]
        self.rho = max(radii, default=0.0)
        self._shares = [radius / self.rho if self.rho else 1.0 for radius in radii]
        self._reached = [False] * len(groups)
        self._noise = Noise({one.device for one in self.params}) if same_dropout_mask else None
        self._check()

    def _check(self) -> None:
        devices = sorted({str(one.device) for one in self.params})
        if not devices:
            raise ValueError("the base optimizer has no parameter that requires a gradient; there is nothing to train")
        if len(devices) > 1:
            raise ValueError(
                f"all parameters must be on one device, for they are one vector here, but they are on "
                f"{' and '.join(devices)}; move them, or wrap an optimizer for each device"
            )
        if not self.perturbed:
            raise ValueError("perturb is False in every parameter group; use the base optimizer by itself")

    def gradients(self, *batches: Closure) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Call the closures one after another and take the gradients that they leave.

        Raises:
            NonFiniteGradientError: a loss or gradient is NaN or infinite.
            RuntimeError: a closure called no backward.
            TypeError: a closure returned no loss, or a gradient is sparse.
            ValueError: a closure returned more than one number.
        """
        found = [self._of(closure) for closure in batches]
        losses, gradients = [loss for loss, _ in found], [gradient for _, gradient in found]
        if not finite(losses, gradients):
            self._clear()
            raise _not_finite()
        return losses, gradients

    def left(self) -> list[Tensor]:
        """Take the gradients that the caller's own backward has left.

        Raises:
            NonFiniteGradientError: one is NaN or infinite.
            RuntimeError: there is none.
            TypeError: one is sparse.
        """
        gradient = self._taken()
        if not bool(norm(gradient).isfinite()):
            raise _not_finite()
        return gradient

    def _of(self, closure: Closure) -> tuple[Tensor, list[Tensor]]:
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
        return torch.as_tensor(loss, device=self.params[0].device).detach().float().sum(), self._taken()

    def _taken(self) -> list[Tensor]:
        """The gradients by value; zero where the closure left none."""
        if all(one.grad is None for one in self.leaves):
            raise RuntimeError(
                "no parameter has a gradient; call loss.backward() before, in the closure where there is one, with the "
                "parameters that the optimizer was made with"
            )
        gradient = []
        for place, parameter in enumerate(self.leaves):
            part = parameter.grad
            if part is not None and part.layout != torch.strided:
                raise TypeError("a gradient is sparse, which no strategy here works with; use sparse=False")
            self._reached[place] |= part is not None
            gradient.append(
                _own(part, self._signs[place]) if part is not None else torch.zeros_like(self.params[place])
            )
            parameter.grad = None
        return gradient

    def _clear(self) -> None:
        for one in self.leaves:
            one.grad = None

    @contextmanager
    def shifted(self, by: Vector, scale: float = 1.0) -> Iterator[None]:
        """Perturbed parameters moved in place, each as far as its group's rho says, and put back bit for bit."""
        parameters = [self.params[place] for place in self.perturbed]
        before = [one.clone() for one in parameters]
        try:
            self.moved = True
            for parameter, part, share in zip(parameters, by, self._shares, strict=True):
                parameter.add_(part, alpha=scale * share)
            with kept_running_statistics(self.model):
                yield
        finally:
            torch._foreach_copy_(parameters, before)
            self.moved = False

    def update(self, gradient: Vector) -> None:
        """One step of the base optimizer; parameters that no closure reached are left alone, as torch does."""
        for place, (parameter, part) in enumerate(zip(self.leaves, gradient, strict=True)):
            whole = _signed(part, self._signs[place]).contiguous()
            parameter.grad = _like(parameter, whole) if self._reached[place] else None
        self.optimizer.step()


def real(tensor: Tensor) -> Tensor:
    """A complex tensor as a real one in the same memory, with one dimension more; a real one as it is."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def _like(parameter: Tensor, part: Tensor) -> Tensor:
    return torch.view_as_complex(part) if parameter.is_complex() else part


def _not_finite() -> NonFiniteGradientError:
    return NonFiniteGradientError(
        "a loss or gradient is not finite; the step was given up, catch this error to go on with the next"
    )


def _is_perturbed(group: Mapping[str, object]) -> bool:
    perturb = group.get("perturb", True)
    if not isinstance(perturb, bool):
        raise ValueError(f"perturb of a parameter group must be True or False, but is {perturb!r}")
    return perturb


def _radius(group: dict[str, object]) -> float:
    """How far a group's parameters are moved; with a radius of 0 they stay, and count in the norm all the same."""
    rho = group["rho"]
    if not isinstance(rho, (int, float)) or not 0 <= rho < float("inf"):
        raise ValueError(f"rho of a parameter group must be a finite number of at least 0, but is {rho!r}")
    return float(rho)


def _own(gradient: Tensor, sign: float) -> Tensor:
    """The gradient, uphill in what is minimized; a copy where another holds its memory, as DDP's buckets do."""
    part = gradient.detach()
    return _signed(real(part.clone() if part._is_view() else part), sign)


def _signed(part: Tensor, sign: float) -> Tensor:
    return part if sign == 1 else part.neg()
