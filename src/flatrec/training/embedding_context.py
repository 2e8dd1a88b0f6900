"""The context of training steps that perturb final embeddings in place of parameters, at one ``encode`` a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.optim import Optimizer

from flatrec.data.batches import Batch
from flatrec.models.base import Encoded, Model
from flatrec.models.extra_loss import ExtraLoss
from flatrec.ops.counts import counts
from flatrec.ops.gathers import GatheredGradients, GradientOf
from flatrec.ops.param_vector import Vector
from flatrec.ops.row_vector import Part, RowMatrix, RowVector, parts_of, whole
from flatrec.ops.scalars import Scalar, add_scaled
from flatrec.optim.noise import Noise
from flatrec.strategies.state import Layout
from flatrec.training.leaves import leaves_of
from flatrec.training.step_context import LOSS_SCALE, TrainStepContext
from flatrec.utils.devices import forked_generators

PerturbTarget: TypeAlias = Literal["parameters", "embeddings"]


@dataclass(frozen=True, eq=False)
class _Leaves:
    """What a step encoded once.

    Args:
        outputs: the encoded tensors that the loss is differentiated by, first the node embeddings, with their graph.
        values: the same tensors in float32 at least, without the graph; the loss reads these.
        encoded: what the loss gets, made of the values.
        noise: the state of the random generators after ``encode``.
        gradients: the gradients by the values, then by the parameters.
    """

    outputs: list[Tensor]
    values: list[Tensor]
    encoded: Encoded
    noise: Noise
    gradients: GatheredGradients


class EmbeddingStepContext:
    """A :class:`flatrec.strategies.StepContext` whose perturbed vector is H, the node embeddings a model encodes.

    With E(Theta) what ``encode`` returns (H and further tensors A) and L(H, A, Theta) the loss of a batch, a strategy
    sees the trained vector [H, A, Theta], of which it perturbs H alone:

        gradients: dL/dH, dL/dA and dL/dTheta with H and A as variables of their own, so that the last one is the direct
            part, such as that of a penalty on the rows before propagation or of maps that the loss applies
        update(g): the base optimizer gets J_H' g_H + J_A' g_A + g_Theta, J the Jacobian of ``encode`` at Theta

    For the gradient of a loss that is the gradient by Theta. ``encode`` runs once per update and its backward pass
    once, whatever the strategy does; each gradient that a strategy asks for costs a pass over the batch. Every strategy
    works unchanged, measured in H: radius, running mean and state are those of the final embeddings.

    A second gradient is taken at H + eps but pulled back by the Jacobian at Theta, which does not depend on eps.
    Dropout and noise within ``encode`` are the same for all gradients of a step; those of the loss are too unless the
    step context was made without ``same_dropout_mask``. Under lower precision H is perturbed in float32.

    Args:
        context: model, optimizer and settings of the steps.

    Raises:
        ValueError: the loss of the context's objective encodes the model again, the context leaves parameters
            unperturbed, or it takes a batch in portions.

    Example:
        >>> from flatrec.models import LightGCN
        >>> from flatrec.strategies import SAM
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> model = LightGCN(block_dataset(), LightGCN.Config(embedding_dim=8))
        >>> inner = TrainStepContext(model, torch.optim.Adam(model.parameters()))
        >>> loss = SAM(rho=0.05, rho_scale="row").step(EmbeddingStepContext(inner), whole_batch(block_dataset()))
    """

    def __init__(self, context: TrainStepContext) -> None:
        if any(isinstance(part, ExtraLoss) and part.ENCODES_AGAIN for part in context.objective.modules()):
            raise ValueError("perturb_target is embeddings, which training.amr does not go with; set amr.epsilon to 0")
        if len(context.perturbed_params) < len(context.params):
            raise ValueError(
                "perturb_target is embeddings, so perturb_exclude has no parameter to exclude; leave it out"
            )
        if context.grad_accumulation_steps > 1:
            raise ValueError(
                "perturb_target is embeddings, which are encoded once per step; set grad_accumulation_steps to 1"
            )
        self.context = context
        self.model: Model = context.model
        self.objective: Model = context.objective
        self.optimizer: Optimizer = context.optimizer
        self.progress = 0.0
        self._leaves: _Leaves | None = None
        self._shapes = self._initial_values()
        self._buffer: list[Tensor] = []  # the perturbed values; the memory is reused, as fresh memory is slow
        self._is_perturbed = False
        self._totals: list[Tensor] = []  # the gradient of the parameters, likewise

    @property
    def params(self) -> Sequence[Tensor]:
        """The encoded tensors, node embeddings first, and the parameters of the model."""
        return [*(self._shapes if self._leaves is None else self._leaves.values), *self.context.params]

    @property
    def perturbed_params(self) -> Sequence[Tensor]:
        """The node embeddings."""
        return self.params[:1]

    @property
    def layout(self) -> Layout:
        """The ids of all tensors; only the first is perturbed."""
        return Layout(tuple(range(len(self.params))), (0,))

    def select_perturbed(self, gradient: Vector) -> Vector:
        """Return the gradient of the node embeddings."""
        return gradient.first(1) if isinstance(gradient, RowVector) else self.layout.select_perturbed(gradient)

    def row_counts(self, batch: Batch) -> list[Tensor]:
        """How often a batch reads each user and each item, as a positive or a negative."""
        n_users, n_items = self.model.sizes
        items = torch.cat([batch.positives, batch.negatives.flatten()])
        return [counts(batch.users, n_users), counts(items, n_items)]

    @contextmanager
    def step(self) -> Iterator[None]:
        """Context manager for one step; at its end what it encoded is forgotten."""
        with self.context.step():
            try:
                yield
            finally:
                self._leaves = None

    def gradients(self, *batches: Batch) -> tuple[list[Tensor], list[RowVector]]:
        """The loss and the gradient of each batch, by the encoded tensors and directly by the parameters.

        Raises:
            NonFiniteGradientError: a loss or gradient is NaN or infinite.
        """
        leaves = self._encoded()
        with leaves.noise.of("loss" if self.context.same_dropout_mask else object()):
            found = [self._gradient(leaves, batch, now=number > 0) for number, batch in enumerate(batches)]
        losses, gradients = [one.loss for one in found], [one.gradient for one in found]
        self.context.checks.require(losses, [gradient.first(len(leaves.values)) for gradient in gradients])
        return losses, gradients

    def _gradient(self, leaves: _Leaves, batch: Batch, *, now: bool) -> GradientOf:
        """The loss of a batch and its gradient, the direct part now if it is sure to be read.

        Of the first gradient of a step most strategies read what belongs to the embeddings alone.
        """
        loss = partial(self._loss, leaves, batch)
        return leaves.gradients.of(loss, self._scale, None if now or self._is_perturbed else len(leaves.values))

    def _loss(self, leaves: _Leaves, batch: Batch) -> Tensor:
        with self.context.autocast():
            return self.objective.loss(leaves.encoded, batch)

    @contextmanager
    def perturbed(self, direction: Vector, scale: Scalar = 1.0) -> Iterator[None]:
        """Context manager that adds ``scale * direction`` to the node embeddings and restores them bit for bit."""
        (embeddings,), (part,) = self.perturbed_params, parts_of(direction)
        before, self._is_perturbed = self._is_perturbed, True
        try:
            if isinstance(part, RowMatrix) and part.rows is not None:
                with _moved_rows(embeddings.data, part.rows, part.values, scale):
                    yield
            else:
                with self._moved(embeddings, whole(part), scale):
                    yield
        finally:
            self._is_perturbed = before

    @contextmanager
    def _moved(self, embeddings: Tensor, direction: Tensor, scale: Scalar) -> Iterator[None]:
        """Context manager in which all embeddings are moved, in memory of their own."""
        value = embeddings.detach()
        self._buffer = self._buffer or [torch.empty_like(value)]
        add_scaled(value, direction, scale, out=self._buffer[0])
        try:
            embeddings.data = self._buffer[0]
            yield
        finally:
            embeddings.data = value

    def update(self, gradient: Vector) -> None:
        """Pull the gradient back to the parameters, clip it, and let the base optimizer take one step.

        Raises:
            NonFiniteGradientError: what reaches the parameters is NaN or infinite; nothing is updated.
        """
        leaves, parts = self._encoded(), parts_of(gradient)
        count = len(leaves.values)
        total = self._plus_pulled_back(leaves.outputs, gradient[:count], parts[count:])
        self._leaves = None
        self.context.checks.require([], [total])
        self.context.update(total)

    def _plus_pulled_back(self, outputs: Vector, gradient: Vector, direct: Sequence[Part]) -> list[Tensor]:
        chosen = [pair for pair in zip(outputs, gradient, strict=True) if pair[0].requires_grad]
        if not chosen:
            return list(RowVector(direct))
        weights = [(part * self._scale if self._scale != 1 else part).to(output.dtype) for output, part in chosen]
        pulled = torch.autograd.grad([output for output, _ in chosen], self.context.params, weights, allow_unused=True)
        self._totals = self._totals or [torch.empty_like(parameter) for parameter in self.context.params]
        return [
            whole(own) if part is None else _sum_into(total, part, own, 1 / self._scale)
            for own, part, total in zip(direct, pulled, self._totals, strict=True)
        ]

    @property
    def _scale(self) -> float:
        """The factor that keeps small gradients from vanishing."""
        return LOSS_SCALE if self.context.precision == "float16" else 1.0

    def _encoded(self) -> _Leaves:
        """What this step encoded, now if it has not yet."""
        if self._leaves is None:
            self.context.seed_dropout()
            self._leaves = self._encode()
        return self._leaves

    def _encode(self) -> _Leaves:
        """Encode once, and cut the result off from its graph."""
        with torch.enable_grad(), self.context.autocast():
            encoded = self.objective.encode()
        outputs, values, encoded = leaves_of(encoded)
        devices = {parameter.device for parameter in self.context.params}
        gradients = GatheredGradients([*values, *self.context.params])
        return _Leaves(outputs, values, encoded, Noise(devices), gradients)

    def _initial_values(self) -> list[Tensor]:
        """The encoded tensors before the first step, whose shapes a saved state is compared with."""
        training = self.model.training
        with forked_generators(self.context.params[0].device):
            try:
                self.model.eval()
                return [leaf.detach() for leaf in self._encode().values]
            finally:
                self.model.train(training)


@contextmanager
def _moved_rows(table: Tensor, rows: Tensor, direction: Tensor, scale: Scalar) -> Iterator[None]:
    """Context manager in which some rows of a table are moved, in place: a table is larger than its rows."""
    values = table.index_select(0, rows)
    try:
        table.index_copy_(0, rows, add_scaled(values, direction, scale))
        yield
    finally:
        table.index_copy_(0, rows, values)


def _sum_into(out: Tensor, pulled: Tensor, direct: Part, factor: float) -> Tensor:
    """Return ``direct + factor * pulled``, in memory ``out``."""
    if isinstance(direct, RowMatrix) and direct.rows is not None:
        return torch.mul(pulled, factor, out=out).index_add_(0, direct.rows, direct.values)
    return torch.add(whole(direct), pulled, alpha=factor, out=out)


def perturbing(context: TrainStepContext, target: PerturbTarget) -> TrainStepContext | EmbeddingStepContext:
    """Return the context whose perturbed vector is the one that ``training.perturb_target`` asks for.

    Raises:
        ValueError: as :class:`EmbeddingStepContext`.
    """
    return context if target == "parameters" else EmbeddingStepContext(context)
