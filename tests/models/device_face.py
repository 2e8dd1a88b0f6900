"""Tensors that are said to be on ``meta`` and compute on the CPU: what another device than the CPU would compute."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

META = torch.device("meta")
# The processor waits for a device that it asks for a number, or for a size that follows from values.
READINGS = {
    "_local_scalar_dense", "_unique2", "bincount", "equal", "masked_select", "nonzero", "unique_consecutive",
    "unique_dim",
}  # fmt: skip
INDEXED = {"_index_put_impl_", "index", "index_put", "index_put_"}
COPIES = {"_to_copy", "copy_"}


class There(Tensor):
    """A tensor there, whose numbers are ``here``."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> There:
        sizes = {"strides": here.stride(), "storage_offset": here.storage_offset(), "dtype": here.dtype}
        there = torch.Tensor._make_wrapper_subclass(cls, here.shape, device=META, **sizes)
        there.here = here
        return there

    @property
    def data(self) -> There:
        """The numbers, which strategies exchange."""
        return There(self.here)

    @data.setter
    def data(self, value: There) -> None:
        self.here = value.here

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return Face().__torch_dispatch__(operation, types, args, kwargs)


class Face(TorchDispatchMode):
    """Context manager in which ``meta`` computes; it counts the waits, and refuses tensors of both devices at once."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = operation.overloadpacket.__name__
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        there = [one for one in tensors if isinstance(one, There)]
        if there:
            self._check(name, tensors)
            if _waits(name, args, kwargs):
                self.waits.append(name)
        named = kwargs.get("device")
        moved = {**kwargs, "device": torch.device("cpu")} if named is not None else kwargs
        result = operation(*tree_map(_here, args), **tree_map(_here, moved))
        if "out" in kwargs:
            return kwargs["out"]
        if name.endswith("_"):
            return None if result is None else args[0]
        is_there = bool(there) if named is None else torch.device(named).type == "meta"
        return tree_map(_there, result) if is_there else result

    def _check(self, name: str, tensors: list[Tensor]) -> None:
        """A GPU takes scalars of the CPU, and indices of the CPU to read by; nothing else of another device."""
        others = [one for one in tensors if not isinstance(one, There) and one.dim() > 0]
        assert not others or name in COPIES | INDEXED, f"{name} of tensors of two devices"


def to_meta(model: nn.Module) -> nn.Module:
    """Move a model to the device that computes."""
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            module._parameters[name] = nn.Parameter(There(parameter.data), parameter.requires_grad)
        for name, buffer in list(module.named_buffers(recurse=False)):
            module._buffers[name] = There(buffer)
    return model


def numbers(tensors: Iterator[Tensor]) -> Tensor:
    """Return the numbers of tensors of any device as one vector."""
    return torch.cat([_here(one).detach().flatten() for one in tensors])


def _here(one):
    return one.here if isinstance(one, There) else one


def _there(one):
    if not isinstance(one, Tensor) or isinstance(one, There):
        return one
    return There(one.resolve_conj().resolve_neg())  # torch asks the tensor there whether its numbers are conjugated


def _waits(name: str, args, kwargs) -> bool:
    if name in READINGS:
        return True
    if name == "repeat_interleave":
        return kwargs.get("output_size") is None
    if name in INDEXED:
        indices = [one for one in args[1] if one is not None]
        return any(one.dtype == torch.bool or not isinstance(one, There) for one in indices)
    if name == "copy_":
        return isinstance(args[0], There) != isinstance(args[1], There)
    return name == "_to_copy" and torch.device(kwargs.get("device") or META).type != args[0].device.type
