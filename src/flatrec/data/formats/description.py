"""The description ``dataset.toml``, which names the files and columns of a data set."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path

from flatrec.config import SettingError, SplitSettings, validate
from flatrec.config.old_words import DATASET_KEYS, new_name
from flatrec.data.builder import EventSettings
from flatrec.data.dataset import Dataset
from flatrec.data.formats import DataFormat
from flatrec.data.formats.table import ItemSource, TableSettings, read_tables
from flatrec.data.tables.feature_files import FeatureSource
from flatrec.data.tables.files import reading
from flatrec.data.tables.text import PLAIN, Layout
from flatrec.utils.messages import clipped, shortlist

DESCRIPTION = "dataset.toml"
LAYOUT_KEYS = ("separator", "quote", "encoding")
KEYS = (
    "name", "interactions", "user_column", "item_column", "split_column", "k_core", "split",
    "items", "features", *LAYOUT_KEYS,
)  # fmt: skip
ITEM_COLUMNS = ("id_column", "title_column", "image_column")
ITEM_KEYS = ("file", *ITEM_COLUMNS, *LAYOUT_KEYS)
FEATURE_KEYS = ("file", "ids", "id_column", *LAYOUT_KEYS)


def matches(path: Path) -> bool:
    """Return True for a ``.toml`` file and for a folder with a ``dataset.toml``."""
    return (path / DESCRIPTION).is_file() if path.is_dir() else path.suffix.lower() == ".toml"


def read(path: Path) -> Dataset:
    """Read the data set that a description, or the ``dataset.toml`` of a folder, describes.

    Raises:
        FileNotFoundError: the description, or a file that it names, does not exist.
        ValueError: the description has unknown keys or wrong values, or a file does not fit it.
    """
    return read_tables(parse(path / DESCRIPTION if path.is_dir() else path))


def parse(path: Path) -> TableSettings:
    """Read a description; its file names are relative to its own folder.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not TOML, an unknown key, or a value of the wrong type.
    """
    with reading(path, "a TOML description"):
        table: Mapping[str, object] = tomllib.loads(_decoded(path.read_bytes()))
    top = _Section(table, KEYS, f"{path}", path.parent)
    items = top.section("items", ITEM_KEYS)
    source = None
    if items is not None:
        id_column, title_column, image_column = map(items.text, ITEM_COLUMNS)
        source = ItemSource(items.file("file"), id_column, title_column, image_column, items.layout())
    return TableSettings(
        top.file("interactions"),
        user_column=top.text("user_column"),
        item_column=top.text("item_column"),
        split_column=top.text("split_column"),
        items=source,
        features=_features(top, source),
        split=_split(top),
        events=EventSettings(k_core=top.count("k_core", 0)),
        name=top.text("name") or path.resolve().parent.name,
        layout=top.layout(),
    )


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text (byte {error.start}); save it as UTF-8") from None


class _Section:
    """One table of the description, whose values are checked when they are read."""

    def __init__(self, table: Mapping[str, object], keys: Collection[str], where: str, folder: Path) -> None:
        unknown = sorted(set(table).difference(keys))
        if unknown:
            new = new_name(unknown[0], keys, DATASET_KEYS) or f"; the keys are {shortlist(keys, 20)}"
            raise ValueError(f"{where} has the unknown key {clipped(unknown[0])!r}{new}")
        self.table, self.where, self.folder = table, where, folder

    def text(self, key: str) -> str | None:
        value = self.table.get(key)
        if value is not None and not (isinstance(value, str) and value):
            raise self.wrong(key, "a text in quotes")
        return value

    def file(self, key: str) -> Path:
        name = self.text(key)
        if name is None:
            raise ValueError(f'{self.where} lacks the key {key!r}; add {key} = "the name of a file"')
        return self.folder / name

    def layout(self) -> Layout:
        """Return how the text table of the section is written."""
        separator, quote = self.mark("separator"), self.mark("quote")
        encoding = self.text("encoding")
        try:
            return Layout(separator, quote, encoding)
        except ValueError as error:
            raise ValueError(f"{self.where}: {error}") from None

    def mark(self, key: str) -> str | None:
        value = self.table.get(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(key, "a text in quotes, of one character such as ';'")
        return value

    def count(self, key: str, default: int) -> int:
        value = self.table.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.wrong(key, "a whole number of at least 0")
        return value

    def section(self, key: str, keys: Collection[str] | None) -> _Section | None:
        value = self.table.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(key, f"a table, headed [{key}]")
        return _Section(value, value if keys is None else keys, f"{self.where} [{key}]", self.folder)

    def wrong(self, key: str, expected: str) -> ValueError:
        return ValueError(f"{self.where} has {key} = {clipped(repr(self.table[key]), 100)}; give it {expected}")


def _features(top: _Section, items: ItemSource | None) -> dict[str, FeatureSource]:
    """Return the feature files; one that names no ids has its rows in the order of the table of items."""
    features = top.section("features", None)
    sources: dict[str, FeatureSource] = {}
    for modality in features.table if features else ():
        section = features.section(modality, FEATURE_KEYS) if features else None
        if section is None:
            continue
        ids = section.folder / name if (name := section.text("ids")) else items.file if items else None
        column = section.text("id_column")
        if column is None and items is not None and ids == items.file:
            column = items.id_column
        layout = section.layout()
        if items is not None and ids == items.file and layout == PLAIN:
            layout = items.layout
        sources[modality] = FeatureSource(section.file("file"), ids, column, layout)
    return sources


def _split(top: _Section) -> SplitSettings:
    try:
        return validate(SplitSettings, top.table.get("split", {}), "split")
    except SettingError as error:
        raise ValueError(f"{top.where}: {error}") from None


FORMAT = DataFormat("description", DESCRIPTION, matches, read, order=0)
