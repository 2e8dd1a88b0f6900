"""Tables of what can be chosen by name: where a class stands and what it is, so that none is imported unused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Entry(NamedTuple):
    """One row of a table.

    Args:
        target: where the class stands, as ``module:Class``.
        family: which kind of its sort it is, such as ``features`` of models that read item features.
        about: what it is, in one line.
        paper: authors, venue, year and link, where there is a paper.
    """

    target: str
    family: str
    about: str
    paper: str = ""

    @property
    def class_name(self) -> str:
        """The name of the class, without its module."""
        return self.target.partition(":")[2]

    def load(self) -> object:
        """Import the class."""
        module, _, name = self.target.partition(":")
        found: object = getattr(import_module(module), name)
        return found


class Registry(Mapping[str, type[T]], Generic[T]):
    """Classes by name; a class is imported when it is looked up, and by nothing else.

    Args:
        entries: the table.
        families: those of the table that belong here; all of them if left out.

    Example:
        >>> paths = Registry({"path": Entry("pathlib:PurePath", "files", "A path.")})
        >>> ("path" in paths, list(paths), paths["path"].__name__)
        (True, ['path'], 'PurePath')
    """

    def __init__(self, entries: Mapping[str, Entry], families: tuple[str, ...] = ()) -> None:
        self.entries: Mapping[str, Entry] = MappingProxyType(
            {name: one for name, one in entries.items() if not families or one.family in families}
        )

    def __getitem__(self, name: str) -> type[T]:
        found = self.entries[name].load()
        assert isinstance(found, type)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


def homes(*tables: Mapping[str, Entry], **others: str) -> dict[str, str]:
    """The module of every class of some tables, by the name of the class, and the modules of other names."""
    listed = {one.class_name: one.target.partition(":")[0] for table in tables for one in table.values()}
    return {**listed, **others}


def lazy(package: str, name: str, homes: Mapping[str, str]) -> object:
    """An attribute (by its module in ``homes``) or module of a package, imported when it is first asked for.

    Raises:
        AttributeError: the package has none of that name.
    """
    if name in homes:
        found: object = getattr(import_module(homes[name]), name)
        return found
    inside = f"{package}.{name}"
    if not name.startswith("_"):
        try:
            return import_module(inside)
        except ModuleNotFoundError as error:
            if error.name != inside:
                raise
    raise AttributeError(f"module {package!r} has no attribute {name!r}")
