"""Item features moved in the direction that hurts the model most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from flatrec.config import Experiment
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.inference.run import Run
from flatrec.models.base import Model
from flatrec.models.features import FeatureTables
from flatrec.ops.normalize import l2_normalize_
from flatrec.research.robustness.base import Disturbance, Outcome
from flatrec.research.robustness.features import FeatureNoise, feature_tables, scores_with_features
from flatrec.research.robustness.subject import Subject
from flatrec.runs.objective import make_sampler
from flatrec.utils import seeding

Directions = Mapping[str, Tensor]  # one row of length 1 (or 0) per item, by modality


class AdversarialFeatures(Disturbance):
    """A step along the gradient of the training loss with respect to the features.

    As the fast gradient sign method (Goodfellow et al., ICLR 2015, https://arxiv.org/abs/1412.6572), but with the
    gradient of length 1 in the place of its sign, as Miyato et al. have it (ICLR 2017,
    https://arxiv.org/abs/1605.07725): with Gamma[i] the gradient of the loss, added up over all batches of training
    interactions, with respect to the row that the model reads of item i, its features move by

        level * ||x_i|| * Gamma[i] / ||Gamma[i]||, and not at all where Gamma[i] is 0.

    Deviations: the gradient's own direction instead of its sign, so that the length is comparable with that of noise;
    the length is relative to each row. Graphs of similar items are held in the gradient and then built again from the
    changed features. A draw has its own negatives.
    """

    NAME: ClassVar[str] = "adversarial"
    ABOUT: ClassVar[str] = "features moved along the gradient of the loss, by the length relative to that of each row"
    LEVELS: ClassVar[tuple[float, ...]] = (0.05, 0.1, 0.2)

    def reason(self, subject: Subject) -> str:
        """Say that no model is known, that it reads no features, or that its loss does not reach them."""
        reason, run = FeatureNoise().reason(subject), subject.run
        if reason or run is None or not isinstance(run.model, Model) or feature_tables(run.model):
            return reason
        return "the model reads features for its graphs alone, which no gradient reaches"

    def outcome(self, subject: Subject, level: float, seed: int, draw: int) -> Outcome:
        """Return metrics of the model that was built again from the moved features."""
        run, experiment = subject.run, subject.experiment
        assert run is not None
        assert experiment is not None
        directions = loss_directions(run, experiment, seed, draw)
        return Outcome(scores_with_features(subject, lambda dataset: moved(dataset, directions, level)))


def moved(dataset: Dataset, directions: Directions, level: float) -> Dataset:
    """Return the data set with features that moved by ``level`` times their length; missing ones stay missing."""
    features = {}
    for name, one in dataset.features.items():
        lengths = np.linalg.norm(one.values, axis=1, keepdims=True)
        values = one.values + np.float32(level) * lengths * directions[name].numpy()
        features[name] = Features(values.astype(np.float32), one.present)
    return dataset.with_features(features)


def loss_directions(run: Run, experiment: Experiment, seed: int, draw: int) -> Directions:
    """Return the directions in which the training loss grows most, on the CPU.

    Args:
        run: run whose model reads features.
        experiment: its settings, for the batches.
        seed: seed of the negatives.
        draw: number of the draw.
    """
    model = run.model
    assert isinstance(model, Model)
    readers = feature_tables(model)
    tables = [[table.detach().clone().requires_grad_() for table in reader()] for reader in readers]
    flat = [table for some in tables for table in some]
    device = flat[0].device
    sums = [torch.zeros_like(table) for table in flat]
    sampler = make_sampler(experiment, run.dataset.interactions, device)
    for (batch,) in sampler.epoch(seeding.generator(seed, "adversarial", draw)):
        with torch.enable_grad(), ExitStack() as stack:
            _read(stack, readers, tables)
            loss = model.loss(model.encode(), batch)
            slopes = torch.autograd.grad(loss, flat, materialize_grads=True)
        for total, slope in zip(sums, slopes, strict=True):
            total += slope * len(batch)
    rows = iter(sums)
    by_name: dict[str, Tensor] = {}
    for reader in readers:
        for name in reader.names:
            total = next(rows).cpu()
            by_name[name] = by_name[name] + total if name in by_name else total
    return {name: l2_normalize_(total) for name, total in by_name.items()}


def _read(stack: ExitStack, readers: Sequence[FeatureTables], tables: Sequence[Sequence[Tensor]]) -> None:
    for reader, some in zip(readers, tables, strict=True):
        stack.enter_context(reader.replaced(some))
