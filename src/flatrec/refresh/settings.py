"""The settings of the nightly job, as ``shop.toml`` holds them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import InstanceOf, field_validator

from flatrec import config
from flatrec.config import Config, Experiment, SettingError, validate
from flatrec.config.old_words import unknown_setting
from flatrec.evaluation.metrics import resolve_metrics
from flatrec.models import BASELINES
from flatrec.refresh.export_settings import ExportSettings
from flatrec.refresh.log_settings import LogSettings
from flatrec.registry.instantiate import with_defaults
from flatrec.registry.naming import with_named
from flatrec.utils.ranges import MAX_COUNT, Fraction, NonNegativeFloat, PositiveFloat, Range

Change = Annotated[float, Range(ge=-1)]
_SET_ELSEWHERE = {"data": "data", "split": "compare.days and compare.valid_days"}


class CheckSettings(Config):
    """The bounds that a delivery of the data must keep.

    A change is relative to the last accepted delivery: -0.1 is a tenth less, 0.5 is half as much again.

    Args:
        interactions: lowest and highest change of the number of interactions.
        users: the same for users.
        items: the same for items.
        min_user_overlap: lowest fraction of the last delivery's users that the new one still has.
        min_item_overlap: the same for items.
        same_columns: whether titles, images, item columns and their types, and features and their widths must be those
            of the last delivery.
        required_columns: item columns that every delivery must have.
        max_unknown_items: highest fraction of the items with an interaction in the newest days that have none before.
        max_age_days: highest age of the newest interaction, in days; left out, it may be of any age.
    """

    interactions: tuple[Change, Change] = (-0.1, 1.0)
    users: tuple[Change, Change] = (-0.1, 1.0)
    items: tuple[Change, Change] = (-0.2, 1.0)
    min_user_overlap: Fraction = 0.9
    min_item_overlap: Fraction = 0.8
    same_columns: bool = True
    required_columns: tuple[str, ...] = ()
    max_unknown_items: Fraction = 0.5
    max_age_days: PositiveFloat | None = None

    @field_validator("interactions", "users", "items")
    @classmethod
    def _check_order(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if bounds[0] > bounds[1]:
            raise ValueError(f"must be the lowest and the highest change, such as [-0.1, 0.5], but is {list(bounds)}")
        return bounds


class CompareSettings(Config):
    """How the candidate is compared with the recommender in use.

    Args:
        days: number of newest days that are the test: nobody is trained on them before the comparison.
        valid_days: number of days before them by which the best epoch is chosen; by default as many as ``days``. With
            0, ``training.select`` must be ``last``.
        metric: the metric that decides, with its K.
        margin: how much lower than that of the recommender in use the candidate's value may be, as a fraction of it.
    """

    days: PositiveFloat = 7.0
    valid_days: NonNegativeFloat | None = None
    metric: str = "recall@10"
    margin: Fraction = 0.05

    @field_validator("metric")
    @classmethod
    def _check_metric(cls, metric: str) -> str:
        name, _, k = metric.partition("@")
        if not name or not k.isdecimal() or int(k) < 1:
            raise ValueError(f"must be a metric with its K, such as recall@10, but is {metric!r}")
        resolve_metrics((name,))  # refuses one that is unknown
        return metric

    @property
    def k(self) -> int:
        """The length of the lists that are compared."""
        return int(self.metric.partition("@")[2])

    @property
    def valid(self) -> float:
        """The length of the validation split, in days."""
        return self.days if self.valid_days is None else self.valid_days


class RefreshSettings(Config):
    """Everything that the nightly job needs to know.

    Args:
        data: a path that :func:`flatrec.load_data` reads, or ``shop``, the built-in data set.
        folder: the folder of the recommenders, which the job keeps: ``current`` in it is the one in use.
        train: the experiment of a candidate; its data and split follow from the other settings. What is left out has
            the general default, not that of the model: name the ``experiment.toml`` of a run as ``train.config`` to
            train as that run did.
        check: bounds that a delivery must keep.
        compare: how a candidate is compared with the recommender in use.
        events: the log of events that is read beside the data; None without one.
        export: what is written for other programs when a recommender is promoted.
        keep: number of promoted recommenders that stay in the folder; at least two, so that a program that is reading
            the former one can end.
        warm_start: whether training starts from the vectors of the recommender in use.
    """

    data: str
    folder: InstanceOf[Path]
    train: InstanceOf[Experiment] = Experiment()
    check: CheckSettings = CheckSettings()
    compare: CompareSettings = CompareSettings()
    events: InstanceOf[LogSettings] | None = None
    export: tuple[InstanceOf[ExportSettings], ...] = ()
    keep: Annotated[int, Range(ge=2, le=MAX_COUNT)] = 7
    warm_start: bool = True


def read_settings(path: Path) -> RefreshSettings:
    """Return the settings of a file; paths in it are relative to its own folder.

    Raises:
        FileNotFoundError: there is no such file, or none of the experiment that it names.
        ValueError: it is not TOML, a key is unknown or missing, or a value is of the wrong type or out of range.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; give the path of a .toml file of the nightly job")
    tree = config.toml_tree(path)
    try:
        return _settings(tree, path.parent)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _settings(tree: Mapping[str, Any], base: Path) -> RefreshSettings:
    known = list(RefreshSettings.model_fields)
    for name in tree:
        if name not in known:
            raise SettingError("", f": {unknown_setting(name, known)}")
    data, folder = _text(tree, "data"), _text(tree, "folder")
    settings = RefreshSettings(
        **{
            **tree,
            "data": data if data == "shop" else str(base / data),
            "folder": base / folder,
            "train": _experiment(tree.get("train", {}), base),
            "events": validate(LogSettings, tree["events"], "events").within(base) if "events" in tree else None,
            "export": _exports(tree.get("export", []), base),
        }
    )
    _check_epoch_is_chosen(settings)
    return settings


