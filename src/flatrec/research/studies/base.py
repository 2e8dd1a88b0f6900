"""What a study is: the runs that it plans, and the analysis of finished runs."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias, runtime_checkable

import numpy as np
from matplotlib.figure import Figure

from flatrec import config
from flatrec.api import load
from flatrec.config import Component, Experiment, SplitSettings
from flatrec.config.old_words import unknown_setting
from flatrec.data.dataset import Dataset
from flatrec.data.encoded_items import ITEM_IDS, encoded_features
from flatrec.data.features import Features
from flatrec.inference.run import Run
from flatrec.models import BASELINES, MODELS
from flatrec.registry.instantiate import config_class, strategy_class, strategy_names, with_defaults
from flatrec.registry.naming import import_loggers, import_metrics, import_named
from flatrec.research.reporting.study_result import CardColumn, Image, Table
from flatrec.training import EpochRecord
from flatrec.utils import user_classes

REPORTED = ("recall", "ndcg")  # metrics that every study needs
Label: TypeAlias = str | int | float
Tree: TypeAlias = Mapping[str, Any]  # settings by name, groups within groups


@dataclass(frozen=True)
class Source:
    """Where the data of a run come from.

    Args:
        data: path of a data set that :func:`flatrec.load_data` reads, or ``shop``; or a data set in memory.
        split: how the interactions are split; what is left out is as the data say.
        texts: ``.npy`` file of other text features, one row per item; matched by item id if ``flatrec encode`` wrote
            it.
    """

    data: str | Dataset
    split: SplitSettings = SplitSettings()
    texts: str | None = None

    @property
    def label(self) -> str:
        """The path, or the name of a data set in memory with the first digits of its fingerprint."""
        return self.data if isinstance(self.data, str) else f"{self.data.name} ({self.data.fingerprint[:8]})"

    @property
    def identity(self) -> dict[str, Any]:
        """What tells the source from all others, as plain data."""
        data = self.data if isinstance(self.data, str) else f"fingerprint {self.data.fingerprint}"
        return {"data": data, "split": self.split.as_dict(), "texts": self.texts}

    def load(self) -> Dataset:
        """Load the data set; the last two stay in memory.

        Raises:
            FileNotFoundError: there is no such path.
            ValueError: it cannot be read, or the text features do not fit.
        """
        return _load(self)


@lru_cache(maxsize=2)
def _load(source: Source) -> Dataset:
    data = source.data
    if isinstance(data, Dataset):
        dataset = data.split_again(source.split)
    else:
        plain = Source(data)
        dataset = load(data) if source == plain else _load(plain).split_again(source.split)
    if source.texts is not None:
        dataset = dataset.with_features({**dataset.features, "text": _text_features(Path(source.texts), dataset)})
    return dataset


def _text_features(path: Path, dataset: Dataset) -> Features:
    if (path.parent / ITEM_IDS).is_file() and path.name == "text_feat.npy":
        features = encoded_features(dataset, path.parent)
        if "text" in features:
            return features["text"]
        raise FileNotFoundError(f"{path} does not exist; write it with flatrec encode --text-column")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; name a .npy file of text features")
    try:
        values = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"{path} is not a .npy file of numbers ({error})") from None
    if values.ndim != 2:
        raise ValueError(f"{path} must hold one row of features per item, but has shape {values.shape}")
    return Features(values.astype(np.float32), np.ones(len(values), dtype=np.bool_))


@dataclass(frozen=True)
class Request:
    """What a user asks a study to look at.

    Args:
        data: paths of data sets, or ``shop``; or data sets in memory, which travel to the workers.
        models: names of models; if empty, that of ``base``.
        strategies: names of strategies; the first is the one that others are compared with. If empty, those of the
            study.
        seeds: seeds of the runs; if empty, those of the study.
        base: settings that all runs share. Those of its model, strategy and optimizer go to every one that has them.
    """

    data: tuple[str | Dataset, ...] = ("shop",)
    models: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    base: Experiment = field(default_factory=Experiment)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where the data of the runs come from, split as ``base`` says."""
        return tuple(Source(data, self.base.split) for data in self.data)

    def completed(self, study: type[Study]) -> Request:
        """Return the request with the defaults of a study, and with the user's own classes imported.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: there is no such module or class, or it cannot be built from settings; or a metric that studies
                report is left out.
        """
        evaluation = self.base.evaluation
        if missing := [name for name in REPORTED if name not in evaluation.metrics]:
            raise ValueError(f"studies report {' and '.join(REPORTED)}; add {missing[0]} to evaluation.metrics")
        return replace(
            self,
            base=self.base.replace(
                evaluation=evaluation.replace(metrics=import_metrics(evaluation.metrics)),
                training=import_loggers(self.base.training),
            ),
            models=tuple(import_named("model", name) for name in self.models or (self.base.model.name,)),
            strategies=tuple(import_named("strategy", name) for name in self.strategies or study.STRATEGIES),
            seeds=self.seeds or study.SEEDS,
        )

    def experiment(self, model: str, strategy: str, seed: int, changes: Tree | None = None) -> Experiment:
        """Return the settings of one run.

        Raises:
            ValueError: an unknown name or setting.
        """
        of_model = config_class("model", model).model_fields
        of_strategy = config_class("strategy", strategy).model_fields
        experiment = self.base.replace(
            model=Component(model, {key: value for key, value in self.base.model.options.items() if key in of_model}),
            strategy=Component(
                strategy, {key: value for key, value in self.base.strategy.options.items() if key in of_strategy}
            ),
            seed=seed,
        )
        return with_defaults(config.changed(experiment, changes or {}))


