"""Groups of options that several commands share, each of which becomes one parameter of a command."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import NamedTuple, TypeAlias, get_type_hints

Command: TypeAlias = Callable[..., None]


class Group(NamedTuple):
    """A group of options.

    Args:
        options: the options.
        build: makes of them what the parameter of a command gets.
    """

    options: Sequence[inspect.Parameter]
    build: Callable[..., object]


def with_groups(command: Command, groups: Mapping[str, Group]) -> Command:
    """Give a command groups of options, each in the place of one parameter.

    Args:
        command: the command.
        groups: the group of options that takes the place of each parameter, by its name.
    """
    signature = inspect.signature(command)
    for name in groups:
        command.__annotations__.pop(name)  # it is no option, and its type may take time to import
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for own in signature.parameters.values():
        of_group = groups[own.name].options if own.name in groups else ()
        parameters += of_group or [own.replace(annotation=hints[own.name])]
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]

    @wraps(command)
    def wrapper(**values: object) -> None:
        built = {
            name: group.build(**{option.name: values.pop(option.name) for option in group.options})
            for name, group in groups.items()
        }
        command(**values, **built)

    wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {one.name: one.annotation for one in parameters}
    del wrapper.__wrapped__  # whose signature is another one
    return wrapper


def group_of(build: Callable[..., object]) -> Group:
    """Return the group of the options that a function takes as its parameters."""
    parameters = inspect.signature(build).parameters.values()
    build.__annotations__.pop("return", None)  # its type may take time to import
    hints = get_type_hints(build, include_extras=True)
    return Group([one.replace(annotation=hints[one.name]) for one in parameters], build)
