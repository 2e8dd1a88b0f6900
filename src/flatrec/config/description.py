"""What a class of settings says of each setting: type, default, range and meaning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from docstring_parser import Docstring, DocstringStyle, parse
from pydantic.fields import FieldInfo

from flatrec.config.base import Config
from flatrec.config.generated import Generated
from flatrec.utils.ranges import Range


@dataclass(frozen=True)
class Setting:
    """One setting."""

    name: str  # its name
    type: str  # what it takes, in words
    default: object  # its default; None for a setting that is left out, or has none
    range: str  # the numbers that it may be, such as ``at least 1``; empty for any, and for other types
    meaning: str  # what the docstring says of it; empty where it says nothing

    @property
    def default_text(self) -> str:
        """The default as TOML has it; empty where there is none."""
        return "" if self.default is None else json.dumps(self.default)

    def as_dict(self) -> dict[str, Any]:
        """Type, default, range and meaning, for programs."""
        return {"type": self.type, "default": self.default, "range": self.range, "meaning": plain(self.meaning)}


def describe_settings(kind: type[Config]) -> tuple[Setting, ...]:
    """Every setting of a class, groups of settings left out.

    Example:
        >>> from flatrec.config import AMR
        >>> describe_settings(AMR)[0]
        Setting(name='epsilon', type='float', default=0.0, range='at least 0', meaning="length of the noise on an \
item's features of one modality; 0 for no noise.")
    """
    meanings = _meanings(kind)
    return tuple(
        Setting(name, type_name(field.annotation), _default(field), _range(field), meanings.get(name, ""))
        for name, field in kind.model_fields.items()
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, Config))
    )


def parse_docstring(kind: type) -> Docstring:
    """The docstring of a class, taken apart."""
    return parse(kind.__doc__ or "", style=DocstringStyle.GOOGLE)


def one_line(text: str | None) -> str:
    """A text on one line."""
    return " ".join((text or "").split())


def plain(text: str) -> str:
    """A docstring's text without the marks around code."""
    return text.replace("``", "")


def type_name(hint: object) -> str:
    """A type as a reader of settings wants it: the values of a Literal, a tuple as a list, else its name."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return type_name(arguments[0])
    if origin is Literal:
        return " or ".join(repr(value) for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(type_name(one) for one in arguments if _can_be_written(one)))
    if origin is tuple:
        return "list of " + ", ".join(type_name(one) for one in arguments if one is not ...)
    return hint.__name__ if isinstance(hint, type) else str(hint)


def _can_be_written(hint: object) -> bool:
    """Whether a file of settings can hold a value of a type: neither None nor a tensor."""
    return hint is not NoneType and getattr(hint, "__name__", "") != "Tensor"


def _default(field: FieldInfo) -> object:
    return None if field.is_required() else field.default


def _range(field: FieldInfo) -> str:
    texts = [one.text for one in (*field.metadata, *_annotations(field.annotation)) if isinstance(one, Range)]
    return next(filter(None, texts), "")


def _annotations(hint: object) -> Iterator[object]:
    """What annotates the parts of a type, such as the range of the numbers in a tuple."""
    if get_origin(hint) is Annotated:
        yield from get_args(hint)[1:]
    for part in get_args(hint):
        yield from _annotations(part)


def _meanings(kind: type[Config]) -> dict[str, str]:
    """The meaning of each setting: that of the class itself before those of its bases."""
    meanings: dict[str, str] = {}
    for source in dict.fromkeys(_sources(kind)):
        for param in parse_docstring(source).params:
            for name in param.arg_name.split(", "):
                meanings.setdefault(name, one_line(param.description))
    return meanings


def _sources(kind: type[Config]) -> Iterator[type]:
    for base in kind.__mro__:
        if issubclass(base, Generated) and "SOURCE" in vars(base):
            yield from base.SOURCE.__mro__[:-1]
        elif issubclass(base, Config) and base not in (Config, Generated):
            yield base
