"""States of base optimizers, checked before they are loaded: torch accepts any shape, and some kernels rely on it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


def check_base_state(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Compare the shapes in a state with those that a copy of the optimizer creates in a step.

    Raises:
        ValueError: the groups or a shape belong to other parameters or to another optimizer.
    """
    groups, entries = state.get("param_groups"), state.get("state")
    if not isinstance(groups, list) or not isinstance(entries, Mapping):
        raise ValueError("the state has no param_groups and state; pass what state_dict() of this optimizer returned")
    sizes = [len(group["params"]) for group in groups]
    expected = [len(group["params"]) for group in optimizer.param_groups]
    if sizes != expected:
        raise ValueError(
            f"the state is that of groups of {sizes} parameters, but the optimizer has groups of {expected}; load the "
            "state of the same model with the same groups"
        )
    if entries:
        _check_entries(_stepped(optimizer, groups), [key for group in groups for key in group["params"]], entries)


def _stepped(optimizer: Optimizer, groups: list[dict[str, Any]]) -> Optimizer:
    """Return a copy that has taken a step with zero gradients and the saved settings."""
    twin = copy.deepcopy(optimizer)
    twin.load_state_dict({"state": {}, "param_groups": groups})
    for group in twin.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    twin.step()
    return twin


def _check_entries(twin: Optimizer, keys: list[object], entries: Mapping[Any, Any]) -> None:
    tensors = [tensor for group in twin.param_groups for tensor in group["params"]]
    parameters = dict(zip(keys, tensors, strict=True))
    for number, entry in entries.items():
        if number not in parameters or not isinstance(entry, Mapping):
            raise ValueError(
                f"the state has an entry {number!r}, which belongs to no parameter; load the state of the same model"
            )
        parameter = parameters[number]
        for key, value in entry.items():
            own = twin.state[parameter].get(key, parameter)
            shape = own.shape if isinstance(own, Tensor) else parameter.shape
            if isinstance(value, Tensor) and value.shape != shape:
                raise ValueError(
                    f"the state is that of another model: {key} of parameter {number} has shape {tuple(value.shape)}, "
                    f"but must have {tuple(shape)}"
                )
