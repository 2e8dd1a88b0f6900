"""Weights that a model trains by itself once per epoch, by another objective than its loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

BETAS, OFFSET = (0.9, 0.999), 1e-8


class AuxiliaryWeights(nn.Module):
    """Weights with an objective and an Adam of their own, for a model to train in ``on_epoch_start``.

    Weights and the optimizer's state are persistent buffers, not parameters. So no strategy perturbs them, and neither
    the base optimizer nor weight decay nor an average of weights reaches them; a checkpoint holds them, the best epoch
    has its own, and a run that is resumed goes on with them bit for bit. A run that begins with the parameters of
    another one begins with new ones.

    The optimizer is Adam (Kingma & Ba, ICLR 2015, https://arxiv.org/abs/1412.6980) with its usual settings.

    Args:
        initial: the initial weights by name; a name has no dot.
        lr: the learning rate.

    Example:
        >>> weights = AuxiliaryWeights({"slope": torch.tensor([2.0])}, lr=0.1)
        >>> weights.step(lambda now: now["slope"].square().sum()).item()
        4.0
        >>> weights()["slope"].item() < 2
        True
    """

    steps: Int64[Tensor, ""]

    def __init__(self, initial: Mapping[str, Float[Tensor, "*_"]], *, lr: float) -> None:
        super().__init__()
        self.lr = lr
        self.values, self.means, self.squares = (nn.Module() for _ in range(3))
        for name, tensor in initial.items():
            self.values.register_buffer(name, tensor)
            self.means.register_buffer(name, torch.zeros_like(tensor))
            self.squares.register_buffer(name, torch.zeros_like(tensor))
        self.register_buffer("steps", torch.tensor(0))

    def forward(self) -> dict[str, Tensor]:
        """Return the weights by name."""
        return dict(self.values.named_buffers())

    def gradients(self, loss: Callable[[Mapping[str, Tensor]], Float[Tensor, ""]]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss, a function of the weights, and its gradient by each of them."""
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in self().items()}
        with torch.enable_grad():
            value = loss(leaves)
        slopes = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
        return value.detach(), dict(zip(leaves, slopes, strict=True))

    def step(self, loss: Callable[[Mapping[str, Tensor]], Float[Tensor, ""]]) -> Float[Tensor, ""]:
        """Take one step down the gradient of a loss, and return the loss before it.

        Raises:
            ValueError: the loss is not finite.
        """
        value, slopes = self.gradients(loss)
        if not value.isfinite():
            raise ValueError(
                f"the loss of what a model trains beside its own is {float(value)}; lower its learning rate, "
                f"which is {self.lr}"
            )
        self._update(slopes)
        return value

    @torch.no_grad()
    def _update(self, slopes: Mapping[str, Tensor]) -> None:
        self.steps += 1
        count = int(self.steps)
        (first, second), means, squares = BETAS, dict(self.means.named_buffers()), dict(self.squares.named_buffers())
        for name, tensor in self().items():
            means[name].lerp_(slopes[name], 1 - first)
            squares[name].mul_(second).addcmul_(slopes[name], slopes[name], value=1 - second)
            length = (squares[name] / (1 - second**count)).sqrt_().add_(OFFSET)
            tensor.addcdiv_(means[name], length, value=-self.lr / (1 - first**count))
