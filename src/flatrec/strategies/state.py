"""State of strategies, declared as fields of a dataclass, so that the base class saves, loads and resets it.

A vector holds one tensor per parameter, or nothing before its first value. A step assigns new values and never changes
the old tensors in place, so that a step that fails can be undone by assigning the old values again.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from flatrec.ops.param_vector import Vector

Group: TypeAlias = Literal["perturbed", "trained"]

STATE = "state"


class Layout(NamedTuple):
    """Ids of the parameters that a vector's tensors belong to; a parameter keeps its id while others come and go."""

    trained: tuple[int, ...] = ()
    perturbed: tuple[int, ...] = ()

    def ids(self, group: Group) -> tuple[int, ...]:
        """The ids of all trained parameters, or of those that are perturbed."""
        return self.trained if group == "trained" else self.perturbed

    def select_perturbed(self, vector: Vector) -> Vector:
        """The tensors of the perturbed parameters, of a vector over all trained ones; the vector itself if all are."""
        if len(self.perturbed) == len(vector):
            return vector
        chosen = set(self.perturbed)
        return [tensor for number, tensor in zip(self.trained, vector, strict=True) if number in chosen]


@dataclass(frozen=True)
class VectorState:
    """How a vector is laid out: over which parameters, and in which type; None for the type of the parameters.

    ``several`` says that there may be any number of such vectors, in order.
    """

    group: Group
    dtype: torch.dtype | None
    several: bool = False


def state_count(default: int = 0) -> Any:  # noqa: ANN401 - what dataclasses.field returns
    """Declare a whole number of at least 0 that belongs to a checkpoint, such as a count of steps."""
    return field(default=default, init=False, repr=False, metadata={STATE: None})


def state_vector(group: Group = "perturbed", dtype: torch.dtype | None = None) -> Any:  # noqa: ANN401
    """Declare tensors that belong to a checkpoint; empty at first.

    Args:
        group: whether there is one tensor per perturbed parameter or one per trained parameter.
        dtype: type of the tensors; None for the type of the parameters.
    """
    return field(default_factory=list, init=False, repr=False, metadata={STATE: VectorState(group, dtype)})


def state_history(group: Group = "perturbed", dtype: torch.dtype | None = None) -> Any:  # noqa: ANN401
    """Declare a list of vectors that belong to a checkpoint, oldest first; none at first."""
    spec = VectorState(group, dtype, several=True)
    return field(default_factory=list, init=False, repr=False, metadata={STATE: spec})


def buffer() -> Any:  # noqa: ANN401
    """Declare memory that every step overwrites; it is kept only because fresh memory is slow."""
    return field(default_factory=list, init=False, repr=False)


def zeros_like_if_empty(vector: Vector, like: Vector) -> list[Tensor]:
    """Return the vector, with zeros for parameters that joined later; all zeros if it is empty.

    Raises:
        ValueError: the vector belongs to other parameters.
    """
    added = [torch.zeros_like(tensor, memory_format=torch.contiguous_format) for tensor in like[len(vector) :]]
    filled = [*vector, *added]
    if [tensor.shape for tensor in filled] != [tensor.shape for tensor in like]:
        raise ValueError(
            "the strategy's state belongs to other parameters; use a separate strategy object for each model"
        )
    return filled


def buffer_like(memory: Vector, like: Vector) -> Vector:
    """Return the buffer if it fits, else a new one; its content is undefined."""
    if [tensor.shape for tensor in memory] == [tensor.shape for tensor in like]:
        return memory
    return [torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in like]


def reset_state(owner: object) -> None:
    """Set every field that is no setting to its initial value."""
    for entry in _fields(owner):
        if not entry.init:
            setattr(owner, entry.name, entry.default_factory() if callable(entry.default_factory) else entry.default)


def realign_state(owner: object, before: Layout, after: Layout, params: Vector) -> None:
    """Adapt vectors to a change of parameters: tensors of those that left are dropped, those that joined get zeros."""
    values = dict(zip(after.trained, params, strict=True))
    for name, spec in _vectors(owner).items():
        realigned = []
        for label, vector in _labeled(owner, name, spec):
            old = dict(zip(_ids(label, spec, before, vector), vector, strict=True)) if vector else {}
            kept = [old[key] if key in old else _zeros(values[key], spec) for key in after.ids(spec.group)]
            realigned.append(kept if vector else vector)
        setattr(owner, name, realigned if spec.several else realigned[0])


def _labeled(owner: object, name: str, spec: VectorState) -> list[tuple[str, Vector]]:
    """The vector of a field by its name, or the vectors by names such as ``past.0``."""
    value = getattr(owner, name)
    return [(f"{name}.{index}", vector) for index, vector in enumerate(value)] if spec.several else [(name, value)]