def _check_epoch_is_chosen(settings: RefreshSettings) -> None:
    train = settings.train
    if settings.compare.valid == 0 and train.training.select == "best" and train.model.name not in BASELINES:
        raise SettingError(
            "compare.valid_days",
            ' is 0, so that nothing chooses the best epoch; set train.training.select = "last", or more days',
        )


def _exports(values: object, base: Path) -> tuple[ExportSettings, ...]:
    if not isinstance(values, list):
        raise SettingError("export", f" is a list of groups of settings, each begun by [[export]], but is {values!r}")
    return tuple(
        validate(ExportSettings, export, f"export[{number}]").within(base) for number, export in enumerate(values)
    )


def _text(tree: Mapping[str, Any], name: str) -> str:
    if name not in tree:
        raise SettingError(name, " has no default; give it a path")
    if not isinstance(tree[name], str) or not tree[name]:
        raise SettingError(name, f" must be a path, but is {tree[name]!r}")
    return str(tree[name])


def _experiment(values: object, base: Path) -> Experiment:
    """Return the experiment of a candidate: that of the file that it names, then what stands beside the name.

    It takes no default of its model, so that the nights before and after a newer version train alike.
    """
    if not isinstance(values, Mapping):
        raise SettingError("train", f" is a group of settings, such as train.model, but is {values!r}")
    for name, instead in _SET_ELSEWHERE.items():
        if name in values:
            raise SettingError(f"train.{name}", f" is not set here; set {instead}")
    experiment = Experiment()
    if "config" in values:
        experiment = config.read(base / _text(values, "config"))
    try:
        experiment = config.changed(experiment, {key: value for key, value in values.items() if key != "config"})
    except SettingError as error:
        raise error.within("train") from None
    except ValueError as error:
        raise ValueError(f"train: {error}") from None
    return with_defaults(with_named(experiment.completed()))
