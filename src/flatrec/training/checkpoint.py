"""Checkpoints: tensors in safetensors, facts in JSON, written whole with a digest, nothing pickled."""

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
OLDER = "flatrec checkpoint 1"  # without a digest
ADVICE = "train again with --overwrite"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Named tensors, and facts that JSON can say."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``path`` and, for people, its facts beside it as ``.json``.

    The facts and the digest of all of it travel inside the tensor file and are read from there, so that a kill between
    the two files cannot leave a pair that disagrees.

    Raises:
        OSError: the folder cannot be written to, or the disk is full; an older checkpoint stays as it was.
    """
    tensors = {name: tensor.detach().contiguous() for name, tensor in checkpoint.tensors.items()}
    facts = seal({"format": FORMAT, **checkpoint.facts, "tensors": _digest(tensors)})
    with atomic_write(path) as temporary:
        try:
            # One entry alone: safetensors writes several in an order that is another one in every process.
            save_file(tensors, temporary, metadata={"flatrec": facts})
        except SafetensorError as error:
            full = "os error 28" in str(error) or "os error 122" in str(error)
            reason = "the disk is full" if full else str(error)
            raise OSError(f"cannot write {path}: {reason}; free some space or choose another folder") from None
    write_text(path.with_suffix(".json"), facts + "\n")


def load(path: Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Read a checkpoint.

    Raises:
        FileNotFoundError: there is none.
        ValueError: truncated, damaged, not one of ours, or of a flatrec whose checkpoints had no digest.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}; train first, or name the folder of a finished run")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            text = (file.metadata() or {}).get("flatrec", "{}")
            # In memory of their own: some processors add up in another order where a tensor begins at an odd address.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, OSError):
        raise ValueError(f"{path} is truncated or not a safetensors file; {ADVICE}") from None
    _check_format(text, path)
    facts = unseal(text, path, advice=ADVICE)
    if facts.pop("tensors", None) != _digest(tensors):
        raise ValueError(f"{path} is damaged (its digest does not fit its content); {ADVICE}")
    return Checkpoint({name: one.to(device) for name, one in tensors.items()}, facts)


def _check_format(text: str, path: Path) -> None:
    """Refuse the files of others and of older releases; what is damaged is noticed later."""
    if f'"format": "{OLDER}"' in text:
        raise ValueError(
            f"{path} was written by a flatrec older than digests, and nothing tells whether it is whole; {ADVICE}"
        )
    if f'"format": "{FORMAT}"' not in text:
        raise ValueError(f"{path} is not a {FORMAT!r} file; name the folder of a run that flatrec wrote")


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """Of names, types, shapes and bytes; as fast as memory is read."""
    parts: list[str | ndarray] = []
    for name in sorted(tensors):
        one = tensors[name]
        parts += [name, str(one.dtype), str(tuple(one.shape)), one.cpu().reshape(-1).view(torch.uint8).numpy()]
    return digest(*parts)


def part(checkpoint: Checkpoint, prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix.``, without it."""
    start = f"{prefix}."
    return {name[len(start) :]: one for name, one in checkpoint.tensors.items() if name.startswith(start)}


def optimizer_tensors(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state of an optimizer as tensors by ``parameter.key``, and the rest of it (numbers, None) as facts."""
    tensors: dict[str, Tensor] = {}
    facts: dict[str, Any] = {}
    for number, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"{number}.{key}"] = value
            else:
                facts[f"{number}.{key}"] = value
    return tensors, facts


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Put a state back into an optimizer made with the same settings over the same parameters.

    What belongs into the state is seen from a step with zero gradients, whose effect on the parameters is undone:
    fused optimizers would write beyond tensors of another shape.

    Raises:
        ValueError: the state lacks something, or holds something of another name, shape or type.
    """
    _fill(optimizer)
    wanted, rest = optimizer_tensors(optimizer)
    check_alike(tensors, wanted, "the optimizer's state")
    kinds = {name: type(value) for name, value in rest.items()}
    if {name: type(value) for name, value in facts.items()} != kinds:
        raise ValueError(f"the optimizer's state lacks numbers or has others than {shortlist(kinds)}; {ADVICE}")
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **facts}.items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


@torch.no_grad()
def _fill(optimizer: Optimizer) -> None:
    """Let an optimizer make the state of every parameter, and leave the parameters as they are."""
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    before = [one.clone() for one in parameters]
    for one in parameters:
        one.grad = torch.zeros_like(one)
    optimizer.step()
    for one, value in zip(parameters, before, strict=True):
        one.copy_(value)
        one.grad = None


def check_alike(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], what: str) -> None:
    """Make sure that tensors have the names, shapes and types of others.

    Raises:
        ValueError: they have not.
    """
    wrong = [f"{clipped(name)} is missing" for name in wanted if name not in found]
    wrong += [f"{clipped(name)} is unknown" for name in found if name not in wanted]
    for name in wanted.keys() & found.keys():
        there, here = (f"{tuple(one.shape)} of {one.dtype}" for one in (found[name], wanted[name]))
        wrong += [f"{clipped(name)} is {there} instead of {here}"] if there != here else []
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
    for name, one in tensors.items():
        if not all_finite(one):
            raise ValueError(f"{what} holds a weight that is not finite, in {name}; {ADVICE}")


def all_finite(tensor: Tensor) -> bool:
    """Return True if no entry is infinite or not a number; one pass over memory."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    low, high = tensor.detach().aminmax()
    return bool(torch.isfinite(low) & torch.isfinite(high))
