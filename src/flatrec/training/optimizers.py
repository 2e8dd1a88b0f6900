"""Base optimizers by name: those of torch.optim that work step by step on dense gradients."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import Optimizer

from flatrec.config import Config, Options, config_of, validate
from flatrec.ops.dispatch import has_kernel
from flatrec.training.torch_classes import classes_by_name
from flatrec.utils.messages import unknown

# LBFGS needs a closure, SparseAdam sparse gradients; a strategy provides neither.
_UNSUITABLE = {"Optimizer", "LBFGS", "SparseAdam"}


def names() -> dict[str, type[Optimizer]]:
    """Return every suitable optimizer of the installed torch, by lower-case name."""
    return classes_by_name(torch.optim, Optimizer, _UNSUITABLE)


def config_class(name: str) -> type[Config]:
    """The settings of an optimizer: the arguments of its constructor in the installed torch.

    Raises:
        ValueError: there is no such optimizer.
    """
    known = names()
    if name not in known:
        raise ValueError(unknown("optimizer", name, list(known)))
    return config_of(known[name], skip=1)


def settings(name: str, options: Options) -> Config:
    """All settings of an optimizer, the others than those given at torch's defaults.

    ``fused`` is on if the optimizer has it and the options do not say otherwise: the same update in one pass over
    memory, about nine times faster on a CPU.

    Raises:
        ValueError: there is no such optimizer, or a setting is unknown or of a wrong type.
    """
    kind = config_class(name)
    if "fused" in kind.model_fields and not {"fused", "foreach", "differentiable"} & set(options):
        options = {**options, "fused": True}
    config = validate(kind, options, "optimizer")
    if dict(config).get("differentiable"):
        raise ValueError(
            "optimizer.differentiable must be false: it is for gradients of the steps themselves, which training does "
            "not need; leave it out"
        )
    return config


def make(name: str, params: Iterable[nn.Parameter], config: Config) -> Optimizer:
    """An optimizer over the parameters that need a gradient, not fused where torch cannot do that on their device.

    Raises:
        ValueError: torch refuses a value.
    """
    values = dict(config)
    trained = [parameter for parameter in params if parameter.requires_grad]
    if values.get("fused") and not all(
        has_kernel(f"aten::_fused_{name}_", kind) for kind in {parameter.device.type for parameter in trained}
    ):
        values["fused"] = False
    try:
        return names()[name](trained, **values)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"optimizer {name}: {error}") from None
