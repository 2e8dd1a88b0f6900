"""A loss around a model: gradients are taken of it, while the model is what is trained, scored and saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Generator, Tensor, nn

from flatrec.models.base import Encoded, Model


class ExtraLoss(Model):
    """A model within, whose loss a subclass changes or adds to; it is only for a step context to differentiate.

    A subclass defines ``encode`` and ``loss_terms`` by those of :attr:`model`. Parameters, representations, and what
    happens once an epoch or a step, are the model's. One extra loss can be around another.

    ``ENCODES_AGAIN`` says that a loss encodes the model once more, so that what a step has encoded does not suffice.

    Args:
        model: what is trained.
    """

    ENCODES_AGAIN: ClassVar[bool] = False

    def __init__(self, model: Model) -> None:
        nn.Module.__init__(self)  # of a model there is nothing to set up but what the one within has
        self.config, self.sizes = model.config, model.sizes
        self.model = model

    def begin_epoch(self, losses: Sequence[float | None]) -> None:  # noqa: B027 - optional, hence not abstract
        """Change what depends on the epochs before.

        All that it changes follows from its argument, so that a checkpoint need not hold it.

        Args:
            losses: the mean loss of each epoch so far, oldest first; None for an epoch without a finite one.
        """

    def user_item_embeddings(
        self, encoded: Encoded
    ) -> tuple[Float[Tensor, "n_users dim"], Float[Tensor, "n_items dim"]]:
        """Those of the model."""
        return self.model.user_item_embeddings(encoded)

    def on_epoch_start(self, generator: Generator) -> None:
        """The model's."""
        self.model.on_epoch_start(generator)

    def on_step_end(self) -> None:
        """The model's."""
        self.model.on_step_end()
