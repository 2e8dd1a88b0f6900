"""Arguments of the optimizers' constructors: numbers of any kind become Python's, misuse gets one line."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from numbers import Integral, Real
from typing import Any, TypeVar, cast

from torch import Tensor
from torch.optim import Optimizer

Init = TypeVar("Init", bound=Callable[..., None])

WARM_UP = "rho_warmup counts epochs, which an optimizer does not see; change rho in param_groups"


def checked(init: Init) -> Init:
    """Check what a constructor is given, before Python does it in words that do not say what to write instead."""
    parameters = inspect.signature(init).parameters
    first = list(parameters)[1]

    @wraps(init)
    def checking(self: object, *given: Any, **settings: Any) -> None:  # noqa: ANN401
        name = type(self).__name__
        _check_first(name, list(parameters)[1:3], given[0] if given else settings.get(first))
        for key in settings:
            if key not in parameters:
                raise _stranger(name, key)
        plain = {key: _plain(key, one, parameters[key].default) for key, one in settings.items()}
        init(self, *given, **plain)

    return cast(Init, checking)


def python_number(value: object) -> object:
    """A number of NumPy or a tensor of no dimension as Python's; whatever else as it is."""
    if isinstance(value, Tensor) and value.ndim == 0:
        return value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def _check_first(name: str, parameters: list[str], given: object) -> None:
    if isinstance(given, Optimizer):
        return
    first, setting = parameters
    base = "torch.optim.SGD(model.parameters(), lr=...)"
    right = f"{name}({f'BSAM({base}, rho=...)' if first == 'inner' else base}, {setting}=...)"
    raise TypeError(
        f"{name} goes around an optimizer, which takes the parameters and their settings; write {right}, not "
        f"{name}({'' if given is None else 'a ' + type(given).__name__ + ', '}...)"
    )


def _stranger(name: str, key: str) -> Exception:
    if key == "rho_warmup":
        return ValueError(WARM_UP)
    return TypeError(
        f"{name} has no setting {key!r}; help({name}) lists them; settings of the base optimizer go into it, as in "
        f"{name}(torch.optim.SGD(model.parameters(), lr=...), ...)"
    )


def _plain(key: str, value: object, default: object) -> object:
    """A setting as Python's number where its default is one."""
    plain = python_number(value)
    if isinstance(default, bool) or not isinstance(default, (int, float)):
        return plain
    wanted, kind = (Real, "a number") if isinstance(default, float) else (Integral, "a whole number")
    if not isinstance(plain, wanted):
        raise TypeError(f"{key} must be {kind}, but is {value!r}")
    return type(default)(cast(float, plain))
