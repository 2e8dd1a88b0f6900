"""What every study is: which runs it needs, and what it concludes from them."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias, runtime_checkable

import numpy as np
from matplotlib.figure import Figure

from flatrec import config
from flatrec.api import load
from flatrec.config import Component, Experiment
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.formats.encoded import ITEM_IDS, features_for
from flatrec.data.interactions import Interactions
from flatrec.data.splitting import split
from flatrec.inference.run import Run
from flatrec.models import BASELINES, MODELS
from flatrec.registry.instantiate import config_class, strategy_class, strategy_names, with_defaults
from flatrec.registry.naming import import_named
from flatrec.research.reporting.outcome import Image, Table
from flatrec.training import EpochRecord
from flatrec.utils import user_classes
from flatrec.utils.messages import unknown

Label: TypeAlias = str | int | float
Tree: TypeAlias = Mapping[str, Any]  # settings by name, groups within groups


@dataclass(frozen=True)
class Source:
    """Where a run's data come from.

    Args:
        path: what :func:`flatrec.load_data` reads, or ``shop``.
        split: seed of another random split 8:1:1 of the same pairs; None for the split that the data have.
        texts: a ``.npy`` file of other text features, a row an item; by item id where ``flatrec encode`` wrote it.
    """

    path: str
    split: int | None = None
    texts: str | None = None

    def load(self) -> Dataset:
        """The data set; the last few are kept.

        Raises:
            FileNotFoundError: there is no such path.
            ValueError: it cannot be read, or the text features do not fit.
        """
        return _loaded(self)


@lru_cache(maxsize=2)
def _loaded(source: Source) -> Dataset:
    dataset = load(source.path) if source.split is None and source.texts is None else _loaded(Source(source.path))
    if source.split is not None:
        dataset = replace(dataset, interactions=_split_anew(dataset.interactions, source.split))
    if source.texts is not None:
        dataset = dataset.with_features({**dataset.features, "text": _texts(Path(source.texts), dataset)})
    return dataset


def _split_anew(pairs: Interactions, seed: int) -> Interactions:
    order = np.argsort(pairs.keys(pairs.users, pairs.items))
    users, items = pairs.users[order], pairs.items[order]
    return replace(pairs, users=users, items=items, splits=split(users, pairs.n_users, seed))


def _texts(path: Path, dataset: Dataset) -> Features:
    if (path.parent / ITEM_IDS).is_file() and path.name == "text_feat.npy":
        features = features_for(dataset, path.parent)
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
        raise ValueError(f"{path} must hold a row of features an item, but has shape {values.shape}")
    return Features(values.astype(np.float32), np.ones(len(values), dtype=np.bool_))


@dataclass(frozen=True)
class Request:
    """What a user asks a study to look at.

    Args:
        data: paths, or ``shop``.
        models: names.
        strategies: names; the first is what the others are compared with.
        seeds: of the runs.
        base: settings that all runs share. Those of its model, strategy and optimizer go to every one that knows them.
    """

    data: tuple[str, ...]
    models: tuple[str, ...]
    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    base: Experiment = field(default_factory=Experiment)

    def experiment(self, model: str, strategy: str, seed: int, changes: Tree | None = None) -> Experiment:
        """The settings of one run.

        Raises:
            ValueError: an unknown name or setting.
        """
        known = config_class("model", model).model_fields
        of_strategy = config_class("strategy", strategy).model_fields
        one = self.base.replace(
            model=Component(model, {key: value for key, value in self.base.model.options.items() if key in known}),
            strategy=Component(
                strategy, {key: value for key, value in self.base.strategy.options.items() if key in of_strategy}
            ),
            seed=seed,
        )
        return with_defaults(config.changed(one, changes or {}))


@runtime_checkable
class Measure(Protocol):
    """What is measured of a trained run, besides its scores: a frozen dataclass, whose values are its settings."""

    NAME: ClassVar[str]

    def __call__(self, run: Run, experiment: Experiment) -> Mapping[str, Any]:
        """Measure; the outcome must be such that JSON can hold it."""


@dataclass(frozen=True)
class Planned:
    """One run that a study needs.

    Args:
        labels: what it stands for in the tables: ``data``, ``model``, ``strategy``, ``seed`` and what the study varies.
        source: its data.
        experiment: its settings, resolved.
        measures: what is measured of it.
    """

    labels: Mapping[str, Label]
    source: Source
    experiment: Experiment
    measures: tuple[Measure, ...] = ()

    @property
    def name(self) -> str:
        """For people: the labels in a row."""
        named = (f"{key} {value}" if isinstance(value, (int, float)) else value for key, value in self.labels.items())
        return " ".join(named)

    @property
    def folder(self) -> str:
        """Its folder among others: runs of equal settings on equal data share one."""
        one = self.experiment
        model, strategy = (
            Component(user_classes.identity(part.name), part.settings) for part in (one.model, one.strategy)
        )
        told = one.replace(data="", model=model, strategy=strategy)
        settings = json.dumps([asdict(self.source), told.as_dict()], sort_keys=True)
        digest = hashlib.blake2b(settings.encode(), digest_size=6).hexdigest()
        return f"{user_classes.short(one.model.name)}-{user_classes.short(one.strategy.name)}-seed{one.seed}-{digest}"


@dataclass(frozen=True)
class Finished:
    """A run that a study can draw on.

    Args:
        planned: which.
        dataset: the name of its data set.
        fingerprint: of the data.
        result: as in its ``result.json``.
        records: of its epochs.
        measured: by the name of the measure.
    """

    planned: Planned
    dataset: str
    fingerprint: str
    result: Mapping[str, Any]
    records: tuple[EpochRecord, ...] = ()
    measured: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def label(self, name: str) -> Label:
        """What it stands for."""
        return self.planned.labels[name]


@dataclass(frozen=True)
class Conclusion:
    """What a study makes of its runs: tables, figures by their description, and sentences."""

    tables: tuple[Table, ...] = ()
    figures: tuple[tuple[Image, Figure], ...] = ()
    findings: tuple[str, ...] = ()


class Study(ABC):
    """A question of the paper as something to carry out: a recipe over runs.

    A study's settings are the keyword arguments of its constructor.
    """

    TITLE: ClassVar[str]
    QUESTION: ClassVar[str]
    STRATEGIES: ClassVar[tuple[str, ...]]  # that it looks at if nothing else is said
    SEEDS: ClassVar[tuple[int, ...]] = (0, 1, 2, 3, 4)
    LEAST_SEEDS: ClassVar[int] = 2  # for its tests

    @abstractmethod
    def plan(self, request: Request) -> list[Planned]:
        """The runs that it needs.

        Raises:
            ValueError: the request does not suit the study.
        """

    @abstractmethod
    def analyze(self, request: Request, finished: Sequence[Finished]) -> Conclusion:
        """Tables, figures and sentences from what was finished, which may be less than was planned."""


def grid(
    request: Request, variants: Mapping[Label, Tree] | None = None, label: str = "", measures: tuple[Measure, ...] = ()
) -> list[Planned]:
    """A run for each data set, model, strategy and seed, times the variants: changed settings by their label."""
    models, strategies = labels(request)
    return [
        Planned(
            {
                "data": data,
                "model": models[model],
                "strategy": strategies[strategy],
                **({label: variant} if label else {}),
                "seed": seed,
            },
            Source(data),
            request.experiment(model, strategy, seed, changes),
            measures,
        )
        for data in request.data
        for model in request.models
        for variant, changes in (variants or {"": {}}).items()
        for seed in request.seeds
        for strategy in request.strategies
    ]


def labels(request: Request) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What tables call the models and the strategies."""
    return (
        user_classes.labels(request.models, [*MODELS, *BASELINES]),
        user_classes.labels(request.strategies, strategy_names()),
    )