@runtime_checkable
class Measure(Protocol):
    """Measurement of a trained run besides its scores: a frozen dataclass, whose fields are its settings."""

    NAME: ClassVar[str]

    def __call__(self, run: Run, experiment: Experiment) -> Mapping[str, Any]:
        """Return what is measured, as plain data that JSON can hold."""


@dataclass(frozen=True)
class PlannedRun:
    """One run that a study needs.

    Args:
        labels: what the run stands for in tables: ``data``, ``model``, ``strategy``, ``seed`` and what the study
            varies.
        source: data of the run.
        experiment: settings of the run, with defaults.
        measures: what is measured of the trained run.
    """

    labels: Mapping[str, Label]
    source: Source
    experiment: Experiment
    measures: tuple[Measure, ...] = ()

    @property
    def name(self) -> str:
        """Name for people: all labels."""
        parts = (f"{key} {value}" if isinstance(value, (int, float)) else value for key, value in self.labels.items())
        return " ".join(parts)

    @property
    def folder(self) -> str:
        """Name of its run folder; runs of equal settings on equal data share one, wherever they are logged."""
        experiment = self.experiment
        model, strategy = (
            Component(user_classes.identity(component.name), component.settings)
            for component in (experiment.model, experiment.strategy)
        )
        identity = experiment.replace(data="", model=model, strategy=strategy)
        training = identity.training.as_dict()
        training["tensorboard"] = "tensorboard" in training.pop("loggers")  # so are the folders of before named
        del training["log_recommender"]
        tree = identity.as_dict() | {"training": training, "evaluation": experiment.evaluation.decisive}
        settings = json.dumps([self.source.identity, tree], sort_keys=True)
        digest = hashlib.blake2b(settings.encode(), digest_size=6).hexdigest()
        names = (user_classes.short(experiment.model.name), user_classes.short(experiment.strategy.name))
        return f"{'-'.join(names)}-seed{experiment.seed}-{digest}"


@dataclass(frozen=True)
class FinishedRun:
    """A run that a study can analyze.

    Args:
        planned: the planned run.
        dataset: name of the data set.
        fingerprint: fingerprint of the data.
        result: content of its ``result.json``.
        records: records of its epochs.
        measured: measured values by the name of the measure.
    """

    planned: PlannedRun
    dataset: str
    fingerprint: str
    result: Mapping[str, Any]
    records: tuple[EpochRecord, ...] = ()
    measured: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def label(self, name: str) -> Label:
        """Return a label, which says what the run stands for."""
        return self.planned.labels[name]


@dataclass(frozen=True)
class StudyRuns:
    """What a study analyzes: the request, and the runs that are finished, which may be fewer than planned."""

    request: Request
    finished: Sequence[FinishedRun]


