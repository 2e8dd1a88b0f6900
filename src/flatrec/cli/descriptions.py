"""What models say of themselves: in their docstrings, signatures and class attributes."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from docstring_parser import Docstring

from flatrec.config import Option
from flatrec.config.description import Setting, describe_settings, one_line, parse_docstring
from flatrec.models import Baseline, Model
from flatrec.models.base import Modalities
from flatrec.models.registry import BASELINE, CLICKS, FEATURE_BASELINE, FEATURES
from flatrec.registry.constructors import settings_class
from flatrec.registry.instantiate import model_class
from flatrec.registry.model_defaults import model_defaults

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
class Description:
    """What a model or baseline says of itself.

    Args:
        name: on the command line.
        kind: the class.
        about: the first line of its module, without the name.
        family: ``clicks`` for a model that reads interactions alone, ``features``, ``baseline``, or ``baseline with
            features``.
        modalities: what item features it reads.
        reference: its paper, where the first line of the class names one.
        settings: those that a user can set.
        search_space: values that searches try by default, by dotted setting.
        defaults: the model's own defaults of settings of an experiment, by dotted setting.
        doc: the docstring of the class.
    """

    name: str
    kind: type[object]
    about: str
    family: str
    modalities: Modalities
    reference: Reference | None
    settings: tuple[Setting, ...]
    search_space: Mapping[str, tuple[object, ...]]
    defaults: Mapping[str, Option]
    doc: Docstring

    def tried(self, setting: Setting) -> tuple[object, ...]:
        """Values that searches try for a setting by default."""
        return self.search_space.get(f"model.{setting.name}", ())

    def as_dict(self) -> dict[str, Any]:
        """Name, text, reference and settings for programs."""
        return {
            "name": self.name,
            "about": self.about,
            "family": self.family,
            "modalities": self.modalities,
            "reference": None if self.reference is None else asdict(self.reference),
            "search_space": {key: list(values) for key, values in self.search_space.items()},
            "defaults": dict(self.defaults),
            "settings": {
                setting.name: setting.as_dict() | {"tried": list(self.tried(setting))} for setting in self.settings
            },
        }


def describe(name: str) -> Description:
    """The description of a model or baseline.

    Raises:
        ValueError: there is none of that name.
    """
    kind = model_class(name)
    doc = parse_docstring(kind)
    return Description(
        name=name,
        kind=kind,
        about=_about(kind),
        family=_family(kind),
        modalities=kind.MODALITIES,
        reference=_reference(one_line(doc.short_description)),
        settings=describe_settings(settings_class(kind)),
        search_space=kind.SEARCH_SPACE,
        defaults=model_defaults(kind),
        doc=doc,
    )


def _family(kind: type[Model] | type[Baseline]) -> str:
    if not issubclass(kind, Model):
        return BASELINE if kind.MODALITIES == "none" else FEATURE_BASELINE
    return CLICKS if kind.MODALITIES == "none" else FEATURES


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
