"""One model and one base optimizer, in the verbs that strategies are written in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from flatrec.data.batches import Batch
from flatrec.models.base import Model
from flatrec.ops.param_vector import Vector, norm
from flatrec.strategies.context import NonFiniteGradientError, finite

Precision: TypeAlias = Literal["float32", "bfloat16", "float16"]

LOSS_SCALE = 2.0**10  # keeps small float16 gradients from vanishing; fixed, so that a resumed run needs no state of it


class TrainStepContext:
    """Gradients as values, shifts that undo themselves, and one way to update.

    Args:
        model: the model; every parameter that requires a gradient takes part.
        optimizer: a base optimizer over exactly these parameters.
        objective: what is encoded and differentiated, where another loss stands around the model; None for the model.
        clip: the largest norm of a gradient that reaches the base optimizer, over all parameters; None for no limit.
            What a strategy perturbs with is never clipped.
        same_dropout_mask: whether all gradients of one step see the same dropout and sampled noise, so that they
            differentiate one function; the next step draws new noise either way. It re-seeds torch's global
            generators, so fork them (``torch.random.fork_rng``) where their state matters to you.
        perturb_exclude: patterns of parameter names, such as ``features.*``, that strategies leave where they are and
            out of their norms; they are trained all the same.
        grad_accumulation_steps: portions in which the gradient of a batch is taken, each with an ``encode`` of its own,
            for less memory. A loss that is a mean over pairs has the gradient of the whole batch up to rounding; a
            contrast within the batch, or a penalty on the norm of its rows, sees its portion only.
        precision: what matrix products are computed in; parameters and gradients stay float32.

    Example:
        >>> from flatrec.models import BPR
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> model = BPR(block_dataset(), BPR.Config(embedding_dim=8))
        >>> learner = TrainStepContext(model, torch.optim.Adam(model.parameters()))
        >>> losses, gradients = learner.gradients(whole_batch(block_dataset()))
        >>> learner.update(gradients[0])

    Raises:
        ValueError: nothing to train or to perturb, a pattern that no parameter has, or a number that is not positive.
    """

    def __init__(
        self,
        model: Model,
        optimizer: Optimizer,
        *,
        objective: Model | None = None,
        max_grad_norm: float | None = None,
        same_dropout_mask: bool = True,
        perturb_exclude: Sequence[str] = (),
        grad_accumulation_steps: int = 1,
        precision: Precision = "float32",
    ) -> None:
        self.model = model
        self.objective = model if objective is None else objective
        self.optimizer = optimizer
        self.params: list[nn.Parameter] = [one for one in model.parameters() if one.requires_grad]
        if not self.params:
            raise ValueError("the model has no trainable parameter; there is nothing to train")
        if any(one.is_complex() for one in self.params):
            raise ValueError(
                "the model has complex parameters; keep their real and imaginary parts as parameters instead"
            )
        if max_grad_norm is not None and not max_grad_norm > 0:
            raise ValueError(f"max_grad_norm must be positive or left out, but is {max_grad_norm}")
        if grad_accumulation_steps < 1:
            raise ValueError(f"grad_accumulation_steps must be at least 1, but is {grad_accumulation_steps}")
        self.perturbed: Sequence[int] = _others(
            perturb_exclude, [name for name, one in model.named_parameters() if one.requires_grad]
        )
        self.numbers: Sequence[int] = range(len(self.params))
        self.max_grad_norm = max_grad_norm
        self.same_dropout_mask = same_dropout_mask
        self.grad_accumulation_steps = grad_accumulation_steps
        self.precision = precision
        self.progress = 0.0  # epochs trained so far, fractions included; the trainer moves it on
        self._noise: int | None = None
        self.elsewhere: list[Tensor] | None = None  # kept from one shift to the next

    def gradients(self, *batches: Batch) -> tuple[list[Tensor], list[list[Tensor]]]:
        """The loss and the gradient of each batch at the current parameters, from one shared ``encode``.

        A parameter that a loss does not reach has gradient zero.

        Raises:
            NonFiniteGradientError: a loss or gradient is NaN or infinite.
        """
        if self.grad_accumulation_steps == 1:
            losses, gradients = self._of(batches, [1.0] * len(batches))
        else:
            losses, gradients = self._in_portions(batches)
        if not finite(losses, gradients):
            raise NonFiniteGradientError("a loss or gradient is not finite")
        return losses, gradients

    def _of(self, batches: Sequence[Batch], weights: Sequence[float]) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Weighted losses and their gradients, whether finite or not."""
        self._replay_noise()
        with self._autocast():
            encoded = self.objective.encode()
            losses = [self.objective.loss(encoded, batch) for batch in batches]
        losses = [loss.float() * weight if weight != 1 else loss for loss, weight in zip(losses, weights, strict=True)]
        gradients = []
        for number, loss in enumerate(losses, start=1):
            scaled = loss * LOSS_SCALE if self.precision == "float16" else loss
            shared = number < len(losses)
            gradient = list(torch.autograd.grad(scaled, self.params, retain_graph=shared, materialize_grads=True))
            if self.precision == "float16":
                torch._foreach_div_(gradient, LOSS_SCALE)
            gradients.append(gradient)
        return [loss.detach() for loss in losses], gradients

    def _in_portions(self, batches: Sequence[Batch]) -> tuple[list[Tensor], list[list[Tensor]]]:
        """The same as sums over portions of the batches, in proportion to their pairs."""
        count = min(self.grad_accumulation_steps, *(len(batch) for batch in batches))
        portions = [batch.split(count) for batch in batches]
        losses: list[Tensor] = []
        gradients: list[list[Tensor]] = []
        for some in zip(*portions, strict=True):
            weights = [len(part) / len(batch) for part, batch in zip(some, batches, strict=True)]
            more, steeper = self._of(some, weights)
            losses = [a + b for a, b in zip(losses, more, strict=True)] if losses else more
            for total, part in zip(gradients, steeper, strict=True) if gradients else ():
                torch._foreach_add_(total, part)
            gradients = gradients or steeper
        return losses, gradients

    def _autocast(self) -> torch.autocast:
        kind = torch.bfloat16 if self.precision == "bfloat16" else torch.float16
        return torch.autocast(self.params[0].device.type, dtype=kind, enabled=self.precision != "float32")

    @contextmanager
    def shifted(self, by: Vector, scale: float = 1.0) -> Iterator[None]:
        """Perturbed parameters moved by scale * by in the block, restored bit for bit after it, also if it raises."""
        perturbed = [self.params[place] for place in self.perturbed]
        here = [one.detach() for one in perturbed]
        if self.elsewhere is None:
            self.elsewhere = [torch.empty_like(one) for one in here]
        for value, part, moved in zip(here, by, self.elsewhere, strict=True):
            torch.add(value, part, alpha=scale, out=moved)
        try:
            _hold(perturbed, self.elsewhere)
            yield
        finally:
            _hold(perturbed, here)

    def update(self, gradient: Vector) -> None:
        """Clip, and let the base optimizer take one step with the gradient."""
        if self.max_grad_norm is not None:
            gradient = _clipped(gradient, self.max_grad_norm)
        for parameter, part in zip(self.params, gradient, strict=True):
            parameter.grad = part.contiguous()  # torch's fused optimizers misread the strides of anything else
        self.optimizer.step()
        self.end_step()

    def end_step(self) -> None:
        """Forget the step's gradients and noise; ``update`` does it, and so must whoever gives a step up."""
        self.optimizer.zero_grad(set_to_none=True)
        self._noise = None

    def _replay_noise(self) -> None:
        """Start the noise of this step again; each step's seed is drawn from the stream that the last one left."""
        if not self.same_dropout_mask:
            return
        if self._noise is None:
            self._noise = int(torch.randint(2**62, (), dtype=torch.int64))
        torch.manual_seed(self._noise)


def _clipped(gradient: Vector, limit: float) -> list[Tensor]:
    factor = (limit / norm(gradient)).clamp(max=1)  # a zero gradient gives infinity, clamped to 1
    return list(torch._foreach_mul(list(gradient), factor))


def _hold(parameters: Sequence[nn.Parameter], values: Sequence[Tensor]) -> None:
    """Let the parameters be other tensors: three times as fast as copying there and back."""
    for parameter, value in zip(parameters, values, strict=True):
        parameter.data = value


def _others(patterns: Sequence[str], names: Sequence[str]) -> list[int]:
    """The places of the names that no pattern fits."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(
                f"perturb_exclude: no trainable parameter is called {pattern!r}; there are {', '.join(names)}"
            )
    places = [place for place, name in enumerate(names) if not any(fnmatchcase(name, pattern) for pattern in patterns)]
    if not places:
        raise ValueError("perturb_exclude leaves no parameter to perturb; use strategy plain instead")
    return places