def _zeros(parameter: Tensor, spec: VectorState) -> Tensor:
    return torch.zeros_like(parameter, dtype=spec.dtype, memory_format=torch.contiguous_format)


def pack_state(owner: object, layout: Layout | None) -> dict[str, Tensor]:
    """Return the state as tensors by name, such as ``steps``, ``mean.0``, ``mean.1``, with the ids of parameters.

    In a name such as ``past.2.0`` of a history, the index of the vector comes before the id.
    """
    packed = {entry.name: torch.tensor(getattr(owner, entry.name)) for entry in _fields(owner) if _is_count(entry)}
    for name, spec in _vectors(owner).items():
        for label, vector in _labeled(owner, name, spec):
            ids = _ids(label, spec, layout, vector) if layout is not None else range(len(vector))
            packed |= {f"{label}.{number}": tensor for number, tensor in zip(ids, vector, strict=True)}
    return packed


def _ids(name: str, spec: VectorState, layout: Layout, vector: Vector) -> tuple[int, ...]:
    ids = layout.ids(spec.group) if vector else ()
    if len(ids) != len(vector):
        raise ValueError(
            f"{name} must hold one tensor per {spec.group} parameter, {len(ids)} of them, but holds {len(vector)}; "
            "declare it as state_vector(group='perturbed') or state_vector(group='trained')"
        )
    return ids


class UnpackedState(NamedTuple):
    """The checked values of a saved state."""

    values: Mapping[str, int | list[Tensor] | list[list[Tensor]]]
    layout: Layout


def unpack_state(owner: object, state: Mapping[str, Tensor], params: Sequence[Tensor]) -> UnpackedState:
    """Check what :func:`pack_state` returned, given every parameter in order of ids, and return the fields' values.

    Raises:
        ValueError: a name, shape or type does not fit.
    """
    values: dict[str, int | list[Tensor] | list[list[Tensor]]] = {
        entry.name: _count(entry.name, state.get(entry.name)) for entry in _fields(owner) if _is_count(entry)
    }
    layout, known = Layout(), set(values)
    for name, spec in _vectors(owner).items():
        vectors = []
        for label in _labels(name, spec, state):
            names = {f"{label}.{number}": number for number in range(len(params)) if f"{label}.{number}" in state}
            ids = tuple(names.values())
            known |= set(names)
            vectors.append([_tensor(key, state[key], params[number], spec) for key, number in names.items()])
            if ids and layout.ids(spec.group) not in ((), ids):
                raise _mismatch(f"{label} is there for other parameters than the rest")
            if ids:
                layout = layout._replace(**{spec.group: ids})
        values[name] = vectors if spec.several else vectors[0]
    unknown = sorted(set(state) - known)
    if unknown:
        raise _mismatch(f"there is no field for {unknown[0]!r}")
    return UnpackedState(values, layout)


def _labels(name: str, spec: VectorState, state: Mapping[str, Tensor]) -> list[str]:
    """The names of the vectors of a field in a saved state, without gaps."""
    if not spec.several:
        return [name]
    prefixes = {key.rpartition(".")[0] for key in state}
    return list(itertools.takewhile(prefixes.__contains__, (f"{name}.{index}" for index in itertools.count())))


def _count(name: str, value: Tensor | None) -> int:
    if value is None or value.shape != () or value.dtype != torch.int64 or value < 0:
        raise _mismatch(f"{name!r} must be a single whole number of at least 0")
    return int(value)


def _tensor(name: str, value: Tensor, parameter: Tensor, spec: VectorState) -> Tensor:
    dtype = spec.dtype or parameter.dtype
    if value.shape != parameter.shape or value.dtype != dtype:
        raise _mismatch(
            f"{name!r} must have shape {tuple(parameter.shape)} and type {dtype}, but has {tuple(value.shape)} and "
            f"{value.dtype}"
        )
    return value.clone(memory_format=torch.contiguous_format)


def _mismatch(reason: str) -> ValueError:
    return ValueError(f"the saved state is not that of this strategy and model: {reason}; load the one they wrote")


def _fields(owner: object) -> Sequence[Field[Any]]:
    return fields(owner) if is_dataclass(owner) else ()


def _is_count(entry: Field[Any]) -> bool:
    return STATE in entry.metadata and entry.metadata[STATE] is None


def _vectors(owner: object) -> dict[str, VectorState]:
    return {
        entry.name: entry.metadata[STATE]
        for entry in _fields(owner)
        if isinstance(entry.metadata.get(STATE), VectorState)
    }
