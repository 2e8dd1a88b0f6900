"""AMR: the loss of a model beside its loss under the item features that would hurt it most."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from flatrec.data.batches import Batch
from flatrec.models.base import Encoded, Modalities, Model
from flatrec.models.extra_loss import ExtraLoss
from flatrec.models.features import FeatureTables
from flatrec.ops.normalize import l2_normalize_

SCALE = 2.0**10  # directions do not depend on it; it keeps small gradients from vanishing in half precision
Tables: TypeAlias = Sequence[Sequence[Tensor]]  # for every module of feature tables, one matrix per modality


@dataclass(frozen=True, eq=False)
class _Attackable(Encoded):
    """What the model encodes, with the feature tables that it was computed from."""

    tables: Tables = ()


class Adversarial(ExtraLoss):
    """Adversarial multimedia recommendation, AMR (Tang et al., TKDE 2020, https://arxiv.org/abs/1809.07062).

    Around any model that reads item features, and with any strategy. With L the model's loss of a batch, F_m the
    features of modality m, and i an item:

        Gamma_m = gradient of L(Theta; F) with respect to F_m
        Delta_m[i] = epsilon * Gamma_m[i] / ||Gamma_m[i]||, and 0 where Gamma_m[i] is 0
        loss = L(Theta; F) + weight * L(Theta; F + Delta)

    Delta is a constant: no gradient flows through it. It is computed again for every loss, hence for every gradient
    that a strategy asks for, at the parameters that hold there, be they shifted or not, and for each of two batches (or
    for each portion, where a batch is taken in portions).

    What is perturbed are the matrices that the model reads. Of the mean or learned row that stands in for a missing
    image, every item has a copy of its own; rows that the model brings to length 1 are perturbed after that; trained
    tables (FREEDOM, LATTICE, BM3) move from their present values and are trained by both losses. What was made of the
    features at construction stays as it is, such as the graphs of similar items of FREEDOM, LATTICE and DRAGON, and so
    does what a hook froze: after the first step of an epoch LATTICE reads no features, and Delta is 0.

    As in the released code: Gamma is of the whole batch, and each of its rows is brought to length epsilon. Its own
    settings are epsilon 0.1 and weight 1.

    Deviations: paper and release perturb the images of VBPR by BPR alone, and count its penalty once; here L is the
    whole loss of any model, whose penalties and auxiliary losses count 1 + weight times. Both begin from a model that
    was trained without noise, here training begins from the model's initial parameters. The release drops the result of
    its ``stop_gradient``, so that gradients flow through Delta; here it is a constant, as in the paper. Where a loss
    reads items beyond the batch, as over a graph, they are perturbed too. The pass under noise draws dropout and
    sampled noise of its own, after the first and in the same step: the two passes differ in it, and a strategy that
    replays a step replays both.

    Cost: about three times a plain gradient (two more backward passes, one more ``encode`` a batch; the one without
    noise is shared by all batches), and memory for one more copy of the features and their gradient.

    Args:
        model: reads its features through :class:`flatrec.models.features.FeatureTables`.
        epsilon: length of a row of Delta, above 0.
        weight: of the loss under noise, at least 0.

    Example:
        >>> from flatrec.models import VBPR
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = Adversarial(VBPR(data, VBPR.Config(embedding_dim=8)), epsilon=0.1, weight=1.0)
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0

    Raises:
        ValueError: the model reads no features, or a setting is out of range.
    """

    MODALITIES: ClassVar[Modalities] = "one or more"
    ENCODES_AGAIN: ClassVar[bool] = True

    def __init__(self, model: Model, *, epsilon: float, weight: float = 1.0) -> None:
        super().__init__(model)
        if not 0 < epsilon < math.inf or not 0 <= weight < math.inf:
            raise ValueError(
                f"epsilon must be finite and above 0 and weight finite and at least 0, but are {epsilon} and {weight}"
            )
        if not _readers(model):
            raise ValueError(
                f"{type(model).__name__} reads no item features, so there is nothing to perturb; set epsilon to 0, or "
                "choose a model with features such as vbpr"
            )
        self.epsilon = epsilon
        self.weight = weight
        self.loss_weights = {"attacked": weight} if weight else {}

    def encode(self) -> Encoded:
        """What the model encodes, from features whose gradients can be asked for."""
        tables = [[_differentiable(table) for table in reader()] for reader in _readers(self.model)]
        with self._reading(tables):
            encoded = self.model.encode()
        return _Attackable(encoded.node_embeddings, encoded.aux, tables)

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The loss as it is, and the one under noise where that has a weight.

        Raises:
            TypeError: not what this class encodes.
            RuntimeError: gradients are switched off, without which there is no adversary.
        """
        if not isinstance(encoded, _Attackable):
            raise TypeError(f"the loss takes what encode of the same object gives, but got {type(encoded).__name__}")
        with self._reading(encoded.tables):
            clean = self.model.loss(encoded, batch)
        if self.weight == 0:
            return {"clean": clean}
        noisy = [
            [table + noise for table, noise in zip(tables, noises, strict=True)]
            for tables, noises in zip(encoded.tables, self.noise(clean, encoded.tables), strict=True)
        ]
        with self._reading(noisy):
            attacked = self.model.loss(self.model.encode(), batch)
        return {"clean": clean, "attacked": attacked}

    def noise(self, loss: Float[Tensor, ""], tables: Tables) -> list[list[Tensor]]:
        """Delta: constants of the tables' shapes, each row of length epsilon or 0."""
        flat = [table for some in tables for table in some]
        with torch.autocast(loss.device.type, enabled=False):
            slopes = torch.autograd.grad(loss * SCALE, flat, retain_graph=True, materialize_grads=True)
        rows = iter(slopes)
        # A slope may share memory with another or with what autograd holds, and directions are made in place.
        return [[l2_normalize_(next(rows).clone()).mul_(self.epsilon) for _ in some] for some in tables]

    @contextmanager
    def _reading(self, tables: Tables) -> Iterator[None]:
        """Inside the block the model reads these features."""
        with ExitStack() as stack:
            for reader, some in zip(_readers(self.model), tables, strict=True):
                stack.enter_context(reader.replaced(some))
            yield


def _readers(model: Model) -> list[FeatureTables]:
    return [module for module in model.modules() if isinstance(module, FeatureTables)]


def _differentiable(table: Tensor) -> Tensor:
    """A trained table as it is; of a frozen one a view that gradients can be asked for."""
    return table if table.requires_grad else table.detach().requires_grad_()
