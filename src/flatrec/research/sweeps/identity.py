"""What the trials of a sweep were made with, so that those of another are never taken for its own."""

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

VERSION = 1  # of what is written down
FREE = ("data", "training.checkpoint_every", "training.tensorboard")  # settings that change no score
NAMES = ("model.name", "strategy.name")  # a class of the user's own is the same one wherever its file lies
GROUPS = ("model", "strategy", "optimizer")
MOST, LONGEST = 3, 60  # differences that a message names, characters of a value


@dataclass(frozen=True)
class Identity:
    """All that decides what a trial scores, but for the values that it tries.

    Args:
        data: the data set's name, for messages.
        fingerprint: of the data.
        monitor: the metric by which trials are judged.
        sampler: who proposes.
        settings: those that are not tried, as JSON, by dotted name.
        space: what is tried, as JSON, by dotted name.
        version: of this record.
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
        """That of a sweep.

        Args:
            experiment: resolved.
            dataset: its data.
            space: what is tried.
            monitor: the metric by which trials are judged.
            sampler: who proposes.
        """
        fixed = {
            name: json.dumps(user_classes.identity(value) if name in NAMES else value)
            for name, value in config.settings(experiment).items()
            if name not in space and name not in FREE
        }
        tried = {name: _written(asdict(one)) for name, one in space.items()}
        return cls(dataset.name, dataset.fingerprint, monitor, sampler, fixed, tried)

    @property
    def digest(self) -> str:
        """Equal for sweeps that may share their trials, whatever their data set is called."""
        text = json.dumps({**asdict(self), "data": ""}, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    def but_for_space(self, other: Identity) -> str:
        """In what the other was made otherwise, the values tried left out; empty if in nothing."""
        if self.version != other.version:
            return "it was written by another version of flatrec"
        return _listed(_differences(other, self))


def read(record: object) -> Identity | None:
    """An identity from a store; None where it is none."""
    try:
        return TypeAdapter(Identity).validate_python(record)
    except ValidationError:
        return None


def _written(dimension: Mapping[str, object]) -> str:
    """The values of choices, or the ends of a range."""
    return json.dumps(dimension.get("values", dimension))


def _differences(before: Identity, now: Identity) -> Iterator[str]:
    if before.fingerprint != now.fingerprint:
        renamed = f"data was {before.data}, now {now.data}"
        same = f"data {now.data} has other pairs, split, ids or features now"
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
    return ", ".join(names[:MOST]) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")


def _value(settings: Mapping[str, str], name: str) -> str:
    text = settings.get(name, "not set")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _listed(differences: Iterator[str]) -> str:
    found: Sequence[str] = list(differences)
    more = f"; and {len(found) - MOST} more" if len(found) > MOST else ""
    return "; ".join(found[:MOST]) + more
