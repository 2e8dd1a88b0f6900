"""The optimizer class of a strategy, made from the fields of the strategy's class."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from inspect import Parameter, Signature
from typing import Any, get_type_hints

from torch import nn
from torch.optim import Optimizer

from flatrec.optim.misuse import check_arguments
from flatrec.optim.wrapper import StrategyOptimizer
from flatrec.strategies.base import Strategy
from flatrec.utils.checked_settings import checked_setting

NOT_HERE = ("rho_warmup", "start_epoch")  # they count epochs, which an optimizer does not see
SHARED = {
    "seed": "seed of the random numbers that are drawn.",
    "same_dropout_mask": "whether dropout draws the same masks in both passes over a batch.",
    "model": "whose batch-norm layers keep their running statistics in the perturbed pass; see StrategyOptimizer.",
}


def optimizer_class(strategy: type[Strategy], module: str) -> type[StrategyOptimizer]:
    """Return a subclass of :class:`StrategyOptimizer` whose constructor takes the settings of a strategy.

    It belongs to a module, where pickle looks it up by the name of the strategy.
    """
    signature, hints = _signature(strategy), get_type_hints(strategy, include_extras=True)

    def __init__(self: StrategyOptimizer, *args: Any, **settings: Any) -> None:  # noqa: ANN401, N807
        check_arguments(type(self).__name__, signature, args, settings)
        values = signature.bind(*args, **settings).arguments
        shared = {name: values.pop(name) for name in ("same_dropout_mask", "model") if name in values}
        optimizer, seed = values.pop("optimizer"), checked_setting("seed", int, values.pop("seed", 0))
        assert isinstance(seed, int)
        made = strategy(**{name: checked_setting(name, hints[name], value) for name, value in values.items()})
        made.reset(seed)
        StrategyOptimizer.__init__(self, optimizer, made, **shared)

    self = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
    __init__.__signature__ = signature.replace(parameters=[self, *signature.parameters.values()])  # type: ignore[attr-defined]
    __init__.__qualname__ = f"{strategy.__name__}.__init__"
    attributes = {"__init__": __init__, "__doc__": _docstring(strategy, signature), "__module__": module}
    return type(strategy.__name__, (StrategyOptimizer,), attributes)


def _signature(strategy: type[Strategy]) -> Signature:
    hints = get_type_hints(strategy)
    declared: Sequence[Field[Any]] = fields(strategy) if is_dataclass(strategy) else ()
    settings = [
        Parameter(setting.name, Parameter.KEYWORD_ONLY, default=_default(setting), annotation=hints[setting.name])
        for setting in declared
        if setting.init and setting.name not in NOT_HERE
    ]
    if strategy.draws_random_numbers:
        settings.append(Parameter("seed", Parameter.KEYWORD_ONLY, default=0, annotation=int))
    settings.append(Parameter("same_dropout_mask", Parameter.KEYWORD_ONLY, default=False, annotation=bool))
    settings.append(Parameter("model", Parameter.KEYWORD_ONLY, default=None, annotation=nn.Module | None))
    return Signature([Parameter("optimizer", Parameter.POSITIONAL_OR_KEYWORD, annotation=Optimizer), *settings])


def _default(setting: Field[Any]) -> object:
    return Parameter.empty if setting.default is MISSING else setting.default


def _docstring(strategy: type[Strategy], signature: Signature) -> str:
    """Return the strategy's own text with the arguments of the optimizer."""
    text = inspect.getdoc(strategy) or ""
    meanings = {**_meanings(strategy), **SHARED, "optimizer": "the torch optimizer that makes the step."}
    arguments = "\n".join(f"    {name}: {meanings.get(name, '')}" for name in signature.parameters)
    return f"{re.split(_SECTION, text)[0].rstrip()}\n\nArgs:\n{arguments}\n\n{_RAISES}"


_SECTION = re.compile(r"^(?:Args|Example|Raises):$", flags=re.MULTILINE)
_ARGUMENT = re.compile(r"^    (\w+): (.*(?:\n     +.*)*)", flags=re.MULTILINE)
_RAISES = """Raises:
    TypeError: the first argument is no torch optimizer that steps with a dense gradient, or a setting is unknown.
    ValueError: a setting is out of range.
"""


def _meanings(strategy: type[Strategy]) -> dict[str, str]:
    """Return what each setting means, from ``Args`` in the docstrings of the class and of its bases."""
    documents = [inspect.cleandoc(kind.__doc__ or "") for kind in reversed(strategy.__mro__)]
    sections = [text.partition("\nArgs:\n")[2].partition("\n\n")[0] for text in documents]
    return {name: meaning for section in sections for name, meaning in _ARGUMENT.findall(section)}
