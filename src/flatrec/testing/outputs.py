"""What a model gives, checked for its kind, so that every check may rely on it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

from torch import Tensor

from flatrec.data.batches import Batch
from flatrec.models.base import Encoded, Model
from flatrec.testing.messages import ContractError, kind_of, require


def encoded(model: Model) -> Encoded:
    """What ``encode`` gives.

    Raises:
        AssertionError: it is not Encoded.
    """
    found: object = model.encode()
    if isinstance(found, Encoded):
        return found
    raise ContractError(
        f"encode must return flatrec.models.Encoded, but returns {kind_of(found)}; return Encoded(nodes), one table "
        "with users first and then items, and put what else the loss reads into its parts"
    )


def loss_of(model: Model, given: Encoded, batch: Batch) -> Tensor:
    """The loss of a batch.

    Raises:
        AssertionError: it is not one scalar tensor, or it replaces a column of the batch.
    """
    try:
        loss: object = model.loss(given, batch)
    except FrozenInstanceError as error:
        edited = [f"batch.{name}" for name in vars(batch) if f"'{name}'" in str(error)]
        require(not edited, edits(edited))
        raise
    shown = kind_of(loss)
    if isinstance(loss, Tensor):
        require(loss.shape == (), f"the loss must be one scalar tensor, but is {shown}; take its mean or sum")
        return loss
    advice = "compute it with torch, and leave .item() out" if isinstance(loss, (int, float)) else "add the parts up"
    advice = "end it with return" if loss is None else advice
    raise ContractError(f"loss must return one scalar tensor, but returns {shown}; {advice}")


def edits(names: list[str]) -> str:
    """The message for a loss that edits columns of its batch."""
    shown = ", ".join(map(repr, names))
    return f"the loss edits {shown} in place; write batch.x + n instead of batch.x += n"


def vectors(model: Model, given: Encoded) -> tuple[Tensor, Tensor]:
    """User and item representations.

    Raises:
        AssertionError: they are not two tensors.
    """
    found: object = model.user_item_embeddings(given)
    shown = kind_of(found)
    if isinstance(found, (tuple, list)):
        if len(found) == 2 and all(isinstance(one, Tensor) for one in found):
            return found[0], found[1]
        shown += f" of {' and '.join(kind_of(one) for one in found)}"
    raise ContractError(
        f"representations must return two tensors, users and items, but returns {shown}; compute both from what "
        "encode gives"
    )
