"""The context of training steps: one model and one base optimizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from flatrec.data.batches import Batch
from flatrec.models.base import Encoded, Model
from flatrec.ops.columns import column_norm
from flatrec.ops.foreach import foreach
from flatrec.ops.layer_storage import layers_stored_as
from flatrec.ops.param_vector import Vector, norm, times
from flatrec.ops.scalars import Scalar, add_scaled, at_hand
from flatrec.parallel.portions import Portions
from flatrec.strategies.finiteness import FiniteChecks
from flatrec.strategies.second_gradient import FirstAndSecond, first_and_known_second
from flatrec.strategies.state import Layout
from flatrec.training.merged_backward import encodes_linearly, first_and_linear_second
from flatrec.training.weight_decay import decay_weights
from flatrec.utils import devices
from flatrec.utils.messages import shortlist

Precision: TypeAlias = Literal["float32", "tf32", "bfloat16", "float16"]
LayerPrecision: TypeAlias = Literal["float32", "bfloat16"]

LOSS_SCALE = 2.0**10  # keeps small float16 gradients from vanishing; fixed, so that a resumed run needs no state of it


class TrainStepContext:
    """What a strategy trains: a model and its base optimizer, as a :class:`flatrec.strategies.StepContext`.

    Args:
        model: the model; every parameter that requires a gradient takes part.
        optimizer: a base optimizer over exactly these parameters.
        objective: what is encoded and differentiated, if another loss wraps the model; None for the model.
        max_grad_norm: the largest norm of a gradient that reaches the base optimizer, over all parameters; None for no
            limit. Perturbations are never clipped.
        max_row_grad_norm: the largest norm of a row of a gradient that reaches the base optimizer, before
            ``max_grad_norm``; None for no limit. A row is a slice along the first dimension, such as the embedding of a
            user; a vector is one row.
        same_dropout_mask: whether all gradients of one step see the same dropout and sampled noise, so that they
            differentiate one function; the next step draws new noise either way. It re-seeds torch's global
            generators of the CPU and of the parameters' device, so fork them where their state matters to you.
        perturb_exclude: patterns of names, such as ``features.*``, of parameters that strategies do not perturb and
            leave out of their norms; they are trained all the same.
        grad_accumulation_steps: portions in which the gradient of a batch is computed, each with an ``encode`` of its
            own, for less memory. A loss that is a mean over interactions has the gradient of the whole batch up to
            rounding; a contrast within the batch, or a penalty on the norm of its rows, sees its portion only.
        precision: what matrix products are computed in; parameters and gradients stay float32. ``tf32`` is left to
            :func:`flatrec.utils.devices.numerics`.
        layer_precision: what propagation stores its layers in (:mod:`flatrec.ops.layer_storage`).
        weight_decay: weight of the decoupled decay of :func:`flatrec.training.weight_decay.decay_weights`.
        portions: what this process computes of a gradient, if several compute it: ``grad_accumulation_steps`` portions
            of each batch. None if it computes gradients alone.

    Example:
        >>> from flatrec.models import BPR
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> model = BPR(block_dataset(), BPR.Config(embedding_dim=8))
        >>> context = TrainStepContext(model, torch.optim.Adam(model.parameters()))
        >>> losses, gradients = context.gradients(whole_batch(block_dataset()))
        >>> context.update(gradients[0])

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
        max_row_grad_norm: float | None = None,
        same_dropout_mask: bool = True,
        perturb_exclude: Sequence[str] = (),
        grad_accumulation_steps: int = 1,
        precision: Precision = "float32",
        layer_precision: LayerPrecision = "float32",
        weight_decay: float = 0.0,
        portions: Portions | None = None,
    ) -> None:
        self.model = model
        self.objective = model if objective is None else objective
        self.optimizer = optimizer
        self.params: list[nn.Parameter] = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if not self.params:
            raise ValueError("the model has no trainable parameter; there is nothing to train")
        if any(parameter.is_complex() for parameter in self.params):
            raise ValueError(
                "the model has complex parameters; keep their real and imaginary parts as parameters instead"
            )
        for name, limit in (("max_grad_norm", max_grad_norm), ("max_row_grad_norm", max_row_grad_norm)):
            if limit is not None and not limit > 0:
                raise ValueError(f"{name} must be positive or left out, but is {limit}")
        if grad_accumulation_steps < 1:
            raise ValueError(f"grad_accumulation_steps must be at least 1, but is {grad_accumulation_steps}")
        names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        perturbed = _not_excluded(perturb_exclude, names)
        self.perturbed_params: list[nn.Parameter] = [self.params[index] for index in perturbed]
        self.layout = Layout(tuple(range(len(self.params))), tuple(perturbed))
        self.max_grad_norm = max_grad_norm
        self.max_row_grad_norm = max_row_grad_norm
        self.same_dropout_mask = same_dropout_mask
        self.grad_accumulation_steps = grad_accumulation_steps
        self.precision = precision
        self.layer_dtype = torch.bfloat16 if layer_precision == "bfloat16" else torch.float32
        self.weight_decay = weight_decay
        self.portions = portions
        self.merges_backward = (
            encodes_linearly(self.objective)
            and precision in ("float32", "tf32")
            and grad_accumulation_steps == 1
            and portions is None
            and same_dropout_mask
        )
        self.progress = 0.0  # the trainer sets it before each step
        self.checks = FiniteChecks("a loss or gradient is not finite")
        self._dropout_seed: int | None = None
        self._buffers: list[Tensor] = []  # the perturbed values; the memory is reused

    def select_perturbed(self, gradient: Vector) -> Vector:
        """Return the tensors of a gradient that belong to ``perturbed_params``; the gradient itself if all do."""
        return self.layout.select_perturbed(gradient)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Context manager for one step; at its end, gradients and the seed of its dropout masks are cleared."""
        try:
            yield
        finally:
            self._clear()

    def gradients(self, *batches: Batch) -> tuple[list[Tensor], list[list[Tensor]]]:
        """The loss and the gradient of each batch at the current parameters, from one shared ``encode``.

        A parameter that a loss does not reach has gradient zero.

        Raises:
            NonFiniteGradientError: a loss or gradient is NaN or infinite.
        """
        if self.grad_accumulation_steps == 1 and self.portions is None:
            losses, gradients = self._weighted_gradients(batches, [1.0] * len(batches))
        else:
            losses, gradients = self._accumulated_gradients(batches)
        self.checks.require(losses, gradients)
        return losses, gradients

    def first_and_second(self, first: Batch, second: Batch, kappa: float) -> FirstAndSecond[Batch]:
        """What a step knows of its two batches; where ``encode`` is linear, one of its backward passes is saved.

        Raises:
            NonFiniteGradientError: a loss or gradient is NaN or infinite.
        """
        if self.merges_backward:
            return first_and_linear_second(self, first, second, kappa)
        return first_and_known_second(self, first, second, kappa)

    def encode(self) -> Encoded:
        """What the objective encodes, with the dropout masks of this step and the precision of the settings."""
        self.seed_dropout()
        with self.autocast():
            return self.objective.encode()

    def _weighted_gradients(
        self, batches: Sequence[Batch], weights: Sequence[float]
    ) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Return weighted losses and their gradients, whether finite or not."""
        self.seed_dropout()
        with self.autocast():
            encoded = self.objective.encode()
            losses = [self.objective.loss(encoded, batch) for batch in batches]
        losses = [loss.float() * weight if weight != 1 else loss for loss, weight in zip(losses, weights, strict=True)]
        gradients = []
        for index, loss in enumerate(losses, start=1):
            scaled = loss * LOSS_SCALE if self.precision == "float16" else loss
            more = index < len(losses)  # losses that share the graph
            gradient = list(torch.autograd.grad(scaled, self.params, retain_graph=more, materialize_grads=True))
            if self.precision == "float16":
                foreach("mul_", gradient, 1 / LOSS_SCALE)  # a power of two, so this is exact
            gradients.append(gradient)
        return [loss.detach() for loss in losses], gradients

    def _accumulated_gradients(self, batches: Sequence[Batch]) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Return the same as sums over portions of the batches, weighted by their interactions."""
        divided = self.portions
        wanted = self.grad_accumulation_steps * (1 if divided is None else divided.size)
        count = min(wanted, *(len(batch) for batch in batches))
        portions = list(zip(*(batch.split(count) for batch in batches), strict=True))
        losses: list[Tensor] = []
        gradients: list[list[Tensor]] = []
        self.seed_dropout()  # by all processes, also by those without a portion
        for portion in portions if divided is None else divided.own(portions):
            weights = [len(part) / len(batch) for part, batch in zip(portion, batches, strict=True)]
            added_losses, added_gradients = self._weighted_gradients(portion, weights)
            losses = [a + b for a, b in zip(losses, added_losses, strict=True)] if losses else added_losses
            for total, added in zip(gradients, added_gradients, strict=True) if gradients else ():
                foreach("add_", total, added)
            gradients = gradients or added_gradients
        return (losses, gradients) if divided is None else divided.sums(losses, gradients, self.params, len(batches))

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Context manager in which matrix products and layers have the precision of the settings."""
        kind = torch.bfloat16 if self.precision == "bfloat16" else torch.float16
        enabled = self.precision not in ("float32", "tf32")
        products = torch.autocast(self.params[0].device.type, dtype=kind, enabled=enabled)
        with products, layers_stored_as(self.layer_dtype):
            yield

    @contextmanager
    def perturbed(self, direction: Vector, scale: Scalar = 1.0) -> Iterator[None]:
        """Context manager that adds ``scale * direction`` to the perturbed parameters and restores them bit for bit."""
        values = [parameter.detach() for parameter in self.perturbed_params]
        self._buffers = self._buffers or [torch.empty_like(value) for value in values]
        known = at_hand(scale)
        if isinstance(known, Tensor):
            self.checks.require([known])
        for value, tensor, moved in zip(values, direction, self._buffers, strict=True):
            add_scaled(value, tensor, known, out=moved)
        try:
            _set_data(self.perturbed_params, self._buffers)
            yield
        finally:
            _set_data(self.perturbed_params, values)

    def update(self, gradient: Vector) -> None:
        """Clip the gradient, shrink the parameters, and let the base optimizer take one step with the gradient.

        Raises:
            NonFiniteGradientError: something of the step is NaN or infinite; nothing is updated.
        """
        self.checks.settle()
        if self.max_row_grad_norm is not None:
            gradient = [_rows_clipped(tensor, self.max_row_grad_norm) for tensor in gradient]
        if self.max_grad_norm is not None:
            gradient = _clipped(gradient, self.max_grad_norm)
        for parameter, tensor in zip(self.params, gradient, strict=True):
            parameter.grad = tensor.contiguous()  # torch's fused optimizers misread the strides of anything else
        decay_weights(self.optimizer, self.weight_decay)
        self.optimizer.step()
        self._clear()

    def _clear(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.checks.forget()
        self._dropout_seed = None

    def seed_dropout(self) -> None:
        """Seed torch as at the start of this step; a step's seed is drawn from the state that the last step left."""
        if not self.same_dropout_mask:
            return
        if self._dropout_seed is None:
            drawn = int(torch.randint(2**62, (), dtype=torch.int64))
            self._dropout_seed = drawn if self.portions is None else self.portions.seed(drawn)
        devices.seed(self.params[0].device, self._dropout_seed)


def _clipped(gradient: Vector, limit: float) -> list[Tensor]:
    factor = (limit / norm(gradient)).clamp(max=1)  # a zero gradient gives infinity, clamped to 1
    return times(gradient, factor)


def _rows_clipped(tensor: Tensor, limit: float) -> Tensor:
    rows = tensor.reshape(len(tensor), -1) if tensor.dim() > 1 else tensor.reshape(1, -1)
    lengths = column_norm(torch.linalg.vector_norm(rows, dim=1, keepdim=True))
    clipped: Tensor = rows * (limit / lengths).clamp(max=1)  # a row of zeros stays one
    return clipped.view(tensor.shape)


def _set_data(parameters: Sequence[nn.Parameter], values: Sequence[Tensor]) -> None:
    """Let the parameters refer to other tensors, which is three times as fast as copying values there and back."""
    for parameter, value in zip(parameters, values, strict=True):
        parameter.data = value


def _not_excluded(patterns: Sequence[str], names: Sequence[str]) -> list[int]:
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(
                f"perturb_exclude: no trainable parameter is called {pattern!r}; name one of {shortlist(names)}"
            )
    indices = [index for index, name in enumerate(names) if not any(fnmatchcase(name, pattern) for pattern in patterns)]
    if not indices:
        raise ValueError("perturb_exclude leaves no parameter to perturb; use strategy plain instead")
    return indices
