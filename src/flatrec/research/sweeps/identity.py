"""What the trials of a sweep were made with, so that a sweep never uses the trials of another one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter, ValidationError

from flatrec import config
from flatrec.config import Experiment
from flatrec.data.dataset import Dataset
from flatrec.research.sweeps.space import Space
from flatrec.utils import user_classes

VERSION = 1  # of this record
FREE = (  # settings that change no score
    "data",
    "training.checkpoint_every",
    "training.log_recommender",
    "training.loggers",
)
NAMES = ("model.name", "strategy.name")  # a user's own class is the same one wherever its file lies
GROUPS = ("model", "strategy", "optimizer")
MAX_DIFFERENCES, MAX_CHARACTERS = 3, 60  # in a message, and of a value there


@dataclass(frozen=True)
class Identity:
    """All that decides the score of a trial, except the values that it tries.

    Args:
        data: name of the data set, for messages.
        fingerprint: fingerprint of the data.
        monitor: metric by which trials are scored.
        sampler: name of the sampler.
        settings: settings that are not tried, as JSON, by dotted name.
        space: settings that are tried, as JSON, by dotted name.
        version: version of this record.
    """

    data: str
    fingerprint: str
    monitor: str
    sampler: str
    settings: Mapping[str, str]
    space: Mapping[str, str]
    version: int = VERSION

    @classmethod
    def of(cls, experiment: Experiment, dataset: Dataset, space: Space, *, monitor: str, sampler: str) -> Identity:
        """Return the identity of a sweep.

        Args:
            experiment: all settings, with defaults.
            dataset: data of the sweep.
            space: settings that are tried.
            monitor: metric by which trials are scored.
            sampler: name of the sampler.
        """
        decisive = {f"evaluation.{name}": value for name, value in experiment.evaluation.decisive.items()}
        settings = {
            name: decisive.get(name) if name.startswith("evaluation.") else value
            for name, value in config.settings(experiment).items()
        }
        fixed = {
            name: json.dumps(user_classes.identity(value) if name in NAMES else value)
            for name, value in settings.items()
            if name not in space and name not in FREE and value is not None
        }
        tried = {name: _dimension_text(asdict(dimension)) for name, dimension in space.items()}
        return cls(dataset.name, dataset.fingerprint, monitor, sampler, fixed, tried)

    @property
    def digest(self) -> str:
        """Digest that is equal for sweeps that may share their trials, whatever their data set is called."""
        text = json.dumps({**asdict(self), "data": ""}, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    def differences_except_space(self, other: Identity) -> str:
        """Say how another identity differs in anything but the values tried; empty if it does not."""
        if self.version != other.version:
            return "it was written by another version of flatrec"
        return _listed(_differences(other, self))


def read_identity(record: object) -> Identity | None:
    """Read an identity from a store; None where the record is not one."""
    try:
        return TypeAdapter(Identity).validate_python(record)
    except ValidationError:
        return None


def _dimension_text(dimension: Mapping[str, object]) -> str:
    """Return the values of choices, or the ends of a range."""
    return json.dumps(dimension.get("values", dimension))


def _differences(before: Identity, now: Identity) -> Iterator[str]:
    if before.fingerprint != now.fingerprint:
        renamed = f"data was {before.data}, now {now.data}"
        same = f"data {now.data} has other interactions, splits, ids or features now"
        fingerprints = f"fingerprint was {before.fingerprint[:8]}, now {now.fingerprint[:8]}"
        yield f"{renamed if before.data != now.data else same} ({fingerprints})"
    if before.space.keys() != now.space.keys():
        yield f"what is tried was {_names(before.space)}, now {_names(now.space)}"
    old, new = before.settings, now.settings
    others = [group for group in GROUPS if old.get(f"{group}.name") != new.get(f"{group}.name")]
    for name in dict.fromkeys((*(f"{group}.name" for group in others), *old, *new)):
        of_another = name.split(".")[0] in others and not name.endswith(".name")
        tried = name in before.space or name in now.space
        if old.get(name) != new.get(name) and not of_another and not tried:
            yield f"{name} was {_value(old, name)}, now {_value(new, name)}"
    for name in ("sampler", "monitor"):
        if (was := getattr(before, name)) != (becomes := getattr(now, name)):
            yield f"{name} was {was}, now {becomes}"


def _names(space: Mapping[str, str]) -> str:
    names = sorted(space)
    return ", ".join(names[:MAX_DIFFERENCES]) + (
        f" and {len(names) - MAX_DIFFERENCES} more" if len(names) > MAX_DIFFERENCES else ""
    )


def _value(settings: Mapping[str, str], name: str) -> str:
    text = settings.get(name, "not set")
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 1]}…"


def _listed(differences: Iterator[str]) -> str:
    texts: Sequence[str] = list(differences)
    rest = f"; and {len(texts) - MAX_DIFFERENCES} more" if len(texts) > MAX_DIFFERENCES else ""
    return "; ".join(texts[:MAX_DIFFERENCES]) + rest
