"""What is wrong with the arguments of an optimizer's constructor, said before Python says it without what to write."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

from torch.optim import Optimizer

from flatrec.utils.checked_settings import python_number

Init = TypeVar("Init", bound=Callable[..., None])

EPOCHS = "{} counts epochs, which an optimizer does not see; change rho in param_groups"
BASE = "torch.optim.SGD(model.parameters(), lr=...)"


def checked(init: Init) -> Init:
    """Decorate a constructor so that :func:`check_arguments` checks its arguments first."""
    _self, *others = inspect.signature(init).parameters.values()
    signature = inspect.Signature(others)

    @wraps(init)
    def checking(self: object, *positional: Any, **settings: Any) -> None:  # noqa: ANN401
        check_arguments(type(self).__name__, signature, positional, settings)
        init(self, *positional, **{name: python_number(value) for name, value in settings.items()})

    return cast(Init, checking)


def check_arguments(
    name: str, signature: inspect.Signature, positional: tuple[object, ...], settings: Mapping[str, object]
) -> None:
    """Make sure that the first argument is an optimizer and that every setting has a known name.

    Raises:
        TypeError: one is not so; the message says what to write.
        ValueError: ``rho_warmup`` or ``start_epoch`` is given, which an optimizer cannot have.
    """
    first, second = list(signature.parameters)[:2]
    inner = positional[0] if positional else settings.get(first)
    if not isinstance(inner, Optimizer):
        expected = f"{name}({f'BSAM({BASE}, rho=...)' if first == 'inner' else BASE}, {second}=...)"
        got = "" if inner is None else f"a {type(inner).__name__}, "
        raise TypeError(
            f"{name} wraps an optimizer, which takes the parameters and their settings; write {expected}, not "
            f"{name}({got}...)"
        )
    for key in settings:
        if key in ("rho_warmup", "start_epoch"):
            raise ValueError(EPOCHS.format(key))
        if key not in signature.parameters:
            raise TypeError(
                f"{name} has no setting {key!r}; help({name}) lists them; settings of the base optimizer go into it, "
                f"as in {name}({BASE}, ...)"
            )
