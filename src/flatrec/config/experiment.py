"""What an experiment consists of: data, model, strategy, optimizer, training and evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, InstanceOf, PrivateAttr, field_validator, model_validator

from flatrec.config.base import Config
from flatrec.config.split import SplitSettings
from flatrec.utils import user_classes
from flatrec.utils.device_names import check_name
from flatrec.utils.ranges import Fraction, NonNegativeFloat, NonNegativeInt, PositiveInt, Range

WITHOUT_WEIGHT = ("default", "none")  # kinds of penalty that have no weight to set
DEFAULT_METRICS = ("recall", "ndcg", "precision", "map", "hit_rate", "item_coverage", "avg_popularity")

Option: TypeAlias = bool | int | float | str | Sequence[int] | Sequence[float]
Options: TypeAlias = Mapping[str, Option]


@dataclass(frozen=True, eq=False)
class Component:
    """A model, strategy or optimizer by name, with its settings.

    Args:
        name: as in ``flatrec list models``, ``strategies`` or ``optimizers``; or a class of the user's own.
        settings: those that differ from the defaults, as the user wrote them; or all of them, checked and typed, as
            :func:`flatrec.registry.instantiate.with_defaults` gives them.
        named: whether the user chose the name; if it is only the general default, a default of the model may take its
            place. Components that differ in nothing else are equal.
    """

    name: str
    settings: Options | Config = field(default_factory=dict)
    named: bool = True

    @property
    def options(self) -> Options:
        """The settings as TOML can hold them: without those that are None, which means "as if left out"."""
        if not isinstance(self.settings, Config):
            return self.settings
        return {name: value for name, value in self.settings if _can_be_written(value)}

    def as_dict(self) -> dict[str, Any]:
        """Name and settings."""
        return {"name": self.name, "options": dict(self.options)}

    def __eq__(self, other: object) -> bool:
        """Return True if name and settings are equal, whether they are checked yet or not."""
        return isinstance(other, Component) and self.as_dict() == other.as_dict()

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[Component], tuple[str, Options, bool]]:
        """Pickle the settings as written: a generated class of settings is not known in another process."""
        return Component, (self.name, dict(self.options), self.named)


def _can_be_written(value: object) -> bool:
    return value is not None and not (isinstance(value, tuple) and None in value)


class AMR(Config):
    """Adversarial noise on item features in training; see :class:`flatrec.models.adversarial.Adversarial`.

    Args:
        epsilon: length of the noise on an item's features of one modality; 0 for no noise.
        weight: weight of the loss under noise, beside the loss without noise.

    Raises:
        ValueError: a value is out of range.
    """

    epsilon: NonNegativeFloat = 0.0
    weight: NonNegativeFloat = 1.0


class MDVT(Config):
    """Virtual triplets in the loss; see :class:`flatrec.models.virtual_triplets.VirtualTriplets`.

    Args:
        weight: weight of the virtual triplets, beside the model's loss with one minus that; 0 for no virtual triplets.
        k: number of items on either side of a user's triplets: those nearest to the user, and those farthest.
        warmup: when the virtual triplets begin: at ``start_epoch`` (``static``), or at the first epoch from then on
            before which the loss fell by less than ``threshold`` (``dynamic``).
        start_epoch: smallest number of epochs without virtual triplets.
        threshold: fall of the mean loss from one epoch to the next, relative to that of the next; ``dynamic`` alone.

    Raises:
        ValueError: a value is out of range.
    """

    weight: Fraction = 0.0
    k: PositiveInt = 1
    warmup: Literal["dynamic", "static"] = "dynamic"
    start_epoch: NonNegativeInt = 4
    threshold: NonNegativeFloat = 0.1


class Regularization(Config):
    """The penalty on a model's free rows, which are those of tables that a batch reads; see docs/regularization.md.

    Args:
        kind: which penalty. ``default`` is the model's own with the model's own weight; ``none`` is none; ``norm`` adds
            up the norms of the batch's rows, not squared; ``squared`` is half the squares of the rows per interaction,
            the penalty of the papers of BPR and LightGCN; ``decoupled`` lets all parameters decay before each step.
        weight: weight of the penalty; of ``default`` and ``none`` there is none to set.

    Raises:
        ValueError: a value is out of range, or a weight is given to a kind that has none. A weight without a kind is
            for the kind that is the model's default, and refused when that is known and has none.
    """

    kind: Literal["default", "none", "norm", "squared", "decoupled"] = "default"
    weight: NonNegativeFloat = 0.0

    @model_validator(mode="after")
    def _check_weight(self) -> Regularization:
        if "kind" not in self.model_fields_set:
            return self  # the kind may still be a model's default; with_defaults checks what it is then
        if self.kind in WITHOUT_WEIGHT and self.weight > 0:
            raise ValueError(
                f"regularization.weight is {self.weight}, but regularization.kind {self.kind} has no weight; set "
                'regularization.kind to "squared", "norm" or "decoupled", or leave the weight out'
            )
        return self


class Training(Config):
    """How long and in which portions a model is trained.

    Args:
        epochs: largest number of epochs; the exact number if ``select`` is ``last``.
        batch_size: number of training interactions per batch.
        patience: number of consecutive evaluations without a better epoch after which training stops.
        evaluate_every: number of epochs from one evaluation to the next.
        monitor: the validation metric that decides early stopping and the best epoch, one of ``evaluation.metrics`` in
            its better direction (``flatrec list metrics``). If two epochs are equal in it, the one with the higher NDCG
            at the same K is better, if NDCG is computed, then the earlier one. If the data have so few items
            that the metric cannot tell epochs apart, a smaller K is monitored
            (:func:`flatrec.runs.selection.monitored`).
        select: which epoch is kept: the ``best`` on validation, or the ``last``; the latter needs no validation split
            and ignores ``patience``.
        monitor_window: number of evaluations over whose mean the monitored metric is taken, the last ones. An epoch
            with fewer evaluations before it cannot be the best, unless training ends with it.
        average: which weights are monitored, kept and saved: those of the epoch (``none``), their exponential moving
            average over steps (``ema``), their mean over the ends of epochs (``swa``), or that mean with only the
            epochs that make it better on validation (``aswa``); see :mod:`flatrec.training.averaging`.
        average_decay: weight of the average before each step of ``ema``.
        average_start: number of epochs before averaging begins; none of them can be the best.
        lr_warmup: number of epochs, also a fraction of one, over whose steps the learning rate grows linearly to that
            of the schedule; 0 for none.
        max_grad_norm: norm to which larger gradients are clipped; 0 for no clipping.
        max_row_grad_norm: norm to which larger rows of a gradient are clipped, such as those of users and items, before
            ``max_grad_norm``; 0 for no clipping.
        same_dropout_mask: whether all passes of a step use the same dropout masks and the same noise.
        perturb_exclude: patterns of parameter names, such as ``["features.*"]``, that strategies do not perturb and
            leave out of their norms; these parameters are still trained.
        perturb_target: what strategies perturb: the ``parameters``, or the final ``embeddings`` of users and items,
            which are encoded once per step (:mod:`flatrec.training.embedding_context`).
        grad_accumulation_steps: number of portions in which the gradient of a batch is computed, which needs less
            memory; there is still one update per batch.
        second_batch: source of the second batch of a mixed strategy. ``independent``: a second, independently shuffled
            pass over the data; an epoch makes as many updates as in plain training and reads every interaction twice.
            ``split``: the next batch of the same pass; an epoch makes half as many updates.
        weighted_sampling: whether an epoch draws training interactions by their weights, with replacement and as many
            as there are, each with a probability proportional to its weight, instead of reading each once; needs data
            with weights.
        precision: number type of matrix products; parameters and gradients stay float32. ``float16`` has a narrow
            range, which LGMRec overflows; ``bfloat16`` works for every model. ``tf32`` lets a GPU round the factors of
            float32 products to 10 bits; elsewhere it is ``float32``.
        layer_precision: number type in which training stores the layers of the user-item graph that a model adds up
            or averages; ``bfloat16`` makes steps faster if the graph or the embeddings are large, and rounds each layer
            to 8 binary digits. Layers with message dropout and evaluations stay float32.
        deterministic: whether torch refuses algorithms whose results differ from run to run, which on a GPU are faster;
            on a CPU there are none in use.
        parallel: what several processes that ``torchrun`` starts share: nothing (``none``, for a single process), the
            ``columns`` of all embeddings, with the results of a single process up to rounding, or the ``batches``, with
            those of a single process that takes as many ``grad_accumulation_steps``.
        checkpoint_every: number of epochs from one checkpoint to the next.
        save_recommender: whether the run folder gets a recommender, which answers without the data and the class of
            the model; if it is ``auto``, those of ``flatrec train`` and ``flatrec.fit`` do, and those of sweeps,
            studies and comparisons do not.
        loggers: where settings, curves and scores are written besides the run folder (``flatrec list loggers``), or
            your own as ``file.py:Class``, in Python also the class itself; ``none`` for nowhere. ``tensorboard``
            writes nothing if TensorBoard is not installed.
        log_recommender: whether loggers that take files get the recommender too, which holds ids of users and items.
        amr: adversarial noise on item features, for any model that reads some and with any strategy; off by default.
        mdvt: virtual triplets in the loss, for any model and with any strategy; off by default.

    Raises:
        ValueError: a value is out of range, or nothing could be averaged as asked.
    """

    epochs: PositiveInt = 1000
    batch_size: PositiveInt = 2048
    patience: PositiveInt = 20
    evaluate_every: PositiveInt = 1
    monitor: str = "recall@20"
    select: Literal["best", "last"] = "best"
    monitor_window: PositiveInt = 1
    average: Literal["none", "ema", "swa", "aswa"] = "none"
    average_decay: Annotated[float, Range(ge=0, lt=1)] = 0.998
    average_start: NonNegativeInt = 0
    lr_warmup: NonNegativeFloat = 0.0
    max_grad_norm: NonNegativeFloat = 0.0
    max_row_grad_norm: NonNegativeFloat = 0.0
    same_dropout_mask: bool = True
    perturb_exclude: tuple[str, ...] = ()
    perturb_target: Literal["parameters", "embeddings"] = "parameters"
    grad_accumulation_steps: PositiveInt = 1
    second_batch: Literal["independent", "split"] = "independent"
    weighted_sampling: bool = False
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = "float32"
    layer_precision: Literal["float32", "bfloat16"] = "float32"
    deterministic: bool = False
    parallel: Literal["none", "columns", "batches"] = "none"
    checkpoint_every: PositiveInt = 1
    save_recommender: Literal["auto", "always", "never"] = "auto"
    loggers: tuple[str, ...] = ("tensorboard",)
    log_recommender: bool = False
    amr: AMR = AMR()
    mdvt: MDVT = MDVT()

    @field_validator("loggers", mode="before")
    @classmethod
    def _list_loggers(cls, loggers: object) -> object:
        """Names with commas between them as a list, and loggers of the user's own that are given as classes by name."""
        if isinstance(loggers, str):
            return tuple(name.strip() for name in loggers.split(",") if name.strip() not in ("", "none"))
        return _names_of_classes(loggers)

    @model_validator(mode="after")
    def _check_average(self) -> Training:
        if self.average == "aswa" and self.select == "last":
            raise ValueError(
                "training.average is aswa, which needs validation, but training.select is last; set training.average "
                "to swa or ema"
            )
        if self.average != "none" and self.average_start >= self.epochs:
            raise ValueError(
                f"training.average_start is {self.average_start}, but training.epochs is {self.epochs}, so that "
                "nothing would be averaged; set it to fewer epochs"
            )
        return self

    @property
    def tie_breaker(self) -> str:
        """The metric by which epochs of equal validation score are compared: NDCG at the K of the monitored one."""
        return f"ndcg@{self.monitor.partition('@')[2]}"