@dataclass(frozen=True)
class Analysis:
    """What a study makes of its runs: tables, figures with their description, sentences, and columns for cards."""

    tables: tuple[Table, ...] = ()
    figures: tuple[tuple[Image, Figure], ...] = ()
    findings: tuple[str, ...] = ()
    card_columns: tuple[CardColumn, ...] = ()


class Study(ABC):
    """A research question as a plan of runs and their analysis.

    The settings of a study are the keyword arguments of its constructor.
    """

    NAME: ClassVar[str]
    TITLE: ClassVar[str]
    QUESTION: ClassVar[str]
    STRATEGIES: ClassVar[tuple[str, ...]]  # default strategies
    SEEDS: ClassVar[tuple[int, ...]] = (0, 1, 2, 3, 4)  # default seeds
    MIN_SEEDS: ClassVar[int] = 2  # seeds that its tests need

    @abstractmethod
    def plan(self, request: Request) -> list[PlannedRun]:
        """Plan the runs that the study needs.

        Raises:
            ValueError: the request does not suit the study.
        """

    @abstractmethod
    def analyze(self, runs: StudyRuns) -> Analysis:
        """Make tables, figures, sentences and card columns of the finished runs."""


def grid(
    request: Request, variants: Mapping[Label, Tree] | None = None, label: str = "", measures: tuple[Measure, ...] = ()
) -> list[PlannedRun]:
    """Plan one run for each data set, model, strategy and seed, times the variants: changed settings by their label."""
    models = user_classes.labels(request.models, [*MODELS, *BASELINES])
    strategies = user_classes.labels(request.strategies, strategy_names())
    return [
        PlannedRun(
            {
                "data": source.label,
                "model": models[model],
                "strategy": strategies[strategy],
                **({label: variant} if label else {}),
                "seed": seed,
            },
            source,
            request.experiment(model, strategy, seed, changes),
            measures,
        )
        for source in request.sources
        for model in request.models
        for variant, changes in (variants or {"": {}}).items()
        for seed in request.seeds
        for strategy in request.strategies
    ]


def group_by_strategy(finished: Sequence[FinishedRun]) -> dict[tuple[str, str], dict[str, list[FinishedRun]]]:
    """Group runs by data set and model, then by strategy."""
    groups: dict[tuple[str, str], dict[str, list[FinishedRun]]] = {}
    for run in finished:
        place = (str(run.label("data")), str(run.label("model")))
        groups.setdefault(place, {}).setdefault(str(run.label("strategy")), []).append(run)
    return groups


def name_data_sets(finished: Sequence[FinishedRun]) -> list[FinishedRun]:
    """Label runs with the names of their data sets instead of paths, unless two data sets have the same name."""
    names = {run.label("data"): run.dataset for run in finished}
    if len(set(names.values())) < len(names):
        return list(finished)
    return [
        replace(run, planned=replace(run.planned, labels={**run.planned.labels, "data": run.dataset}))
        for run in finished
    ]


def check_request(request: Request, study: type[Study]) -> None:
    """Make sure that a request can be run at all.

    Raises:
        ValueError: an unknown strategy or model, a name given twice, a setting that none of them has, or too few seeds.
    """
    labels = tuple(source.label for source in request.sources)
    for what, names in (("data set", labels), ("model", request.models), ("strategy", request.strategies)):
        if not names or len(set(names)) < len(names):
            raise ValueError(f"a study needs at least one {what} and none twice, but got {', '.join(names) or 'none'}")
    for strategy in request.strategies:
        strategy_class(strategy)
    if len(request.seeds) < study.MIN_SEEDS or len(set(request.seeds)) < len(request.seeds):
        seeds = f"{len(set(request.seeds))} ({', '.join(map(str, request.seeds[:10])) or 'none'})"
        raise ValueError(
            f"this study tests differences over seeds and needs at least {study.MIN_SEEDS} different ones, but got "
            f"{seeds}; ask for more with --seeds"
        )
    of_models = {key for name in request.models for key in config_class("model", name).model_fields}
    of_strategies = {key for name in request.strategies for key in config_class("strategy", name).model_fields}
    for kind, options, names_of_kind in (
        ("model", request.base.model.options, of_models),
        ("strategy", request.base.strategy.options, of_strategies),
    ):
        for key in options:
            if key not in names_of_kind:
                raise ValueError(f"{kind}: {unknown_setting(key, sorted(names_of_kind))}")
