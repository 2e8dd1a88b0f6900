"""What models say of themselves: in their docstrings, settings and class attributes."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from flatrec.cli.docstrings import Docstring, parsed
from flatrec.models import BASELINES, MODELS, Model
from flatrec.models.base import Modalities, ModelConfig
from flatrec.registry.instantiate import model_class

_REFERENCE = re.compile(
    r"\((?P<authors>[^()]+), (?P<venue>[^,()]+) (?P<year>\d{4}), (?P<link>https?://\S+?)\)(?=[\s.,;]|$)"
)


@dataclass(frozen=True)
class Reference:
    """A paper."""

    authors: str
    venue: str
    year: int
    link: str

    def __str__(self) -> str:
        return f"{self.authors}, {self.venue} {self.year}"


@dataclass(frozen=True)
class Setting:
    """One setting of a model.

    Args:
        name: its name.
        type: what it takes, in words or as in Python.
        default: the default as in Python; None where there is none.
        meaning: what the docstring says of it; empty where it says nothing.
        value: the default itself.
        tried: values usually tried.
    """

    name: str
    type: str
    default: str | None
    meaning: str
    value: object = None
    tried: tuple[object, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Type, default, meaning and values usually tried for programs."""
        return {"type": self.type, "default": self.value, "meaning": plain(self.meaning), "tried": list(self.tried)}


@dataclass(frozen=True)
class Description:
    """What a model or baseline says of itself.

    Args:
        name: on the command line.
        kind: the class.
        about: the first line of its module, without the name.
        modalities: what item features it reads.
        reference: its paper, where the first line of the class names one.
        settings: what a user can set.
        search_space: values usually tried, by dotted setting.
        doc: the docstring of the class.
    """

    name: str
    kind: type[object]
    about: str
    modalities: Modalities
    reference: Reference | None
    settings: tuple[Setting, ...]
    search_space: Mapping[str, tuple[object, ...]]
    doc: Docstring

    def as_dict(self) -> dict[str, Any]:
        """Name, text, reference and settings for programs."""
        return {
            "name": self.name,
            "about": self.about,
            "modalities": self.modalities,
            "reference": None if self.reference is None else asdict(self.reference),
            "search_space": {key: list(values) for key, values in self.search_space.items()},
            "settings": {one.name: one.as_dict() for one in self.settings},
        }


def plain(text: str) -> str:
    """A docstring's text without the marks around code."""
    return text.replace("``", "")


def model_names() -> list[str]:
    """All models, then all baselines."""
    return [*MODELS, *BASELINES]


def describe(name: str) -> Description:
    """The description of a model or baseline.

    Raises:
        ValueError: there is none of that name.
    """
    kind = model_class(name)
    doc = parsed(inspect.getdoc(kind) or "")
    search_space = kind.SEARCH_SPACE if issubclass(kind, Model) else {}
    return Description(
        name=name,
        kind=kind,
        about=_about(kind),
        modalities=kind.MODALITIES if issubclass(kind, Model) else "none",
        reference=_reference(doc.summary),
        settings=_settings(kind.Config, search_space),
        search_space=search_space,
        doc=doc,
    )


def _about(kind: type[object]) -> str:
    """The first line of the module's docstring, without the name of the class where it leads."""
    line = (sys.modules[kind.__module__].__doc__ or "").strip().partition("\n")[0]
    leading, colon, rest = line.partition(": ")
    named = bool(colon) and re.sub(r"\W", "", leading).lower() == kind.__name__.lower()
    text = rest if named else line
    return text[:1].upper() + text[1:]


def _reference(summary: str) -> Reference | None:
    found = _REFERENCE.search(summary)
    if found is None:
        return None
    return Reference(found["authors"], found["venue"], int(found["year"]), found["link"])


def _settings(config: type[ModelConfig], search_space: Mapping[str, tuple[object, ...]]) -> tuple[Setting, ...]:
    meanings = parsed(inspect.getdoc(config) or "").entries("Args")
    return tuple(
        Setting(
            name,
            type=_type(one.annotation),
            default=repr(one.default),
            meaning=meanings.get(name, ""),
            value=one.default,
            tried=search_space.get(f"model.{name}", ()),
        )
        for name, one in config.model_fields.items()
    )


def _type(hint: object) -> str:
    """The type of a setting in words: the values of a Literal, the members of a union, else its name."""
    if get_origin(hint) is Literal:
        return " or ".join(repr(value) for value in get_args(hint))
    if get_origin(hint) in (Union, UnionType):
        return " or ".join("None" if one is type(None) else _type(one) for one in get_args(hint))
    if get_origin(hint) is Annotated:
        return _type(get_args(hint)[0])
    if get_origin(hint) is tuple:
        return f"tuple[{', '.join('...' if one is Ellipsis else _type(one) for one in get_args(hint))}]"
    return hint.__name__ if isinstance(hint, type) else str(hint)
