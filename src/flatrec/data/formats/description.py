"""The ``dataset.toml`` that says which files and columns make up a data set."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path

from flatrec.config.old_words import DATASET_KEYS, new_name
from flatrec.data.builder import SplitSettings
from flatrec.data.dataset import Dataset
from flatrec.data.formats.files import reading
from flatrec.data.formats.keyed import FeatureSource
from flatrec.data.formats.table import ItemSource, TableSettings, read, read_file
from flatrec.data.formats.text import PLAIN, Layout
from flatrec.utils.messages import clipped, shortlist

DESCRIPTION = "dataset.toml"
LAYOUT_KEYS = ("separator", "quote", "encoding")
KEYS = (
    "name", "interactions", "user_column", "item_column", "part_column", "core", "seed", "ratios",
    "items", "features", *LAYOUT_KEYS,
)  # fmt: skip
ITEM_COLUMNS = ("id_column", "title_column", "image_column")
ITEM_KEYS = ("file", *ITEM_COLUMNS, *LAYOUT_KEYS)
FEATURE_KEYS = ("file", "ids", "id_column", *LAYOUT_KEYS)


def read_path(path: Path) -> Dataset:
    """The data set of a folder with a ``dataset.toml``, of a ``.toml`` file, or of a single table.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: a file is malformed, or the files do not fit one another.
    """
    if path.is_dir():
        return read_description(path / DESCRIPTION) if (path / DESCRIPTION).is_file() else read_file(path)
    return read_description(path) if path.suffix.lower() == ".toml" else read_file(path)


def read_description(path: Path) -> Dataset:
    """The data set that a description names.

    Raises:
        FileNotFoundError: the description, or a file that it names, does not exist.
        ValueError: the description has unknown keys or wrong values, or a file does not fit it.
    """
    return read(parse(path))


def parse(path: Path) -> TableSettings:
    """What a description says, its file names relative to its own folder.

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
        part_column=top.text("part_column"),
        items=source,
        features=_features(top, source),
        split=_split(top),
        name=top.text("name") or path.resolve().parent.name,
        layout=top.layout(),
    )


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text (byte {error.start}); save it as UTF-8") from None


class _Section:
    """One table of the description, whose values are checked as they are taken."""

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
        """How the section's text table is written."""
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

    def number(self, key: str, default: int) -> int:
        value = self.table.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(key, "a whole number")
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
    """The feature files; where one names no ids of its own, its rows are in the order of the items table."""
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
    ratios = top.table.get("ratios", [8, 1, 1])
    numbers = [value for value in ratios if type(value) in (int, float)] if isinstance(ratios, list) else []
    if not isinstance(ratios, list) or len(ratios) != 3 or len(numbers) != 3:
        raise top.wrong("ratios", "three numbers, e.g. [8, 1, 1]")
    core, seed = top.number("core", 5), top.number("seed", 0)
    try:
        return SplitSettings(core, seed, (numbers[0], numbers[1], numbers[2]))
    except ValueError as error:
        raise ValueError(f"{top.where}: {error}") from None
