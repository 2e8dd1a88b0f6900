"""Checkpoints: tensors in safetensors, facts in JSON, written whole, nothing pickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from flatrec.files import replacing, write_text

FORMAT = "flatrec checkpoint 1"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Named tensors, and facts that JSON can say."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``path`` and, for people, its facts beside it as ``.json``.

    The facts travel inside the tensor file too, and are read from there, so that a kill between the two files
    cannot leave a pair that disagrees.

    Raises:
        OSError: the folder cannot be written to, or the disk is full; an older checkpoint stays as it was.
    """
    facts = json.dumps({"format": FORMAT, **checkpoint.facts}, indent=2, allow_nan=False)
    tensors = {name: tensor.detach().contiguous() for name, tensor in checkpoint.tensors.items()}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata={"flatrec": facts})
        except SafetensorError as error:
            raise OSError(f"cannot write {path}: {error}; free some space or choose another folder") from None
    write_text(path.with_suffix(".json"), facts + "\n")


def load(path: Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Read a checkpoint.

    Raises:
        FileNotFoundError: there is none.
        ValueError: truncated, damaged, or not one of ours.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}; train first, or name the folder of a finished run")
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            facts = json.loads((file.metadata() or {}).get("flatrec", "{}"))
            # In memory of their own: some processors add up in another order where a tensor begins at an odd address.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, OSError) as error:
        raise ValueError(f"{path} is truncated or not a safetensors file ({error}); train again") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ValueError(f"{path} is not a {FORMAT!r} file; name the folder of a run that flatrec wrote")
    return Checkpoint(tensors, facts)


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
    """Put a state back into an optimizer made with the same settings over the same parameters."""
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **facts}.items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
