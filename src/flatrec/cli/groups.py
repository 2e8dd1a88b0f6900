"""Groups of options that several commands share, each of which becomes one parameter of a command."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TypeAlias, get_type_hints

Command: TypeAlias = Callable[..., None]


def with_group(
    command: Command, name: str, options: Mapping[str, inspect.Parameter], build: Callable[..., object]
) -> Command:
    """Give a command a group of options in the place of one parameter, which gets what ``build`` makes of them."""
    signature = inspect.signature(command)
    command.__annotations__.pop(name)  # it is no option, and its type may take time to import
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for own in signature.parameters.values():
        parameters += options.values() if own.name == name else [own.replace(annotation=hints[own.name])]
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]

    @wraps(command)
    def wrapper(**values: object) -> None:
        built = build(**{option: values.pop(option) for option in options})
        command(**values, **{name: built})

    wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {one.name: one.annotation for one in parameters}
    del wrapper.__wrapped__  # whose signature is another one
    return wrapper
