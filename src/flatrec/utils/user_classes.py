"""Classes of the user's own, by place: imported where the user names them, and told apart by what their file holds.

Importing a class runs code, so that :func:`load` is called with what a user says alone: a word of the command line, an
argument of a function. What a run folder or a store of trials holds goes to :func:`find`, which imports nothing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from flatrec.utils.importing import UNKNOWN, class_of, digest, file_of, file_of_module, imported

_NAME = re.compile(rf"(?P<place>.+?)(?:@(?P<digest>[0-9a-f]{{16}}|{UNKNOWN}))?(?P<mixed>\+?)", re.DOTALL)
logger = logging.getLogger(__name__)
_loaded: list[UserClass] = []  # of this process, the latest first


class Name(NamedTuple):
    """What is written for a class: ``mine.py:Mine``; in a run folder ``mine.py:Mine@`` with the digest of the file."""

    place: str  # ``package.module:Class``, ``file.py:Class``, or the name that a class was registered by
    digest: str = ""  # of its file; empty where none is given
    mixed: bool = False  # whether a ``+`` follows

    @property
    def class_name(self) -> str:
        """The name of the class, or the one that it was registered by."""
        return self.place.rpartition(":")[2]

    def __str__(self) -> str:
        return self.place + (f"@{self.digest}" if self.digest else "") + "+" * self.mixed


@dataclass(frozen=True)
class UserClass:
    """A class that was named in this process."""

    place: str  # as it was named
    digest: str  # of its file
    kind: type  # the class
    origin: str  # where another process can import it from; empty where it cannot


class Origin(NamedTuple):
    """Where another process imports a class from that was named in this one; empty where it cannot."""

    place: str
    digest: str
    origin: str


def parsed(text: str) -> Name:
    """A name taken apart."""
    found = _NAME.fullmatch(text)
    if found is None:
        return Name(text)
    return Name(found["place"], found["digest"] or "", bool(found["mixed"]))


def is_own(text: str) -> bool:
    """Whether a name can only be that of a user's class: it has a place or a digest, or was registered here."""
    name = parsed(text)
    return ":" in name.place or bool(name.digest) or any(one.place == name.place for one in _loaded)


def load(text: str, what: str = "a class") -> str:
    """Import a class by its place and keep it for :func:`find`; the name with the digest of its file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such module or class, importing it fails, or it is another class than the digest says.
    """
    name = parsed(text)
    known = _known(Name(name.place))
    if ":" not in name.place and known is not None:  # registered
        found = known
    else:
        place, _, wanted = name.place.rpartition(":")
        module = imported(place)
        kind = class_of(module, name.place, what)
        origin = str(Path(place).resolve()) if place.endswith(".py") else place
        found = UserClass(name.place, digest(file_of(kind) or file_of_module(module)), kind, f"{origin}:{wanted}")
        _keep(found)
    if name.digest not in ("", UNKNOWN, found.digest):
        raise ValueError(changed(name, found.digest))
    return str(Name(name.place, found.digest, name.mixed))


def changed(recorded: Name, digest: str) -> str:
    """A message for a class whose file is no longer what a run was made with."""
    return (
        f"the file of {recorded.place} has changed since (it was {recorded.digest}, now it is {digest}); bring it back "
        "as it was, or train again in another folder"
    )


def check_unchanged(before: str, now: str) -> None:
    """Make sure that the class of a run, where it is of the same name now as then, is the same one.

    Raises:
        ValueError: its file has changed.
    """
    old, new = parsed(before), parsed(now)
    if old.class_name == new.class_name and old.digest != new.digest and old.digest and new.digest:
        raise ValueError(changed(old, new.digest))


def remember(kind: type, place: str = "") -> str:
    """Keep a class for :func:`find`, by default under its module and name; its name, with the digest of its file."""
    path = file_of(kind)
    known = next((one for one in _loaded if one.kind is kind and place in ("", one.place)), None)
    if known is not None:
        return str(Name(known.place, known.digest))
    home = kind.__module__ if path is None or kind.__module__ != "__main__" else str(path.resolve())
    target = f"{home}:{kind.__qualname__}"
    found = UserClass(place or target, digest(path), kind, "" if path is None else target)
    _keep(found)
    return str(Name(found.place, found.digest))


def answer_to(text: str, named: str) -> None:
    """Let a class that was named in this process be found by the name that a run folder has for it, too."""
    name, found = parsed(text), _known(parsed(named))
    assert found is not None
    if name.digest == UNKNOWN != found.digest:
        logger.warning("nothing tells whether %s is the class that the run was made with", named)
    _keep(UserClass(name.place, name.digest, found.kind, found.origin))


def find(text: str) -> type | None:
    """A class that was named in this process, by its name; nothing is imported."""
    found = _known(parsed(text))
    return None if found is None else found.kind


def classes_called(name: str) -> tuple[type, ...]:
    """The classes of this name that were named in this process, the latest first."""
    return tuple(one.kind for one in _loaded if one.kind.__name__ == name)


def canonical(text: str) -> str:
    """A name with the digest of the class that was named by it; others as they are."""
    name = parsed(text)
    found = _known(name) if is_own(text) else None
    return text if found is None else str(Name(name.place, found.digest, name.mixed))


def identity(text: str) -> str:
    """What tells a class from others, wherever its file lies: its name and digest; other names as they are."""
    name = parsed(text)
    return str(Name(name.class_name, name.digest, name.mixed)) if name.digest else text


def short(text: str) -> str:
    """A name for folders and tables: that of the class, with its ``+``."""
    name = parsed(text)
    return name.class_name + "+" * name.mixed if is_own(text) else text


def labels(texts: Iterable[str], taken: Iterable[str]) -> Mapping[str, str]:
    """A short name for each name, no two of which are alike on any file system, and none of them taken."""
    texts = list(dict.fromkeys(texts))
    reserved = {one.lower() for one in taken}
    own = {text: parsed(text) for text in texts if is_own(text)}
    files: dict[str, set[str]] = {}
    for name in own.values():
        files.setdefault(name.class_name.lower(), set()).add(name.digest)
    labeled = {}
    for text in texts:
        label = short(text)
        if text in own and (label.lower() in reserved or len(files[own[text].class_name.lower()]) > 1):
            label = f"{own[text].class_name}-{own[text].digest[:8]}" + "+" * own[text].mixed
        labeled[text] = label
    return labeled


def origins() -> tuple[Origin, ...]:
    """What a worker needs to know of the classes that were named here."""
    return tuple(Origin(one.place, one.digest, one.origin) for one in reversed(_loaded))


def take(classes: Iterable[Origin]) -> None:
    """Import in a worker what was named in the process that sent it, under the same names.

    Raises:
        ValueError: a class has no file, or its file has changed since.
    """
    for one in classes:
        if _known(Name(one.place, one.digest)) is not None:
            continue
        if not one.origin:
            raise ValueError(
                f"{one.place} was made in a notebook or at a prompt, where other processes cannot find it; put the "
                "class into a file and name that, or do one job at a time"
            )
        kind = find(load(str(Name(one.origin, one.digest))))
        assert kind is not None
        _keep(UserClass(one.place, one.digest, kind, one.origin))


def _keep(one: UserClass) -> None:
    if one in _loaded:
        _loaded.remove(one)
    _loaded.insert(0, one)


def _known(name: Name) -> UserClass | None:
    for one in _loaded:
        if name.digest:
            same = one.digest == name.digest and name.class_name in (parsed(one.place).class_name, one.kind.__name__)
        else:
            same = one.place == name.place
        if same:
            return one
    return None
