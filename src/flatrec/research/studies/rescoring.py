"""Scores of a trained model on changed data: the model is rebuilt from the data and keeps its parameters."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Generator, nn

from flatrec.config import Experiment
from flatrec.data.dataset import Dataset
from flatrec.inference.run import Run
from flatrec.models import Model
from flatrec.models.features import FeatureTables
from flatrec.runs.objective import build_with_objective


def trained_model(run: Run) -> Model:
    """Return the model of a run.

    Raises:
        ValueError: the model is one that is not trained.
    """
    if not isinstance(run.model, Model):
        raise ValueError(f"{type(run.model).__name__} is not trained, so this study cannot measure it")
    return run.model


def scores_on_test(run: Run) -> dict[str, float]:
    """Return metrics on the test split."""
    return dict(run.evaluate("test").metrics)


def rebuild(run: Run, experiment: Experiment, dataset: Dataset) -> Run:
    """Return the run with another data set of the same users and items, such as one with noisy features.

    Graphs of similar items, and all else that the model makes of features, are rebuilt. Feature tables that were
    trained keep what they learned; see :func:`disturb_trained_features`.
    """
    trained = trained_model(run)
    device = next(trained.parameters()).device
    model = build_with_objective(experiment, dataset)
    assert isinstance(model, Model)
    model.load_state_dict(trained.state_dict())
    return replace(run, dataset=dataset, model=model.to(device).eval(), result={})


def disturb_trained_features(model: Model, variance: float, generator: Generator) -> None:
    """Add Gaussian noise to feature tables that are parameters, which do not change with the data set."""
    for module in model.modules():
        if isinstance(module, FeatureTables):
            for values in module.parameters():
                _disturb(values, variance, generator)


@torch.no_grad()
def _disturb(values: nn.Parameter, variance: float, generator: Generator) -> None:
    noise = torch.randn(values.shape, generator=generator) * variance**0.5
    values.add_(noise.to(values.device))