def with_named(request: Request) -> Request:
    """The request as the user names it: classes of the user's own are imported.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such module or class, or it cannot be built from settings.
    """
    return replace(
        request,
        models=tuple(import_named("model", name) for name in request.models),
        strategies=tuple(import_named("strategy", name) for name in request.strategies),
    )


def by_strategy(finished: Sequence[Finished]) -> dict[tuple[str, str], dict[str, list[Finished]]]:
    """Runs by data set and model, then by strategy."""
    groups: dict[tuple[str, str], dict[str, list[Finished]]] = {}
    for one in finished:
        place = (str(one.label("data")), str(one.label("model")))
        groups.setdefault(place, {}).setdefault(str(one.label("strategy")), []).append(one)
    return groups


def named(finished: Sequence[Finished]) -> list[Finished]:
    """Runs whose label ``data`` is the name of the data set instead of what was given, as far as that is as clear."""
    names = {one.label("data"): one.dataset for one in finished}
    if len(set(names.values())) < len(names):
        return list(finished)
    return [
        replace(one, planned=replace(one.planned, labels={**one.planned.labels, "data": one.dataset}))
        for one in finished
    ]


def checked(request: Request, study: type[Study]) -> None:
    """Make sure that a request can be carried out at all.

    Raises:
        ValueError: an unknown strategy or model, one twice, a setting that none of them knows, or too few seeds.
    """
    for what, names in (("data set", request.data), ("model", request.models), ("strategy", request.strategies)):
        if not names or len(set(names)) < len(names):
            raise ValueError(f"a study needs at least one {what} and none twice, but got {', '.join(names) or 'none'}")
    for strategy in request.strategies:
        strategy_class(strategy)
    if len(request.seeds) < study.LEAST_SEEDS or len(set(request.seeds)) < len(request.seeds):
        came = f"{len(set(request.seeds))} ({', '.join(map(str, request.seeds[:10])) or 'none'})"
        raise ValueError(
            f"this study tests differences over seeds and needs at least {study.LEAST_SEEDS} different ones, but got "
            f"{came}; ask for more with --seeds"
        )
    of_models = {key for name in request.models for key in config_class("model", name).model_fields}
    of_strategies = {key for name in request.strategies for key in config_class("strategy", name).model_fields}
    for kind, given, known in (
        ("model", request.base.model.options, of_models),
        ("strategy", request.base.strategy.options, of_strategies),
    ):
        for key in given:
            if key not in known:
                raise ValueError(f"{kind}: {unknown('setting', key, sorted(known))}")
