"""Checkpoints: tensors as safetensors, metadata as JSON, written atomically with a digest, nothing pickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy import ndarray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from flatrec.utils.atomic_write import atomic_write, write_text
from flatrec.utils.integrity import digest, seal, unseal
from flatrec.utils.messages import clipped, shortlist

FORMAT = "flatrec checkpoint 2"
OLD_FORMAT = "flatrec checkpoint 1"  # without a digest
ADVICE = "train again with --overwrite"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Named tensors, and metadata that JSON can hold."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, Any]

    def section(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose names begin with ``prefix.``, by the rest of the name."""
        start = f"{prefix}."
        return {name[len(start) :]: tensor for name, tensor in self.tensors.items() if name.startswith(start)}


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``path`` and, for people, its metadata beside it as ``.json``.

    Metadata and digest are stored inside the tensor file too and are read from there, so that a process killed between
    the two files cannot leave files that disagree.

    Raises:
        OSError: the folder cannot be written to, or the disk is full; an older checkpoint stays as it was.
    """
    tensors = {name: tensor.detach().contiguous() for name, tensor in checkpoint.tensors.items()}
    metadata = seal({"format": FORMAT, **checkpoint.metadata, "tensors": tensors_digest(tensors)})
    with atomic_write(path) as temporary:
        try:
            # One entry only: safetensors writes several in an order that differs from process to process.
            save_file(tensors, temporary, metadata={"flatrec": metadata})
        except SafetensorError as error:
            full = "os error 28" in str(error) or "os error 122" in str(error)
            reason = "the disk is full" if full else str(error)
            raise OSError(f"cannot write {path}: {reason}; free some space or choose another folder") from None
    write_text(path.with_suffix(".json"), metadata + "\n")


def load(path: Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Read a checkpoint.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is truncated, damaged, not a flatrec checkpoint, or of a version whose checkpoints had no digest.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}; train first, or name the folder of a finished run")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            text = (file.metadata() or {}).get("flatrec", "{}")
            # Cloned, as some processors add in another order if a tensor begins at an odd address.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, OSError):
        raise ValueError(f"{path} is truncated or not a safetensors file; {ADVICE}") from None
    _check_format(text, path)
    metadata = unseal(text, path, advice=ADVICE)
    if metadata.pop("tensors", None) != tensors_digest(tensors):
        raise ValueError(f"{path} is damaged (its digest does not match its content); {ADVICE}")
    return Checkpoint({name: tensor.to(device) for name, tensor in tensors.items()}, metadata)


def _check_format(text: str, path: Path) -> None:
    """Refuse files of other programs and of older versions; damage is noticed later."""
    if f'"format": "{OLD_FORMAT}"' in text:
        raise ValueError(
            f"{path} was written by a version without digests, so it cannot be checked for damage; {ADVICE}"
        )
    if f'"format": "{FORMAT}"' not in text:
        raise ValueError(f"{path} is not a {FORMAT!r} file; give the folder of a run that flatrec wrote")


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the digest of names, types, shapes and bytes; as fast as memory is read."""
    parts: list[str | ndarray] = []
    for name in sorted(tensors):
        tensor = tensors[name]
        content = tensor.cpu().reshape(-1).view(torch.uint8).numpy()
        parts += [name, str(tensor.dtype), str(tuple(tensor.shape)), content]
    return digest(*parts)


def optimizer_state(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the state of an optimizer: tensors by ``parameter.key``, and the rest (numbers, None) as metadata."""
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, Any] = {}
    for number, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"{number}.{key}"] = value
            else:
                metadata[f"{number}.{key}"] = value
    return tensors, metadata


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Load a state into an optimizer made with the same settings over the same parameters.

    A step with zero gradients, whose effect on the parameters is undone, shows what the state must hold: fused
    optimizers would write beyond tensors of a wrong shape.

    Raises:
        ValueError: the state lacks something, or holds something of another name, shape or type.
    """
    _initialize_state(optimizer)
    expected, expected_metadata = optimizer_state(optimizer)
    check_alike(tensors, expected, "the optimizer's state")
    kinds = {name: type(value) for name, value in expected_metadata.items()}
    if {name: type(value) for name, value in metadata.items()} != kinds:
        raise ValueError(f"the optimizer's state lacks numbers or has others than {shortlist(kinds)}; {ADVICE}")
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **metadata}.items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


@torch.no_grad()
def _initialize_state(optimizer: Optimizer) -> None:
    """Let an optimizer create the state of every parameter, and leave the parameters as they are."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    before = [parameter.clone() for parameter in parameters]
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for parameter, value in zip(parameters, before, strict=True):
        parameter.copy_(value)
        parameter.grad = None


def check_alike(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str) -> None:
    """Make sure that tensors have the names, shapes and types of others.

    Raises:
        ValueError: they have not.
    """
    wrong = [f"{clipped(name)} is missing" for name in expected if name not in tensors]
    wrong += [f"{clipped(name)} is unknown" for name in tensors if name not in expected]
    for name in expected.keys() & tensors.keys():
        got, want = (f"{tuple(tensor.shape)} of {tensor.dtype}" for tensor in (tensors[name], expected[name]))
        wrong += [f"{clipped(name)} is {got} instead of {want}"] if got != want else []
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(
            f"{what} belongs to another model or other data: {', '.join(sorted(wrong)[:3])}{more}; {ADVICE}"
        )


def check_finite(tensors: Mapping[str, Tensor], what: str) -> None:
    """Make sure that no weight is infinite or not a number.

    Raises:
        ValueError: one is.
    """
    for name, tensor in tensors.items():
        if not all_finite(tensor):
            raise ValueError(f"{what} holds a weight that is not finite, in {name}; {ADVICE}")


def all_finite(tensor: Tensor) -> bool:
    """Return True if no entry is infinite or not a number; one pass over memory."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    low, high = tensor.detach().aminmax()
    return bool(torch.isfinite(low) & torch.isfinite(high))
