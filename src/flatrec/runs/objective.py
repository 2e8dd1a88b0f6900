"""The model of an experiment with the loss and the penalty that it asks for, and the batches that it is trained on."""

from __future__ import annotations

import torch

from flatrec.config import Experiment, Regularization
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Interactions
from flatrec.losses.base import RankingLoss
from flatrec.losses.direct_au import DirectAULoss
from flatrec.losses.penalties import norm_penalty, squared_penalty
from flatrec.models import Baseline, Model
from flatrec.registry.instantiate import build_loss, build_model, build_sampling
from flatrec.sampling.base import NegativeSampling
from flatrec.sampling.sampler import Sampler

PENALTIES = {"none": None, "norm": norm_penalty, "squared": squared_penalty, "decoupled": None}


def build_with_objective(experiment: Experiment, dataset: Dataset) -> Model | Baseline:
    """A model with its initial parameters, whose loss is the one that the experiment trains it by.

    Training begins with it, and whatever looks at a trained model again builds it so.

    Raises:
        ValueError: an unknown name or setting, or settings that do not fit each other or the data.
    """
    model = build_model(experiment.model, dataset, experiment.seed)
    if isinstance(model, Model):
        apply(experiment, model)
    return model


def make_sampler(experiment: Experiment, interactions: Interactions, device: torch.device) -> Sampler:
    """The batches that an experiment trains on, with its negatives.

    Raises:
        ValueError: there is no interaction to train on, or there are no weights to draw them by.
    """
    return Sampler(
        interactions,
        experiment.training.batch_size,
        device,
        weighted=experiment.training.weighted_sampling,
        negatives=build_sampling(experiment.sampling),
    )


def apply(experiment: Experiment, model: Model) -> None:
    """Let a model rank by the loss and take the penalty that an experiment asks for.

    Raises:
        ValueError: the model has a loss of its own or no free rows, or loss and sampling do not fit each other.
    """
    loss = build_loss(experiment.loss)
    _check_sampling(experiment, model, loss, build_sampling(experiment.sampling))
    if loss is not None:
        try:
            model.replace_ranking(loss)
        except ValueError as error:
            raise ValueError(f"loss.name is {experiment.loss.name}: {error}") from None
    _replace_penalty(experiment.regularization, model)


def _replace_penalty(chosen: Regularization, model: Model) -> None:
    if chosen.kind == "default" or (chosen.kind == "decoupled" and "regularization" not in model.REPLACEABLE):
        return
    try:
        model.replace_penalty(PENALTIES[chosen.kind], chosen.weight)
    except ValueError as error:
        raise ValueError(f"regularization.kind is {chosen.kind}: {error}") from None


def weight_decay(experiment: Experiment) -> float:
    """The weight of decoupled decay, 0 for none."""
    return experiment.regularization.weight if experiment.regularization.kind == "decoupled" else 0.0


def _check_sampling(experiment: Experiment, model: Model, loss: RankingLoss | None, sampling: NegativeSampling) -> None:
    name = experiment.sampling.name
    if name != "uniform" and "loss" not in model.REPLACEABLE:
        raise ValueError(
            f"sampling.name is {name}, but {type(model).__name__} has a loss of its own that does not rank negatives; "
            "set sampling.name to uniform"
        )
    if not sampling.in_batch:
        return
    if experiment.training.grad_accumulation_steps > 1:
        raise ValueError(
            "sampling.name is in-batch, whose negatives are those of a whole batch; set "
            "training.grad_accumulation_steps to 1"
        )
    if isinstance(loss, DirectAULoss):
        raise ValueError(
            f"sampling.name is in-batch, but loss.name is {experiment.loss.name}; "
            "set loss.name to softmax, bce, ccl or bpr"
        )
