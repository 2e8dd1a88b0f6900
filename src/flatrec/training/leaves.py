"""What a model encoded, cut off from its graph, so that a loss can be differentiated by it."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from flatrec.models.base import Encoded


class Leaves(NamedTuple):
    """What a model encoded, twice.

    Args:
        outputs: the encoded tensors that have a gradient, first the node embeddings, with their graph.
        values: the same tensors in float32 at least, without the graph; gradients are taken by these.
        encoded: what the loss gets, made of the values.
    """

    outputs: list[Tensor]
    values: list[Tensor]
    encoded: Encoded


def leaves_of(encoded: Encoded) -> Leaves:
    """Return what a model encoded, cut off from its graph."""
    found = {name: tensor for name, tensor in encoded.aux.items() if tensor.requires_grad}
    outputs = [encoded.node_embeddings, *found.values()]
    values = [_leaf(output) for output in outputs]
    aux = {**encoded.aux, **dict(zip(found, values[1:], strict=True))}
    return Leaves(outputs, values, replace(encoded, node_embeddings=values[0], aux=aux))


def _leaf(output: Tensor) -> Tensor:
    kind = torch.promote_types(output.dtype, torch.float32)
    return output.detach().to(kind).requires_grad_()
