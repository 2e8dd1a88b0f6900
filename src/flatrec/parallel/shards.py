"""The columns of a model's parameters that one process holds, and the whole tensors that are saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from flatrec.models.base import Model
from flatrec.ops.columns import Columns
from flatrec.ops.process_group import ProcessGroup


@dataclass(frozen=True, eq=False)
class Shard:
    """A parameter of which each process holds some columns.

    Args:
        name: its name in the model.
        parameter: the parameter.
        columns: where its columns lie.
        shape: the shape of the whole parameter.
    """

    name: str
    parameter: nn.Parameter
    columns: Columns
    shape: tuple[int, ...]

    def own(self, tensor: Tensor, group: ProcessGroup) -> Tensor:
        """Return the columns of this process, of a whole tensor, in memory of their own."""
        dim, blocks = self.columns
        tables: Tensor = tensor.unflatten(dim, (blocks, -1))
        columns = group.own(tables.shape[dim + 1])
        own = tables.narrow(dim + 1, columns.start, columns.stop - columns.start).flatten(dim, dim + 1)
        return own.clone(memory_format=torch.contiguous_format)

    def whole(self, tensor: Tensor, group: ProcessGroup) -> Tensor:
        """Return the whole tensor, given the columns of this process."""
        dim, blocks = self.columns
        tables: Tensor = tensor.unflatten(dim, (blocks, -1))
        return group.whole(tables, dim + 1).flatten(dim, dim + 1)


class ColumnShards:
    """The columns of a model's parameters that this process holds; from now on the model has no others.

    Args:
        model: the model, whole and equal in all processes.
        group: this process among the others.

    Raises:
        ValueError: the model does not say where the columns of a parameter lie.
    """

    def __init__(self, model: Model, group: ProcessGroup) -> None:
        self.group = group
        trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
        self.shards = [
            Shard(name, parameter, columns_of(model, name), tuple(parameter.shape)) for name, parameter in trained
        ]
        self._by_name = {shard.name: shard for shard in self.shards}
        self.split()

    def split(self) -> None:
        """Leave the model the columns of this process."""
        for shard in self.shards:
            shard.parameter.data = shard.own(shard.parameter.data, self.group)

    def join(self) -> None:
        """Give the model all columns again, in every process.

        Raises:
            LostProcessError: another process is gone.
        """
        for shard in self.shards:
            shard.parameter.data = shard.whole(shard.parameter.data, self.group)

    def whole(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a checkpoint with all columns: on the CPU of the first process, nothing in the others.

        Args:
            tensors: the tensors of this process, by their names in a checkpoint, the same names in all processes.

        Raises:
            LostProcessError: another process is gone.
        """
        found = {}
        for name, tensor in tensors.items():
            shard = self._shard_of(name)
            if shard is not None and tensor.shape == shard.parameter.shape:
                tensor = shard.whole(tensor, self.group)
            if self.group.is_first:
                found[name] = tensor.cpu()
        return found

    def own(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a checkpoint with the columns of this process alone."""
        found = {}
        for name, tensor in tensors.items():
            shard = self._shard_of(name)
            fits = shard is not None and tuple(tensor.shape) == shard.shape
            found[name] = shard.own(tensor, self.group) if shard is not None and fits else tensor
        return found

    def _shard_of(self, name: str) -> Shard | None:
        """The parameter that a tensor of a checkpoint belongs to, by the name that the trainer gives it."""
        section, _, rest = name.partition(".")
        if section in ("model", "best"):
            return self._by_name.get(rest)
        if section == "average":
            return self._by_name.get(rest.removeprefix("mean."))
        number = rest.partition(".")[0] if section == "optimizer" else rest.rpartition(".")[2]
        return self.shards[int(number)] if number.isdigit() and int(number) < len(self.shards) else None


def columns_of(model: Model, name: str) -> Columns:
    """Return where the columns of the embeddings lie in a parameter.

    Raises:
        ValueError: the model does not say so.
    """
    declared: Mapping[str, Columns] = vars(type(model)).get("COLUMNS", {})
    for pattern, columns in declared.items():
        if fnmatchcase(name, pattern):
            return columns
    kind = type(model).__name__
    if not declared:
        raise ValueError(
            f"training.parallel is columns, but the columns of {kind} cannot be shared among processes; set it to "
            "batches, or start a single process"
        )
    raise ValueError(
        f"training.parallel is columns, but {name} of {kind} has no columns to share; set it to batches, or choose "
        "settings of the model without it"
    )
