"""What a model holds: its state, and whatever stands in plain attributes."""

from __future__ import annotations

import inspect
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

import torch
from numpy import ndarray
from torch import Tensor, nn


def unregistered(model: nn.Module) -> list[str]:
    """Where tensors stand that are neither parameters nor buffers, also inside containers and objects.

    A second name for a parameter is none of them; one for a buffer is, since moving the model parts the two.
    """
    known = {id(one) for one in model.parameters()}
    return [path for path, value in _held(model) if isinstance(value, Tensor) and id(value) not in known]


def snapshot(model: nn.Module, *, opaque: bool = True) -> dict[str, tuple[object, ...]]:
    """The values of all that a model holds, by path; unequal values, unequal entries; its mode is left out.

    Without ``opaque``, so are objects that can only be told apart by how they print, perhaps with an address.
    """
    registered: Iterable[tuple[str, object]] = [*model.named_parameters(), *model.named_buffers()]
    values = {path: _value(one) for path, one in (*registered, *_held(model))}
    return values if opaque else {path: one for path, one in values.items() if one[0] != "object"}


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """The paths at which two snapshots differ."""
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


def _held(model: nn.Module) -> Iterator[tuple[str, object]]:
    """What stands in plain attributes, by path, containers and objects unfolded."""
    seen = {id(module) for module in model.modules()}
    for path, module in model.named_modules():
        for name, value in _attributes(module):
            yield from _leaves(f"{path}.{name}".lstrip("."), value, seen)


def _attributes(module: nn.Module) -> list[tuple[str, object]]:
    own = vars(nn.Module())  # the mode, hooks, and the tables of parameters, buffers and submodules
    return [(name, value) for name, value in vars(module).items() if name not in own]


def _leaves(path: str, value: object, seen: set[int]) -> Iterator[tuple[str, object]]:
    parts = _parts(value)
    if parts is None:
        yield path, value
    elif id(value) not in seen:
        seen.add(id(value))
        for name, part in parts:
            yield from _leaves(path + name, part, seen)


def _parts(value: object) -> list[tuple[str, object]] | None:
    """What a container or object consists of; None for what is one piece."""
    if isinstance(value, nn.Module):
        own = [*value.named_parameters(recurse=False), *value.named_buffers(recurse=False), *value.named_children()]
        return [(f".{name}", part) for name, part in (*own, *_attributes(value))]
    if isinstance(value, Mapping):
        return [(f"[{key!r}]", part) for key, part in value.items()]
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return [(f"[{place}]", part) for place, part in enumerate(value)]
    if _one_piece(value):
        return None
    return [(f".{name}", part) for name, part in vars(value).items() if not _is_cached_property(value, name)]


def _one_piece(value: object) -> bool:
    standard = type(value).__module__.partition(".")[0] in sys.stdlib_module_names  # e.g. a logger
    attributes = getattr(value, "__dict__", None)
    return isinstance(value, (Tensor, ndarray, type)) or standard or not isinstance(attributes, dict)


def _is_cached_property(value: object, name: str) -> bool:
    return isinstance(inspect.getattr_static(type(value), name, None), cached_property)


def _value(one: object) -> tuple[object, ...]:
    if isinstance(one, Tensor):
        dense = one.detach().to_dense() if one.layout != torch.strided else one.detach()
        plain = dense.cpu().contiguous().reshape(-1).view(torch.uint8)
        return ("tensor", tuple(one.shape), str(one.dtype), plain.numpy().tobytes())
    if isinstance(one, ndarray):
        return ("array", one.shape, str(one.dtype), one.tobytes())
    if one is None or isinstance(one, (bool, int, float, complex, str, bytes)):
        return ("scalar", type(one).__name__, repr(one))
    return ("object", repr(one))
