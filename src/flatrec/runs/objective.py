"""The loss, the sampling of negatives and the penalty that an experiment asks for, put into its model."""

from __future__ import annotations

from flatrec.config import Experiment, Regularization
from flatrec.losses.base import RankingLoss
from flatrec.losses.direct_au import DirectAULoss
from flatrec.losses.penalties import norm_penalty, squared_penalty
from flatrec.models import Model
from flatrec.registry.instantiate import build_loss, build_sampling
from flatrec.sampling.base import NegativeSampling

PENALTIES = {"none": None, "norm": norm_penalty, "squared": squared_penalty, "decoupled": None}


def apply(experiment: Experiment, model: Model) -> NegativeSampling:
    """Let a model rank by the loss and take the penalty that an experiment asks for; return its sampling.

    Raises:
        ValueError: the model has a loss of its own or no free rows, or loss and sampling do not fit each other.
    """
    loss, sampling = build_loss(experiment.loss), build_sampling(experiment.sampling)
    _check_sampling(experiment, model, loss, sampling)
    if loss is not None:
        try:
            model.replace_ranking(loss)
        except ValueError as error:
            raise ValueError(f"loss.name is {experiment.loss.name}: {error}") from None
    _replace_penalty(experiment.regularization, model)
    return sampling


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
