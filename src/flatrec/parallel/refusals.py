"""What several processes cannot train together, each in one line before training begins."""

from __future__ import annotations

from flatrec.config import Experiment
from flatrec.models.base import Baseline, Model
from flatrec.models.preferences import PreferenceModel
from flatrec.models.settings import GraphDropoutConfig
from flatrec.parallel.shards import columns_of
from flatrec.strategies.base import Strategy
from flatrec.strategies.mixed import Mixed
from flatrec.strategies.perturbation import SAMStrategy
from flatrec.utils.messages import count
from flatrec.utils.processes import Processes

# Those that compute each entry of a parameter by itself.
ENTRYWISE = frozenset(
    {"adadelta", "adagrad", "adam", "adamax", "adamw", "asgd", "nadam", "radam", "rmsprop", "rprop", "sgd"}
)


def check_started(experiment: Experiment, processes: Processes) -> None:
    """Make sure that several processes were started for an experiment that they share.

    Raises:
        ValueError: each of them would train the same.
    """
    if processes.size > 1 and experiment.training.parallel == "none":
        raise ValueError(
            f"{processes.size} processes were started, and each would train the same; set training.parallel to "
            "columns or batches, or start one without torchrun"
        )


def check_shareable(experiment: Experiment, model: Model | Baseline, strategy: Strategy, n_processes: int) -> None:
    """Make sure that so many processes can share what ``training.parallel`` says of what an experiment trains.

    Raises:
        ValueError: they cannot.
    """
    if isinstance(model, Baseline):
        raise ValueError(f"{experiment.model.name} is not trained in steps to share; start a single process")
    if experiment.training.parallel == "columns":
        _check_columns(experiment, model, strategy, n_processes)
    else:
        _check_batches(experiment)


def _check_batches(experiment: Experiment) -> None:
    found = {
        "training.perturb_target is embeddings, which are encoded once per step; set it to parameters": (
            experiment.training.perturb_target == "embeddings"
        ),
        "training.same_dropout_mask is false, so that portions draw masks one after the other; set it to true": (
            not experiment.training.same_dropout_mask
        ),
        "sampling.name is in-batch, whose negatives are those of a whole batch; set it to uniform": (
            experiment.sampling.name == "in-batch"
        ),
    }
    for reason, applies in found.items():
        if applies:
            raise ValueError(f"training.parallel is batches, but {reason}, or start a single process")


def _check_columns(experiment: Experiment, model: Model, strategy: Strategy, n_processes: int) -> None:
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    found = {name: columns_of(model, name) for name in trained}
    for reason in _reasons(experiment, model, strategy):
        raise ValueError(f"training.parallel is columns, but {reason}; change that, or set it to batches")
    for name, (dim, blocks) in found.items():
        if (width := trained[name].shape[dim] // blocks) < n_processes:
            raise ValueError(
                f"{name} has {count(width, 'column')}, which {n_processes} processes cannot share; start fewer"
            )
        if dim == 0 and trained[name].ndim > 1 and _reads_rows(experiment, strategy):
            raise ValueError(
                f"training.parallel is columns, but the rows of {name} are what processes share, so that rows cannot "
                'be measured; leave out rho_scale = "row" and max_row_grad_norm'
            )


def _reasons(experiment: Experiment, model: Model, strategy: Strategy) -> list[str]:
    training, config = experiment.training, model.config
    ranking = type(model.ranking)
    found = {
        "training.perturb_target is embeddings": training.perturb_target == "embeddings",
        f"training.precision is {training.precision}": training.precision not in ("float32", "tf32"),
        f"training.layer_precision is {training.layer_precision}": training.layer_precision != "float32",
        "training.amr needs all columns": training.amr.epsilon > 0,
        "training.mdvt needs all columns": training.mdvt.weight > 0,
        "model.message_dropout is drawn for all columns": isinstance(config, GraphDropoutConfig)
        and config.message_dropout > 0,
        "regularization.kind reads weights of users as well": isinstance(model, PreferenceModel)
        and model.penalty is not None,
        f"loss {experiment.loss.name} needs all columns": not vars(ranking).get("SEPARABLE", False),
        f"optimizer {experiment.optimizer.name} needs all columns": experiment.optimizer.name not in ENTRYWISE,
        **_strategy_reasons(experiment.strategy.name, strategy),
    }
    return [reason for reason, applies in found.items() if applies]


def _strategy_reasons(name: str, strategy: Strategy) -> dict[str, bool]:
    inner = _inner(strategy)
    separable = all(vars(type(one)).get("SEPARABLE", False) for one in (strategy, inner))
    return {
        f"strategy {name} needs all columns": not separable,
        "strategy.control is random, which is drawn for all columns": isinstance(inner, SAMStrategy)
        and inner.control == "random",
    }


def _inner(strategy: Strategy) -> Strategy:
    return strategy.inner if isinstance(strategy, Mixed) else strategy


def _reads_rows(experiment: Experiment, strategy: Strategy) -> bool:
    inner = _inner(strategy)
    return experiment.training.max_row_grad_norm > 0 or (isinstance(inner, SAMStrategy) and inner.rho_scale == "row")
