"""From what a user calls a model to its class, for what looks at the class itself."""

from __future__ import annotations

from flatrec.models import BASELINES, MODELS
from flatrec.models.base import Baseline, Model
from flatrec.utils import user_classes
from flatrec.utils.messages import unknown


def trainable_class(name: str) -> type[Model]:
    """The class of a model that trains.

    Args:
        name: one of ``MODELS``, or ``package.module:Class``, or ``path/to/file.py:Class``; the code there is run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such name, module or class, or it is not a model that trains.
    """
    if name in MODELS:
        return MODELS[name]
    if name in BASELINES:
        raise ValueError(f"{name} needs no training; nothing to check")
    if name.endswith(".py"):
        raise ValueError(f"{name} is a file; name the class in it too, as {name}:Class")
    place, colon, wanted = name.rpartition(":")
    if not colon or not place or not wanted:
        wrong = unknown("model", name.lower(), list(MODELS)).replace(repr(name.lower()), repr(name), 1)
        raise ValueError(f"{wrong}; or give your own as module:Class or file.py:Class")
    found = user_classes.find(user_classes.load(name, "a subclass of flatrec.models.Model"))
    assert found is not None
    if not issubclass(found, (Model, Baseline)):
        bases = ", ".join(one.__name__ for one in found.__bases__)
        raise ValueError(f"{name} must be a subclass of flatrec.models.Model, but is a class derived from {bases}")
    if not issubclass(found, Model):
        raise ValueError(f"{found.__name__} needs no training; nothing to check")
    return found