class Evaluation(Config):
    """What is measured.

    Args:
        ks: the lengths K of the lists that are scored.
        mask: which items are not ranked for a user: those of the user's training interactions (``train``, as in the
            field's libraries), or, when the test split is scored, those of the validation interactions too
            (``train+valid``); or no items (``none``), for data in which users come back to the same items
            (``repeat = true``).
        metrics: what is computed for every K, as in ``flatrec list metrics``, or your own as ``file.py:Class``, in
            Python also the class itself. Any of them can be ``training.monitor``.
        unknown_users: whether users without a training interaction are in the means (``include``) or not
            (``exclude``); they are counted in either case.
        users: which users are scored, and monitored in training: all, or in data with groups the ``persons`` or the
            ``groups`` alone.
        sampled_negatives: number of items that metrics called ``sampled_`` rank each relevant item among, drawn once
            from those that the user has in no split.

    Raises:
        ValueError: a K is not a positive whole number, or is too large; or there is no metric.
    """

    ks: tuple[PositiveInt, ...] = (5, 10, 20)
    mask: Literal["train", "train+valid", "none"] = "train"
    metrics: tuple[str, ...] = DEFAULT_METRICS
    unknown_users: Literal["include", "exclude"] = "include"
    users: Literal["all", "persons", "groups"] = "all"
    sampled_negatives: PositiveInt = 100

    @property
    def decisive(self) -> dict[str, Any]:
        """The settings that tell runs apart, by name; a metric of the user's is the same one wherever its file lies.

        Settings that are younger than the others are left out at their defaults: runs that were recorded before these
        settings existed are of the same settings.
        """
        tree = self.as_dict() | {"metrics": tuple(map(user_classes.identity, self.metrics))}
        default = Evaluation().as_dict()
        later = ("metrics", "unknown_users", "users", "sampled_negatives")
        return {name: value for name, value in tree.items() if name not in later or value != default[name]}

    @field_validator("ks")
    @classmethod
    def _check_ks(cls, ks: tuple[int, ...]) -> tuple[int, ...]:
        if not ks:
            raise ValueError("must be positive whole numbers such as [5, 10], but there is none")
        return ks

    @field_validator("metrics", mode="before")
    @classmethod
    def _name_classes(cls, metrics: object) -> object:
        """Metrics of the user's own that are given as classes, by name."""
        return _names_of_classes(metrics)

    @field_validator("metrics")
    @classmethod
    def _check_metrics(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        if not metrics:
            raise ValueError('must be names of metrics such as ["recall", "ndcg"], but there is none')
        return metrics


def _names_of_classes(values: object) -> object:
    """A list in which classes of the user's own stand by name."""
    if not isinstance(values, tuple):
        return values
    return tuple(user_classes.remember(one) if isinstance(one, type) else one for one in values)


class Experiment(Config):
    """Everything that decides a run; equal experiments on one machine give equal bits.

    What is left out of an experiment that is not :attr:`complete` has the model's own default
    (``flatrec.models.Model.DEFAULTS``), else the general one.

    Args:
        data: a path that :func:`flatrec.load_data` reads, or ``shop``, the built-in data set.
        seed: the seed of initial parameters, batches, negatives, edge dropout and noise.
        device: where the model is trained: ``cpu``, ``cuda`` or one of several as ``cuda:1``, or ``mps`` (never
            tried); ``auto`` is CUDA if there is a CUDA device.
        model: name and settings of the model.
        loss: name and settings of the loss by which the model ranks (``flatrec list losses``); ``default`` is the
            model's own.
        sampling: name and settings of the choice of negatives (``flatrec list samplings``).
        regularization: the penalty on the model's free rows.
        strategy: name and settings of the strategy; a ``+`` at the end of its name mixes it.
        optimizer: name and settings of the base optimizer.
        schedule: name and settings of the learning rate over epochs: ``constant``, or a class of
            ``torch.optim.lr_scheduler`` in lower case that needs no metric, function or other schedule, such as
            ``cosineannealinglr``.
        training: how long and in which portions the model is trained.
        evaluation: what is measured.
        split: how the interactions are split; what is left out is as the data say.
    """

    data: str = "shop"
    seed: Annotated[int, Range(ge=-(2**63), le=2**63 - 1)] = 0
    device: Annotated[str, AfterValidator(check_name)] = "auto"
    model: InstanceOf[Component] = Component("freedom", named=False)
    loss: InstanceOf[Component] = Component("default", named=False)
    sampling: InstanceOf[Component] = Component("uniform", named=False)
    regularization: Regularization = Regularization()
    strategy: InstanceOf[Component] = Component("plain", named=False)
    optimizer: InstanceOf[Component] = Component("adam", named=False)
    schedule: InstanceOf[Component] = Component("constant", named=False)
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    split: SplitSettings = SplitSettings()
    _complete: bool = PrivateAttr(default=False)

    @property
    def complete(self) -> bool:
        """Whether nothing is left to the defaults of the model: all is stated, or was when a run recorded it.

        What a recorded experiment lacks, since the setting did not exist yet, has the general default.
        """
        return self._complete

    def completed(self) -> Experiment:
        """The same experiment, of which nothing is left to the defaults of the model."""
        copy = self.model_copy()
        object.__setattr__(copy, "__pydantic_private__", {"_complete": True})  # settings are frozen
        return copy

    def replace(self, **changes: Any) -> Experiment:  # noqa: ANN401 - checked against the fields
        """A copy in which some settings have other values; complete if this experiment is.

        Raises:
            SettingError: as the constructor.
        """
        copy = super().replace(**changes)
        return copy.completed() if self.complete else copy

    def __eq__(self, other: object) -> bool:
        """Return True if all settings are equal, whoever stated them."""
        return isinstance(other, Experiment) and dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment]

    def as_dict(self) -> dict[str, Any]:
        """Every setting by name, components and groups of settings as dictionaries."""
        return {name: value.as_dict() if isinstance(value, (Config, Component)) else value for name, value in self}


def settings_tree(experiment: Experiment) -> dict[str, Any]:
    """The experiment as a TOML file holds it."""
    tree = experiment.as_dict()
    for key, value in experiment:
        if isinstance(value, Component):
            tree[key] = {"name": value.name, **value.options}
        elif isinstance(value, SplitSettings):
            tree[key] = value.given
    return tree


def settings(experiment: Experiment) -> dict[str, Any]:
    """Every setting by its dotted name, such as ``strategy.rho``."""
    return dict(_leaves(settings_tree(experiment)))


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
