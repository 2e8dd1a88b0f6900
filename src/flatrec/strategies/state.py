"""What strategies remember between steps: declared as fields, so that saving, loading and forgetting are done once.

A strategy that remembers something is a dataclass, and what it remembers are fields made here. A vector holds one
tensor a parameter, or none before anything is put in. A step assigns new values and never changes the old ones in
place, so that a step that is given up can be undone by taking the old ones back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from flatrec.ops.param_vector import Vector

Parameters: TypeAlias = Literal["perturbed", "trained"]

KEPT = "kept"


class Layout(NamedTuple):
    """Whose the entries of a vector are: numbers that stay a parameter's own while others come and go."""

    trained: tuple[int, ...] = ()
    perturbed: tuple[int, ...] = ()

    def of(self, which: Parameters) -> tuple[int, ...]:
        """The numbers of all trained parameters or of those that are perturbed."""
        return self.trained if which == "trained" else self.perturbed


@dataclass(frozen=True)
class Kept:
    """How a vector is laid out: whose, and in which type; None for the parameters' own."""

    of: Parameters
    dtype: torch.dtype | None


def remembered_number(default: int = 0) -> Any:  # noqa: ANN401 - what dataclasses.field returns
    """A field for a whole number of at least 0 that belongs to a checkpoint, such as a count of steps."""
    return field(default=default, init=False, metadata={KEPT: None})


def remembered_vector(of: Parameters = "perturbed", dtype: torch.dtype | None = None) -> Any:  # noqa: ANN401
    """A field for tensors that belong to a checkpoint; empty at first.

    Args:
        of: one tensor for each perturbed parameter, as ``ascent`` sees them, or for each trained one.
        dtype: of the tensors, where it is not the parameter's.
    """
    return field(default_factory=list, init=False, repr=False, metadata={KEPT: Kept(of, dtype)})


def buffer() -> Any:  # noqa: ANN401
    """A field for memory that is written again at every step and only kept because fresh memory is slow."""
    return field(default_factory=list, init=False, repr=False)


def zeros_like_if_empty(memory: Vector, like: Vector) -> list[Tensor]:
    """The remembered vector, with zeros for parameters that came later; at first all are zeros.

    Raises:
        ValueError: it was remembered for other parameters.
    """
    zeros_like_if_empty = [
        *memory,
        *(torch.zeros_like(part, memory_format=torch.contiguous_format) for part in like[len(memory) :]),
    ]
    if [one.shape for one in zeros_like_if_empty] != [one.shape for one in like]:
        raise ValueError(
            "what the strategy remembers belongs to other parameters; use a strategy of its own for each model"
        )
    return zeros_like_if_empty


def room(memory: Vector, like: Vector) -> Vector:
    """The buffer where it fits, else a new one; what it holds is of no account."""
    if [one.shape for one in memory] == [one.shape for one in like]:
        return memory
    return [torch.empty_like(part, memory_format=torch.contiguous_format) for part in like]


def forget(owner: object) -> None:
    """Put every field that is no setting back to its beginning."""
    for one in _fields(owner):
        if not one.init:
            setattr(owner, one.name, one.default_factory() if callable(one.default_factory) else one.default)


def realign(owner: object, before: Layout, after: Layout, params: Vector) -> None:
    """Let vectors follow a change of parameters: those that left are dropped, those that joined begin at zero."""
    values = dict(zip(after.trained, params, strict=True))
    for name, kept in _vectors(owner).items():
        vector = getattr(owner, name)
        if vector:
            known = dict(zip(_owners(name, kept, before, vector), vector, strict=True))
            numbers = after.of(kept.of)
            setattr(owner, name, [known[one] if one in known else _zero(values[one], kept) for one in numbers])


def _zero(parameter: Tensor, kept: Kept) -> Tensor:
    return torch.zeros_like(parameter, dtype=kept.dtype, memory_format=torch.contiguous_format)


def pack_state(owner: object, layout: Layout | None) -> dict[str, Tensor]:
    """All that is remembered by name, such as ``steps``, ``mean.0``, ``mean.1``; numbers are the parameters'."""
    found = {one.name: torch.tensor(getattr(owner, one.name)) for one in _fields(owner) if _is_number(one)}
    for name, kept in _vectors(owner).items():
        vector = getattr(owner, name)
        numbers = _owners(name, kept, layout, vector) if layout is not None else range(len(vector))
        found |= {f"{name}.{number}": part for number, part in zip(numbers, vector, strict=True)}
    return found


def _owners(name: str, kept: Kept, layout: Layout, vector: Vector) -> tuple[int, ...]:
    """The numbers of the parameters that the entries belong to."""
    numbers = layout.of(kept.of) if vector else ()
    if len(numbers) != len(vector):
        raise ValueError(
            f"{name} must hold one tensor for each {kept.of} parameter, {len(numbers)} of them, but holds "
            f"{len(vector)}; declare it as remembered_vector(of='perturbed') or of='trained'"
        )
    return numbers


class Loaded(NamedTuple):
    """What a saved state says, checked."""

    values: Mapping[str, int | list[Tensor]]
    layout: Layout


def unpack_state(owner: object, state: Mapping[str, Tensor], params: Sequence[Tensor]) -> Loaded:
    """The saved values of every field.

    Args:
        owner: the strategy.
        state: what :func:`pack_state` gave.
        params: every parameter in the order of its number.

    Raises:
        ValueError: a name, shape or type that does not fit.
    """
    values: dict[str, int | list[Tensor]] = {
        one.name: _whole(one.name, state.get(one.name)) for one in _fields(owner) if _is_number(one)
    }
    layout, known = Layout(), set(values)
    for name, kept in _vectors(owner).items():
        names = {f"{name}.{number}": number for number in range(len(params)) if f"{name}.{number}" in state}
        numbers = tuple(names.values())
        known |= set(names)
        values[name] = [_fitting(key, state[key], params[number], kept) for key, number in names.items()]
        if numbers and layout.of(kept.of) not in ((), numbers):
            raise _misfit(f"{name} is there for other parameters than the rest")
        if numbers:
            layout = layout._replace(**{kept.of: numbers})
    strangers = sorted(set(state) - known)
    if strangers:
        raise _misfit(f"there is no place for {strangers[0]!r}")
    return Loaded(values, layout)


def _whole(name: str, value: Tensor | None) -> int:
    if value is None or value.shape != () or value.dtype != torch.int64 or value < 0:
        raise _misfit(f"{name!r} must be one whole number of at least 0")
    return int(value)


def _fitting(name: str, value: Tensor, parameter: Tensor, kept: Kept) -> Tensor:
    wanted = kept.dtype or parameter.dtype
    if value.shape != parameter.shape or value.dtype != wanted:
        raise _misfit(
            f"{name!r} must have shape {tuple(parameter.shape)} and type {wanted}, but has {tuple(value.shape)} and "
            f"{value.dtype}"
        )
    return value.clone(memory_format=torch.contiguous_format)


def _misfit(reason: str) -> ValueError:
    return ValueError(f"the saved state is not that of this strategy and model: {reason}; load the one they wrote")


def _fields(owner: object) -> Sequence[Field[Any]]:
    return fields(owner) if is_dataclass(owner) else ()


def _is_number(one: Field[Any]) -> bool:
    return KEPT in one.metadata and one.metadata[KEPT] is None


def _vectors(owner: object) -> dict[str, Kept]:
    return {one.name: one.metadata[KEPT] for one in _fields(owner) if isinstance(one.metadata.get(KEPT), Kept)}
