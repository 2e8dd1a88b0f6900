"""Graphs that denoisers rebuild from the interactions at the start of every epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, cast

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy import sparse
from torch import Generator, Tensor, nn

from flatrec.data.interactions import Interactions
from flatrec.graphs.interaction import kept_entries, self_loop_graph
from flatrec.models.base import ModelConfig
from flatrec.models.diffusion import Denoiser, NoiseSchedule, denoised, denoising_loss
from flatrec.ops.spmm import Graph
from flatrec.utils.ranges import DropoutRate, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Range

NOTHING = -1  # in place of an item, before the first epoch


class DenoisingConfig(ModelConfig):
    """Settings of a model whose graphs are rebuilt.

    Args:
        rebuilt_edge_dropout: fraction of the entries of the rebuilt graphs that each epoch drops.
        n_rebuilt: number of items of each user in a rebuilt graph.
        n_steps: number of steps of noise.
        noise_scale: factor of the noise.
        noise_min: noise of the first step.
        noise_max: noise of the last step.
        sampling_steps: number of steps of noise before the steps are taken back.
        signal_weight: weight of the agreement of modalities and ids in the loss of a denoiser.
        hidden_dims: widths of the hidden layers of a denoiser.
        time_dim: width of an encoded step.
        unit_rows: whether a denoiser brings rows to length 1.
        denoiser_dropout: fraction of the entries of a row that a denoiser in training does not see.
        denoiser_lr: learning rate of the denoisers.
        denoiser_batch_size: number of users in a batch of the denoisers.
    """

    rebuilt_edge_dropout: DropoutRate = 0.5
    n_rebuilt: PositiveInt = 1
    n_steps: PositiveInt = 5
    noise_scale: PositiveFloat = 0.1
    noise_min: Annotated[float, Range(gt=0, lt=1)] = 1e-4
    noise_max: Annotated[float, Range(gt=0, lt=1)] = 0.02
    sampling_steps: NonNegativeInt = 0
    signal_weight: NonNegativeFloat = 0.1
    hidden_dims: tuple[PositiveInt, ...] = (1000,)
    time_dim: PositiveInt = 10
    unit_rows: bool = False
    denoiser_dropout: DropoutRate = 0.5
    denoiser_lr: PositiveFloat = 1e-3
    denoiser_batch_size: PositiveInt = 1024


class RebuiltGraphs(nn.Module):
    """A graph between users and items for each modality, with self loops, which an epoch rebuilds.

    A denoiser for each learns, by an optimizer of its own, to predict a user's interactions from what noise leaves of
    them; the largest entries of what it makes of the interactions are the edges. The edges are saved with a model, and
    so are the denoisers and the state of their optimizers. Before the first epoch there are no edges.

    Args:
        interactions: the training interactions.
        n_modalities: number of graphs.
        config: settings.

    Raises:
        ValueError: settings do not fit each other or the number of items.
    """

    rebuilt: Int64[Tensor, "n_modalities n_users n_rebuilt"]

    def __init__(self, interactions: Interactions, n_modalities: int, config: DenoisingConfig) -> None:
        super().__init__()
        self.config, self.sizes = config, (interactions.n_users, interactions.n_items)
        _check(config, interactions.n_items)
        self.bought = interactions.matrix("train")
        self.schedule = NoiseSchedule(
            config.n_steps, scale=config.noise_scale, lowest=config.noise_min, highest=config.noise_max
        )
        self.denoisers = nn.ModuleList(
            Denoiser(
                interactions.n_items,
                config.hidden_dims,
                config.time_dim,
                unit_rows=config.unit_rows,
                lr=config.denoiser_lr,
            )
            for _ in range(n_modalities)
        )
        shape = (n_modalities, interactions.n_users, config.n_rebuilt)
        self.register_buffer("rebuilt", torch.full(shape, NOTHING))
        self.dropped = self.complete()

    def current(self) -> nn.ModuleList:
        """Return the graphs to propagate over: the epoch's in training mode, with all entries in evaluation mode."""
        return self.dropped if self.training else self.complete()

    def draw(
        self,
        modalities: Sequence[Float[Tensor, "n_items dim"]],
        ids: Float[Tensor, "n_items dim"],
        generator: Generator,
    ) -> None:
        """Train the denoisers over all users, rebuild the graphs, and draw which of their entries the epoch drops.

        Args:
            modalities: the items in each modality, constants.
            ids: the items by their ids, a constant.
            generator: decides the order of users, all noise, and what is dropped.
        """
        for users in torch.randperm(self.sizes[0], generator=generator).split(self.config.denoiser_batch_size):
            rows = self.interaction_rows(users)
            for denoiser, modality in zip(self.denoisers, modalities, strict=True):
                self._train(cast(Denoiser, denoiser), rows, (modality, ids), generator)
        self.rebuild(generator)
        rate = self.config.rebuilt_edge_dropout
        graphs = [kept_entries(cast(Graph, graph), rate, generator) for graph in self.complete()]
        self.dropped = nn.ModuleList(graphs)

    def _train(self, denoiser: Denoiser, rows: Tensor, signals: tuple[Tensor, Tensor], generator: Generator) -> None:
        """Take one step with one denoiser."""
        steps = torch.randint(len(self.schedule), (len(rows),), generator=generator).to(rows.device)
        noise = torch.randn(rows.shape, generator=generator).to(rows)
        rate = self.config.denoiser_dropout
        mask = (torch.rand(rows.shape, generator=generator) >= rate).to(rows) / (1 - rate) if rate else None
        denoiser.weights.step(self.objective(denoiser, rows, signals, steps, noise, mask))

    def objective(  # noqa: PLR0917 - a batch, and what was drawn for it
        self,
        denoiser: Denoiser,
        rows: Float[Tensor, "batch n_items"],
        signals: tuple[Float[Tensor, "n_items dim"], Float[Tensor, "n_items dim"]],
        steps: Int64[Tensor, "batch"],
        noise: Float[Tensor, "batch n_items"],
        mask: Float[Tensor, "batch n_items"] | None = None,
    ) -> Callable[[Mapping[str, Tensor]], Float[Tensor, ""]]:
        """Return the loss of a batch of users as a function of a denoiser's weights."""
        noisy = self.schedule.noisy(rows, steps, noise)

        def loss(weights: Mapping[str, Tensor]) -> Float[Tensor, ""]:
            predicted = denoiser(noisy, steps, weights, mask)
            errors, gaps = denoising_loss(predicted, rows, self.schedule.weights[steps], signals)
            return errors.mean() + self.config.signal_weight * gaps.mean()

        return loss

    def interaction_rows(self, users: Int64[Tensor, "batch"]) -> Float[Tensor, "batch n_items"]:
        """Return the training interactions of some users, as dense rows."""
        return torch.from_numpy(self.bought[users.numpy()].toarray()).to(self.schedule.left)

    @torch.no_grad()
    def rebuild(self, generator: Generator) -> None:
        """Let the denoisers choose the items of each user, by the largest entries of a row."""
        for users in torch.arange(self.sizes[0]).split(self.config.denoiser_batch_size):
            rows = self.interaction_rows(users)
            for edges, denoiser in zip(self.rebuilt, self.denoisers, strict=True):
                clean = denoised(cast(Denoiser, denoiser), self.schedule, self._start(rows, generator))
                edges[users.to(edges.device)] = clean.topk(self.config.n_rebuilt, dim=1).indices

    def _start(self, rows: Float[Tensor, "batch n_items"], generator: Generator) -> Float[Tensor, "batch n_items"]:
        """Return the rows with the noise of some steps, if there is to be any."""
        if not self.config.sampling_steps:
            return rows
        steps = torch.full((len(rows),), self.config.sampling_steps - 1, device=rows.device)
        return self.schedule.noisy(rows, steps, torch.randn(rows.shape, generator=generator).to(rows))

    def complete(self) -> nn.ModuleList:
        """Return the graphs with all of their entries."""
        users = np.repeat(np.arange(self.sizes[0]), self.config.n_rebuilt)
        graphs = nn.ModuleList()
        for items in self.rebuilt.cpu().numpy().reshape(len(self.rebuilt), -1):
            there = items != NOTHING
            values = np.ones(int(there.sum()), dtype=np.float32)
            graphs.append(self_loop_graph(sparse.csr_array((values, (users[there], items[there])), shape=self.sizes)))
        return graphs.to(self.schedule.left)


def _check(config: DenoisingConfig, n_items: int) -> None:
    """Refuse settings that the data or other settings do not allow.

    Raises:
        ValueError: they do not fit.
    """
    if config.n_rebuilt > n_items:
        raise ValueError(f"n_rebuilt must lie in [1, {n_items}], the number of items, but is {config.n_rebuilt}")
    if config.sampling_steps > config.n_steps:
        raise ValueError(f"sampling_steps must be at most n_steps, {config.n_steps}, but is {config.sampling_steps}")
    if config.noise_min > config.noise_max:
        raise ValueError(f"noise_min must be at most noise_max, {config.noise_max}, but is {config.noise_min}")
    if not config.hidden_dims:
        raise ValueError("hidden_dims must have at least one width, but is empty; set it to (1000,)")
