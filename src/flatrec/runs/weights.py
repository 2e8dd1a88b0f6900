"""Whether an experiment uses the weights of interactions, and whether there are any."""

from __future__ import annotations

from collections.abc import Iterator

from flatrec.config import Experiment
from flatrec.data.dataset import Dataset
from flatrec.models import BASELINES
from flatrec.registry.instantiate import config_class
from flatrec.utils import user_classes

SAMPLING, EDGES = "training.weighted_sampling", "model.weighted_edges"


def check(experiment: Experiment, dataset: Dataset) -> None:
    """Make sure that there are weights where a setting asks for them.

    Raises:
        ValueError: there are none.
    """
    for name in _used(experiment):
        if dataset.interactions.weights is None:
            raise ValueError(
                f"{name} is true, but the interactions of {dataset.name!r} have no weights; leave it out, or give the "
                "data weights"
            )


def ignored(experiment: Experiment, dataset: Dataset) -> str:
    """Return a sentence if the training interactions differ in weight and nothing uses that; else an empty text.

    Of a class of the user's own it is not known what it does with weights, so nothing is said.
    """
    weights, name = dataset.interactions.weights, experiment.model.name
    if weights is None or any(_used(experiment)) or name in BASELINES or user_classes.is_own(name):
        return ""
    weights = weights[dataset.interactions.mask("train")]
    if not len(weights) or weights.min() == weights.max():
        return ""
    possible = [SAMPLING]
    if EDGES.partition(".")[2] in config_class("model", name).model_fields:
        possible.append(EDGES)
    return (
        f"the weights of the interactions of {dataset.name!r} are ignored: {name} uses them only with "
        f"{' or '.join(possible)}"
    )


def _used(experiment: Experiment) -> Iterator[str]:
    """Yield the settings that use weights and are on."""
    if experiment.training.weighted_sampling:
        yield SAMPLING
    if experiment.model.options.get(EDGES.partition(".")[2]):
        yield EDGES
