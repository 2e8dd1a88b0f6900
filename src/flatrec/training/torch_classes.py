"""Classes of a module of torch by name, so that what a newer torch adds is known too."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def classes_by_name(module: ModuleType, base: type[T], unsuitable: Collection[str]) -> dict[str, type[T]]:
    """Return the classes of a module that derive from another one, by lower-case name, but for unsuitable ones."""
    classes = {name: one for name, one in vars(module).items() if inspect.isclass(one)}
    return {
        name.lower(): one for name, one in sorted(classes.items()) if issubclass(one, base) and name not in unsuitable
    }
