"""One model and one base optimizer, in the verbs that strategies are written in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from flatrec.data.batches import Batch
from flatrec.models.base import Model
from flatrec.strategies.vectors import Vector, norm


class NonFiniteGradientError(ArithmeticError):
    """A loss or gradient came out as NaN or infinite; nothing has been updated. The trainer catches it."""


class Learner:
    """Gradients as values, shifts that undo themselves, and one way to update.

    Args:
        model: the model; every parameter that requires a gradient takes part.
        optimizer: a base optimizer over exactly these parameters.
        clip: the largest norm of a gradient that reaches the base optimizer, over all parameters; None for no limit.
            What a strategy perturbs with is never clipped.
        same_noise: whether all gradients of one step see the same dropout and sampled noise, so that they
            differentiate one function; the next step draws new noise either way. It re-seeds torch's global
            generators, so fork them (``torch.random.fork_rng``) where their state matters to you.

    Example:
        >>> from flatrec.models import BPR
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> model = BPR(block_dataset(), dim=8)
        >>> learner = Learner(model, torch.optim.Adam(model.parameters()))
        >>> losses, gradients = learner.gradients(whole_batch(block_dataset()))
        >>> learner.update(gradients[0])

    Raises:
        ValueError: nothing to train, or clip is not positive.
    """

    def __init__(
        self, model: Model, optimizer: Optimizer, *, clip: float | None = None, same_noise: bool = True
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.params: list[nn.Parameter] = [one for one in model.parameters() if one.requires_grad]
        if not self.params:
            raise ValueError("the model has no trainable parameter; there is nothing to train")
        if clip is not None and not clip > 0:
            raise ValueError(f"clip must be positive or left out, but is {clip}")
        self.clip = clip
        self.same_noise = same_noise
        self.progress = 0.0  # epochs trained so far, fractions included; the trainer moves it on
        self._noise: int | None = None
        self._elsewhere: list[Tensor] | None = None  # kept from one shift to the next

    def gradients(self, *batches: Batch) -> tuple[list[Tensor], list[list[Tensor]]]:
        """The loss and the gradient of each batch at the current parameters, from one shared ``encode``.

        A parameter that a loss does not reach has gradient zero.

        Raises:
            NonFiniteGradientError: a loss or gradient is NaN or infinite.
        """
        self._replay_noise()
        encoded = self.model.encode()
        losses = [self.model.loss(encoded, batch) for batch in batches]
        gradients = []
        for number, loss in enumerate(losses, start=1):
            shared = number < len(losses)
            gradient = torch.autograd.grad(loss, self.params, retain_graph=shared, materialize_grads=True)
            gradients.append(list(gradient))
        losses = [loss.detach() for loss in losses]
        sizes = torch.stack([*losses, *(norm(gradient) for gradient in gradients)])
        if not torch.isfinite(sizes).all():
            raise NonFiniteGradientError("a loss or gradient is not finite")
        return losses, gradients

    @contextmanager
    def shifted(self, by: Vector, scale: float = 1.0) -> Iterator[None]:
        """Parameters moved by scale * by inside the block, restored bit for bit after it, also when it raises."""
        here = [one.detach() for one in self.params]
        if self._elsewhere is None:
            self._elsewhere = [torch.empty_like(one) for one in here]
        for value, part, moved in zip(here, by, self._elsewhere, strict=True):
            torch.add(value, part, alpha=scale, out=moved)
        try:
            self._hold(self._elsewhere)
            yield
        finally:
            self._hold(here)

    def _hold(self, values: Sequence[Tensor]) -> None:
        """Let the parameters be other tensors: three times as fast as copying there and back."""
        for parameter, value in zip(self.params, values, strict=True):
            parameter.data = value

    def update(self, gradient: Vector) -> None:
        """Clip, and let the base optimizer take one step with the gradient."""
        if self.clip is not None:
            gradient = _clipped(gradient, self.clip)
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
        if not self.same_noise:
            return
        if self._noise is None:
            self._noise = int(torch.randint(2**62, (), dtype=torch.int64))
        torch.manual_seed(self._noise)


def _clipped(gradient: Vector, limit: float) -> list[Tensor]:
    factor = (limit / norm(gradient)).clamp(max=1)  # a zero gradient gives infinity, clamped to 1
    return list(torch._foreach_mul(list(gradient), factor))
