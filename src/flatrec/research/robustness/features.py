"""Disturbed item features: the model is built again from them, with its graphs, and keeps its trained parameters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal, cast

import numpy as np
import torch
from torch import Generator, Tensor, nn

from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.models.base import Model
from flatrec.models.features import FeatureTables
from flatrec.research.analysis.perturbation import IMAGE, TEXT, adjust_features
from flatrec.research.robustness.base import Disturbance, Outcome
from flatrec.research.robustness.noise import LEVELS, with_relative_noise
from flatrec.research.robustness.subject import Subject, scoring_of
from flatrec.research.studies.rescoring import rebuild
from flatrec.utils import seeding

PARTS = (0.1, 0.2, 0.5)


class FeatureDisturbance(Disturbance):
    """A kind that changes the features of a data set.

    Feature tables that the model trained change in the same way, with the same draw, as what they learned stands in the
    place of the features.
    """

    def reason(self, subject: Subject) -> str:
        """Say that no model is known, or that it reads no features."""
        run = subject.run
        if run is None:
            return "only vectors are known, not the model that made them of features"
        reads = isinstance(run.model, Model) and (run.model.MODALITIES != "none" or feature_tables(run.model))
        if not reads or not run.dataset.features:
            return "the model reads no features"
        return ""

    def outcome(self, subject: Subject, level: float, seed: int, draw: int) -> Outcome:
        """Return metrics of the model that was built again from the disturbed features."""

        def change(dataset: Dataset) -> Dataset:
            return self.disturbed(dataset, level, seeding.generator(seed, f"{self.NAME} {level:g}", draw))

        return Outcome(scores_with_features(subject, change))

    @abstractmethod
    def disturbed(self, dataset: Dataset, level: float, stream: Generator) -> Dataset:
        """Return the data set with disturbed features.

        Args:
            dataset: data set of the run, or one whose features are the tables that the model trained.
            level: level of the disturbance.
            stream: source of all randomness.
        """


class FeatureNoise(FeatureDisturbance):
    """Gaussian noise on the features of every modality, relative to the length of each row."""

    NAME: ClassVar[str] = "features"
    ABOUT: ClassVar[str] = "noise on the features of every modality, by its length relative to that of each row"
    LEVELS: ClassVar[tuple[float, ...]] = LEVELS

    def disturbed(self, dataset: Dataset, level: float, stream: Generator) -> Dataset:
        """Return the data set with noisy features; missing ones stay missing."""
        features = {}
        for name in sorted(dataset.features):
            one = dataset.features[name]
            values = with_relative_noise(torch.tensor(one.values), level, stream).numpy()
            features[name] = Features(values, one.present)
        return dataset.with_features(features)


class ShuffledFeatures(FeatureDisturbance):
    """Some items change their features among themselves, all modalities alike."""

    NAME: ClassVar[str] = "shuffle"
    ABOUT: ClassVar[str] = "features of a fraction of the items shuffled among these items, all modalities alike"
    LEVELS: ClassVar[tuple[float, ...]] = (*PARTS, 1.0)
    IS_FRACTION: ClassVar[bool] = True

    def disturbed(self, dataset: Dataset, level: float, stream: Generator) -> Dataset:
        """Return the data set with shuffled features."""
        chosen = _chosen(dataset.n_items, level, stream)
        rows = np.arange(dataset.n_items)
        rows[np.sort(chosen)] = chosen
        return dataset.with_features({name: one.take(rows) for name, one in dataset.features.items()})


class MissingFeatures(FeatureDisturbance):
    """Some items lose the features of every modality."""

    NAME: ClassVar[str] = "missing"
    ABOUT: ClassVar[str] = "features of every modality missing for a fraction of the items"
    LEVELS: ClassVar[tuple[float, ...]] = PARTS
    IS_FRACTION: ClassVar[bool] = True

    def reason(self, subject: Subject) -> str:
        """Say that the model would need a row that it did not learn."""
        reason = super().reason(subject)
        if reason or subject.run is None or not isinstance(subject.run.model, Model):
            return reason
        lacks = (
            tables.missing_modality == "learned" and any(one.stand_in is None for one in tables.tables)
            for tables in feature_tables(subject.run.model)
        )
        return "the model learns a row for missing features, but no item lacked them in training" if any(lacks) else ""

    def disturbed(self, dataset: Dataset, level: float, stream: Generator) -> Dataset:
        """Return the data set in which items lack their features."""
        chosen = np.isin(np.arange(dataset.n_items), _chosen(dataset.n_items, level, stream))
        features = dataset.features.items()
        return dataset.with_features({name: Features(one.values, one.present & ~chosen) for name, one in features})


class EditedFeatures(FeatureDisturbance):
    """Some items get the texts and part of the images of the items whose images are nearest to theirs."""

    NAME: ClassVar[str] = "edit"
    ABOUT: ClassVar[str] = "each item edited with a probability: text features of the nearest item, half of its image's"
    LEVELS: ClassVar[tuple[float, ...]] = (0.01, 0.03, 0.05)
    IS_FRACTION: ClassVar[bool] = True

    def reason(self, subject: Subject) -> str:
        """Say that there are neither texts nor images."""
        return super().reason(subject) or (
            "" if {IMAGE, TEXT} & subject.dataset.features.keys() else "the data have neither text nor image features"
        )

    def disturbed(self, dataset: Dataset, level: float, stream: Generator) -> Dataset:
        """Return the data set with edited items."""
        return adjust_features(dataset, level, stream).dataset


def scores_with_features(subject: Subject, change: Callable[[Dataset], Dataset]) -> dict[str, float]:
    """Return metrics of the subject's model, built again from changed features with the parameters that it learned.

    Args:
        subject: a run whose model reads features.
        change: changes the features of a data set; called again with trained feature tables in their place.
    """
    run, experiment = subject.run, subject.experiment
    assert run is not None
    assert experiment is not None
    other = rebuild(run, experiment, change(run.dataset))
    assert isinstance(other.model, Model)
    for tables in feature_tables(other.model):
        if any(isinstance(one.values, nn.Parameter) for one in tables.tables):
            _replace_trained(tables, change(_as_dataset(tables, run.dataset)))
    return subject.scores(scoring_of(other))


def _chosen(n_items: int, level: float, stream: Generator) -> np.ndarray:
    """Return a fraction of the items, rounded, in random order."""
    order: np.ndarray = torch.randperm(n_items, generator=stream).numpy()
    return order[: round(level * n_items)]


def feature_tables(model: Model) -> list[FeatureTables]:
    """Return the tables through which a model reads features."""
    return [module for module in model.modules() if isinstance(module, FeatureTables)]


def _as_dataset(tables: FeatureTables, dataset: Dataset) -> Dataset:
    """Return the data set with what a model trained in the place of its features."""
    features = {
        name: Features(cast(Tensor, table.values).detach().cpu().numpy(), np.ones(dataset.n_items, dtype=np.bool_))
        for name, table in zip(tables.names, tables.tables, strict=True)
    }
    return dataset.with_features(features)


@torch.no_grad()
def _replace_trained(tables: FeatureTables, dataset: Dataset) -> None:
    missing: Literal["mean", "zero"] = "zero" if tables.missing_modality == "zero" else "mean"
    for name, table in zip(tables.names, tables.tables, strict=True):
        cast(Tensor, table.values).copy_(torch.tensor(dataset.features[name].impute(missing)))
