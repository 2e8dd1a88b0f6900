"""Models with one fault each. What every fault must be found by is in FAULTS."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from flatrec.models import Encoded, LightGCN, Model, ModelConfig
from flatrec.models.layers import node_table
from flatrec.models.losses import gather_embeddings


class Sound(Model):
    """Matrix factorization without a fault; the others add one."""

    class Config(ModelConfig):
        dim: int = 8

    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.nodes = node_table(dataset, self.config.dim)

    def encode(self):
        return Encoded(self.nodes)

    def loss_terms(self, encoded, batch):
        return {"ranking": self.ranking(*gather_embeddings(encoded.node_embeddings, batch, self.sizes[0]), batch)}


class UnregisteredTable(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.offsets = torch.randn(self.nodes.shape)

    def encode(self):
        return Encoded(self.nodes + self.offsets)


class UnregisteredInAList(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.weights = [{"first": (torch.ones(8),)}, torch.full((8,), 0.5)]

    def encode(self):
        return Encoded(self.nodes * self.weights[0]["first"][0] * self.weights[1])


class UnregisteredInAHook(Sound):
    def on_step_end(self):
        self.average = self.nodes.detach().mean()


class LayersInAList(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.layers = [nn.Linear(8, 8)]

    def encode(self):
        return Encoded(self.layers[0](self.nodes))


class WritingLoss(Sound):
    def loss(self, encoded, batch):
        self.last_loss = super().loss(encoded, batch)
        return self.last_loss


class WritingIntoAList(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.log = []

    def loss(self, encoded, batch):
        self.log.append(len(batch))
        return super().loss(encoded, batch)


class CountingLoss(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.counter = itertools.count(1)

    def loss(self, encoded, batch):
        return super().loss(encoded, batch) / next(self.counter) ** 0.01


class EditingBatch(Sound):
    def loss(self, encoded, batch):
        batch.positives.add_(self.sizes[0])
        batch.negatives.add_(self.sizes[0])
        users, positives, negatives = (F.embedding(one, encoded.node_embeddings) for one in batch.indices)
        return self.ranking(users, positives, negatives, batch)


class EditingBatchByName(Sound):
    def loss(self, encoded, batch):
        batch.positives += self.sizes[0]
        return super().loss(encoded, batch)


class Leaving(Sound):
    def encode(self):
        raise SystemExit(0)


class BareEncode(Sound):
    def encode(self):
        return self.nodes.split(self.sizes)


class TupleLoss(Sound):
    def loss(self, encoded, batch):
        return super().loss(encoded, batch), encoded.node_embeddings.square().mean()


class FloatLoss(Sound):
    def loss(self, encoded, batch):
        return super().loss(encoded, batch).item()


class NoLoss(Sound):
    def loss(self, encoded, batch):
        super().loss(encoded, batch)


class RepresentationsOfTheLastLoss(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.users = self.items = None

    def loss(self, encoded, batch):
        self.users, self.items = super().user_item_embeddings(encoded)
        return super().loss(encoded, batch)

    def user_item_embeddings(self, encoded):
        del encoded
        return self.users, self.items


class SparseGradient(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.offsets = nn.Embedding(dataset.n_users, 8, sparse=True)

    def loss(self, encoded, batch):
        return super().loss(encoded, batch) + self.offsets(batch.users).square().mean()


class SparseState(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.register_buffer("graph", torch.eye(len(self.nodes)).to_sparse())

    def encode(self):
        return Encoded(self.graph @ self.nodes)


class TrainedFeatures(Sound):
    scale = 1.0

    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        values = dataset.features["image"].values
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch says that the array is not writable, and writes
            shared = torch.from_numpy(values).mul_(self.scale)
        self.image = nn.Embedding.from_pretrained(shared, freeze=False)
        self.projection = nn.Linear(values.shape[1], 8)

    def encode(self):
        users, items = self.nodes.split(self.sizes)
        return Encoded(torch.cat([users, items + self.projection(self.image.weight)]))


class ScaledFeatures(TrainedFeatures):
    scale = 1.5

    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.image.weight.requires_grad_(False)


class AllPartsInTheGraph(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        pairs = dataset.interactions
        bought = torch.zeros(self.sizes)
        bought[torch.tensor(pairs.users), torch.tensor(pairs.items)] = 1
        self.register_buffer("bought", bought)

    def encode(self):
        users, items = self.nodes.split(self.sizes)
        return Encoded(torch.cat([users + self.bought @ items, items]))


class DividingByDegree(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        degrees = dataset.interactions.matrix("train").sum(axis=1)
        self.register_buffer("inverse", 1 / torch.tensor(degrees, dtype=torch.float32))

    def encode(self):
        users, items = self.nodes.split(self.sizes)
        return Encoded(torch.cat([users * self.inverse[:, None], items]))


class SeedOfItsOwn(Sound):
    def __init__(self, dataset, config=None):
        torch.manual_seed(2020)
        super().__init__(dataset, config)


class StreamOfItsOwn(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        stream = torch.Generator().manual_seed(2020)
        self.nodes = nn.Parameter(torch.randn(self.nodes.shape, generator=stream))


class NumPyStart(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.weight = nn.Parameter(torch.tensor(np.random.rand(8), dtype=torch.float32))  # noqa: NPY002

    def encode(self):
        return Encoded(self.nodes * self.weight)


class NumPyLoss(Sound):
    def loss(self, encoded, batch):
        return super().loss(encoded, batch) * (1 + 0.01 * np.random.rand())  # noqa: NPY002


class FlippedItems(Sound):
    def user_item_embeddings(self, encoded):
        users, items = super().user_item_embeddings(encoded)
        return users, -items


class ConstantRepresentations(Sound):
    def user_item_embeddings(self, encoded):
        users, items = super().user_item_embeddings(encoded)
        return torch.zeros_like(users), torch.zeros_like(items)


class BatchNormalised(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.normalize = nn.BatchNorm1d(8)

    def encode(self):
        return Encoded(self.normalize(self.nodes))


class NothingToTrain(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.nodes.requires_grad_(False)


class JoiningLater(Sound):
    """Without a fault: a parameter that joins after the first step."""

    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.scale = nn.Parameter(torch.ones(8))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def on_step_end(self):
        self.steps += 1

    def encode(self):
        return Encoded(self.nodes * self.scale if self.steps else self.nodes)


class StaleEvaluation(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.result = None

    def encode(self):
        if self.training:
            self.result = self.nodes * 2
        return Encoded(self.nodes * 2 if self.result is None else self.result)


class StaleAfterEvaluation(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.result = {}

    def user_item_embeddings(self, encoded):
        if not self.training and not self.result:
            self.result["nodes"] = encoded.node_embeddings.detach().clone()
        return self.result.get("nodes", encoded.node_embeddings).split(self.sizes)


class NoisyEvaluation(Sound):
    def encode(self):
        return Encoded(F.dropout(self.nodes, 0.3))


class DeadParameter(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.unused = nn.Linear(3, 2)


class NaNLoss(Sound):
    def loss(self, encoded, batch):
        return super().loss(encoded, batch) * torch.nan


class NonFiniteGradient(Sound):
    def loss(self, encoded, batch):
        return (
            super().loss(encoded, batch)
            + (encoded.node_embeddings - encoded.node_embeddings.detach()).square().sum().sqrt()
        )


class VectorLoss(Sound):
    def loss(self, encoded, batch):
        return super().loss(encoded, batch).expand(2)


class RisingLoss(Sound):
    def loss(self, encoded, batch):
        loss = super().loss(encoded, batch)
        return 2 * loss.detach() - loss


class WrongRows(Sound):
    def user_item_embeddings(self, encoded):
        users, items = super().user_item_embeddings(encoded)
        return users, items[1:]


class WrongWidth(Sound):
    def user_item_embeddings(self, encoded):
        users, items = super().user_item_embeddings(encoded)
        return users, torch.cat([items, items], dim=1)


class HiddenState(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.register_buffer("direction", torch.randn(8), persistent=False)

    def encode(self):
        return Encoded(self.nodes * self.direction)


class GlobalDraw(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.register_buffer("noise", torch.zeros(8), persistent=False)

    def on_epoch_start(self, generator):
        del generator
        self.noise = torch.rand(8)

    def encode(self):
        return Encoded(self.nodes * (1 + self.noise) if self.training else self.nodes)


class EpochThatRemembers(GlobalDraw):
    def on_epoch_start(self, generator):
        self.noise = self.noise + torch.rand(8, generator=generator)


class NumPyDraw(GlobalDraw):
    def on_epoch_start(self, generator):
        del generator
        self.noise = torch.tensor(np.random.rand(8), dtype=torch.float32)  # noqa: NPY002


class EvaluationOfTheEpoch(GlobalDraw):
    def on_epoch_start(self, generator):
        self.noise = torch.rand(8, generator=generator)

    def encode(self):
        return Encoded(self.nodes * (1 + self.noise))


class NumberedItems(Sound):
    def encode(self):
        return Encoded(self.nodes + torch.arange(len(self.nodes))[:, None] / 100)


class EditingEncoded(Sound):
    def encode(self):
        return Encoded(self.nodes * 1)

    def loss(self, encoded, batch):
        loss = super().loss(encoded, batch)
        encoded.node_embeddings.data.mul_(2)
        return loss


class BreakingWhenPerturbed(Sound):
    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.scale = nn.Parameter(torch.tensor(0.02))

    def loss(self, encoded, batch):
        return super().loss(encoded, batch) - self.scale.log()


class OddSize(LightGCN):
    """A parameter whose size follows from users and items in a way that no one can renumber."""

    def __init__(self, dataset, config=None):
        super().__init__(dataset, config or self.Config(embedding_dim=4))
        self.pairs = nn.Parameter(torch.ones(dataset.n_users * dataset.n_items))

    def loss(self, encoded, batch):
        return super().loss(encoded, batch) * self.pairs.mean()


# The check meant for each fault comes first; the others follow from the fault.
FAULTS = {
    **{
        fault: ["runs"]
        for fault in (
            *(Leaving, BareEncode, TupleLoss, FloatLoss, NoLoss, VectorLoss, RepresentationsOfTheLastLoss),
            *(EditingBatchByName, SparseGradient),
        )
    },
    TrainedFeatures: ["data unchanged"],
    ScaledFeatures: ["data unchanged"],
    AllPartsInTheGraph: ["held-out data unseen"],
    DividingByDegree: ["isolated nodes"],
    SeedOfItsOwn: ["initial parameters"],
    StreamOfItsOwn: ["initial parameters"],
    NumPyStart: ["initial parameters"],
    NumPyLoss: ["pure loss"],
    NumPyDraw: ["epoch draw"],
    FlippedItems: ["ranking"],
    ConstantRepresentations: ["ranking"],
    BatchNormalised: ["pure loss"],
    SparseState: ["checkpoint"],
    EvaluationOfTheEpoch: ["checkpoint"],
    NothingToTrain: ["gradients"],
    UnregisteredTable: [
        "registered tensors",
        "checkpoint",
        "permutation",
    ],  # what is not registered is not saved either
    UnregisteredInAList: ["registered tensors"],
    UnregisteredInAHook: ["registered tensors", "epoch draw"],  # nor there after a resumption
    LayersInAList: ["registered tensors", "checkpoint"],
    WritingLoss: ["pure loss"],
    WritingIntoAList: ["pure loss"],
    CountingLoss: ["pure loss", "shared encode"],  # the second batch of an encode counts on
    EditingBatch: ["batch unchanged", "strategies"],  # a second pass reads what the first left
    StaleEvaluation: ["no stale cache", "pure loss"],  # what is stale has been written by encode
    StaleAfterEvaluation: ["no stale cache"],
    NoisyEvaluation: ["deterministic evaluation"],
    DeadParameter: ["gradients"],
    NaNLoss: ["pure loss", "gradients", "step", "strategies"],  # and so are its gradients
    NonFiniteGradient: ["gradients", "step", "strategies"],  # no step can be made of it
    RisingLoss: ["step", "ranking"],
    WrongRows: ["shapes"],
    WrongWidth: ["shapes"],
    HiddenState: ["checkpoint"],
    GlobalDraw: ["epoch draw"],
    EpochThatRemembers: ["epoch draw"],
    NumberedItems: ["permutation"],
    EditingEncoded: ["shared encode"],
    BreakingWhenPerturbed: ["strategies"],
}
