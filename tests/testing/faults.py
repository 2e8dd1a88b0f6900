"""Models with one fault each. What every fault must be found by is in FAULTS."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional as F

from flatrec.models import Encoded, LightGCN, Model
from flatrec.models.initial import node_table
from flatrec.models.losses import bpr, rows


class Sound(Model):
    """Matrix factorisation without a fault; the others add one."""

    def __init__(self, dataset, *, dim: int = 8):
        super().__init__()
        self.sizes = (dataset.n_users, dataset.n_items)
        self.nodes = node_table(dataset, dim)

    def encode(self):
        return Encoded(self.nodes)

    def loss(self, encoded, batch):
        return bpr(*rows(encoded.nodes, batch, self.sizes[0]))

    def representations(self, encoded):
        return encoded.nodes.split(self.sizes)


class UnregisteredTable(Sound):
    def __init__(self, dataset):
        super().__init__(dataset)
        self.offsets = torch.randn(self.nodes.shape)

    def encode(self):
        return Encoded(self.nodes + self.offsets)


class UnregisteredInAList(Sound):
    def __init__(self, dataset):
        super().__init__(dataset)
        self.weights = [{"first": (torch.ones(8),)}, torch.full((8,), 0.5)]

    def encode(self):
        return Encoded(self.nodes * self.weights[0]["first"][0] * self.weights[1])


class UnregisteredInAHook(Sound):
    def on_step_end(self):
        self.average = self.nodes.detach().mean()


class LayersInAList(Sound):
    def __init__(self, dataset):
        super().__init__(dataset)
        self.layers = [nn.Linear(8, 8)]

    def encode(self):
        return Encoded(self.layers[0](self.nodes))


class WritingLoss(Sound):
    def loss(self, encoded, batch):
        self.last_loss = super().loss(encoded, batch)
        return self.last_loss


class WritingIntoAList(Sound):
    def __init__(self, dataset):
        super().__init__(dataset)
        self.log = []

    def loss(self, encoded, batch):
        self.log.append(len(batch))
        return super().loss(encoded, batch)


class CountingLoss(Sound):
    def __init__(self, dataset):
        super().__init__(dataset)
        self.counter = itertools.count(1)

    def loss(self, encoded, batch):
        return super().loss(encoded, batch) / next(self.counter) ** 0.01


class EditingBatch(Sound):
    def loss(self, encoded, batch):
        batch.positives.add_(self.sizes[0])
        batch.negatives.add_(self.sizes[0])
        users, positives, negatives = (F.embedding(one, encoded.nodes) for one in vars(batch).values())
        return bpr(users, positives, negatives)


class StaleEvaluation(Sound):
    def __init__(self, dataset):
        super().__init__(dataset)
        self.result = None

    def encode(self):
        if self.training:
            self.result = self.nodes * 2
        return Encoded(self.nodes * 2 if self.result is None else self.result)


class StaleAfterEvaluation(Sound):
    def __init__(self, dataset):
        super().__init__(dataset)
        self.result = {}

    def representations(self, encoded):
        if not self.training and not self.result:
            self.result["nodes"] = encoded.nodes.detach().clone()
        return self.result.get("nodes", encoded.nodes).split(self.sizes)


class NoisyEvaluation(Sound):
    def encode(self):
        return Encoded(F.dropout(self.nodes, 0.3))


class DeadParameter(Sound):
    def __init__(self, dataset):
        super().__init__(dataset)
        self.unused = nn.Linear(3, 2)


class NaNLoss(Sound):
    def loss(self, encoded, batch):
        return super().loss(encoded, batch) * torch.nan


class NonFiniteGradient(Sound):
    def loss(self, encoded, batch):
        return super().loss(encoded, batch) + (encoded.nodes - encoded.nodes.detach()).square().sum().sqrt()


class VectorLoss(Sound):
    def loss(self, encoded, batch):
        return super().loss(encoded, batch).expand(2)


class RisingLoss(Sound):
    def loss(self, encoded, batch):
        loss = super().loss(encoded, batch)
        return 2 * loss.detach() - loss


class WrongRows(Sound):
    def representations(self, encoded):
        users, items = super().representations(encoded)
        return users, items[1:]


class WrongWidth(Sound):
    def representations(self, encoded):
        users, items = super().representations(encoded)
        return users, torch.cat([items, items], dim=1)


class HiddenState(Sound):
    def __init__(self, dataset):
        super().__init__(dataset)
        self.register_buffer("direction", torch.randn(8), persistent=False)

    def encode(self):
        return Encoded(self.nodes * self.direction)


class GlobalDraw(Sound):
    def __init__(self, dataset):
        super().__init__(dataset)
        self.register_buffer("noise", torch.zeros(8), persistent=False)

    def on_epoch_start(self, generator):  # noqa: ARG002
        self.noise = torch.rand(8)

    def encode(self):
        return Encoded(self.nodes * (1 + self.noise) if self.training else self.nodes)


class EpochThatRemembers(GlobalDraw):
    def on_epoch_start(self, generator):
        self.noise = self.noise + torch.rand(8, generator=generator)


class NumberedItems(Sound):
    def encode(self):
        return Encoded(self.nodes + torch.arange(len(self.nodes))[:, None] / 100)


class EditingEncoded(Sound):
    def encode(self):
        return Encoded(self.nodes * 1)

    def loss(self, encoded, batch):
        loss = super().loss(encoded, batch)
        encoded.nodes.data.mul_(2)
        return loss


class BreakingWhenPerturbed(Sound):
    def __init__(self, dataset):
        super().__init__(dataset)
        self.scale = nn.Parameter(torch.tensor(0.02))

    def loss(self, encoded, batch):
        return super().loss(encoded, batch) - self.scale.log()


class OddSize(LightGCN):
    """A parameter whose size follows from users and items in a way that no one can renumber."""

    def __init__(self, dataset):
        super().__init__(dataset, dim=4)
        self.pairs = nn.Parameter(torch.ones(dataset.n_users * dataset.n_items))

    def loss(self, encoded, batch):
        return super().loss(encoded, batch) * self.pairs.mean()


# The check meant for each fault comes first; the others follow from the fault.
FAULTS = {
    UnregisteredTable: ["registered", "checkpoint", "numbering"],  # what is not registered is not saved either
    UnregisteredInAList: ["registered"],
    UnregisteredInAHook: ["registered", "epoch draw"],  # nor there after a resumption
    LayersInAList: ["registered", "checkpoint"],
    WritingLoss: ["pure loss"],
    WritingIntoAList: ["pure loss"],
    CountingLoss: ["pure loss", "shared encode"],  # the second batch of an encode counts on
    EditingBatch: ["batch kept", "strategies"],  # a second pass reads what the first left
    StaleEvaluation: ["fresh evaluation", "pure loss"],  # what is stale has been written by encode
    StaleAfterEvaluation: ["fresh evaluation"],
    NoisyEvaluation: ["quiet evaluation"],
    DeadParameter: ["gradients"],
    NaNLoss: ["pure loss", "gradients", "step", "strategies"],  # and so are its gradients
    NonFiniteGradient: ["gradients", "step", "strategies"],  # no step can be made of it
    VectorLoss: ["pure loss", "gradients", "step", "shared encode", "strategies"],  # no gradient of a vector
    RisingLoss: ["step"],
    WrongRows: ["shapes"],
    WrongWidth: ["shapes"],
    HiddenState: ["checkpoint"],
    GlobalDraw: ["epoch draw"],
    EpochThatRemembers: ["epoch draw"],
    NumberedItems: ["numbering"],
    EditingEncoded: ["shared encode"],
    BreakingWhenPerturbed: ["strategies"],
}
