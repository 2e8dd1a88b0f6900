"""Docstrings as Markdown for the API pages, and the constructors of classes whose fields make them."""

from __future__ import annotations

import re
from typing import Any

import griffe
from prose import prose

_SECTION = re.compile(
    r"^(?P<name>Args|Attributes|Raises|Returns|Yields|Examples?|Note|Warning):[ \t]*$", flags=re.MULTILINE
)
_STATE = ("state_count(", "state_vector(", "state_history(", "buffer(")  # of flatrec.strategies.state


class Docstrings(griffe.Extension):
    """Makes Markdown of each docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """Change the docstring of an object."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)

    def on_class_members(self, *, cls: griffe.Class, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """Give settings and named tuples the constructor that their fields make; griffe knows that of dataclasses.

        What a strategy keeps from step to step is a field as well, but no argument of its constructor.
        """
        for name, member in list(cls.members.items()):
            if isinstance(member, griffe.Attribute) and str(member.value).startswith(_STATE):
                cls.del_member(name)
        is_settings = any(str(base).endswith(("Config", "NamedTuple")) for base in cls.bases)
        if is_settings and "__init__" not in cls.members:
            cls.set_member("__init__", constructor(cls))


def constructor(cls: griffe.Class) -> griffe.Function:
    """The constructor of a class from its fields."""
    kind = griffe.ParameterKind.keyword_only
    if any(str(base).endswith("NamedTuple") for base in cls.bases):
        kind = griffe.ParameterKind.positional_or_keyword
    fields = [
        griffe.Parameter(name, annotation=member.annotation, kind=kind, default=member.value)
        for name, member in cls.members.items()
        if isinstance(member, griffe.Attribute)
        and member.annotation is not None
        and not name.startswith("_")
        and "property" not in member.labels
        and not str(member.annotation).startswith("ClassVar")
    ]
    self = griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)
    parameters = griffe.Parameters(self, *fields)
    return griffe.Function("__init__", parent=cls, lineno=0, endlineno=0, parameters=parameters, returns="None")


def as_markdown(text: str) -> str:
    """A docstring whose text is Markdown; its sections stay as they are.

    The entries of a section are indented as blocks of code are elsewhere, and examples must not be changed.
    """
    parts = _SECTION.split(text)
    blocks = re.split(r"(\n\s*?\n)", parts[0])
    done = "".join(one if one.startswith("    ") else prose(one, references=True) for one in blocks)
    for name, section in zip(parts[1::2], parts[2::2], strict=True):
        if name.startswith("Example"):  # griffe knows the plural alone
            done += f"Examples:{section}"
        else:
            done += f"{name}:{prose(section, references=True)}"
    return done
