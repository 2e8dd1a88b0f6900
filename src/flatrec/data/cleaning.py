"""What reading had to change or leave out, by count and in sentences, so that nothing is lost silently."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flatrec.utils.messages import clipped, quoted

QUOTES_ADVICE = 'if quotation marks are plain text there, set quote = "" in dataset.toml'


@dataclass(frozen=True)
class TableCleaningReport:
    """What was changed or left out in one file, by count.

    Args:
        file: its name.
        joined_lines: lines that became a part of a cell that began on a line before.
        broken_ids: ids with a line break in them.
        padded_ids: ids with blanks around them, which were taken off.
        decimal_ids: ids such as ``100.0``, which were read as ``100``.
        decimal_id: one of them, as it is in the file.
        rows_without_id: rows that name no item, which were left out.
        columns: columns of row numbers, which were left out.
        unused_rows: rows whose id is that of no item.
        filtered_rows: those of them whose item the k-core filter left out.
        near: what would make ids meet, where something simple would.
    """

    file: str
    joined_lines: int = 0
    broken_ids: int = 0
    padded_ids: int = 0
    decimal_ids: int = 0
    decimal_id: str = ""
    rows_without_id: int = 0
    columns: tuple[str, ...] = ()
    unused_rows: int = 0
    filtered_rows: int = 0
    near: str = ""

    @staticmethod
    def total(file: str, tables: Sequence[TableCleaningReport]) -> TableCleaningReport:
        """Those of several files of one kind, added up."""
        return TableCleaningReport(
            file,
            joined_lines=sum(one.joined_lines for one in tables),
            broken_ids=sum(one.broken_ids for one in tables),
            padded_ids=sum(one.padded_ids for one in tables),
            decimal_ids=sum(one.decimal_ids for one in tables),
            decimal_id=next((one.decimal_id for one in tables if one.decimal_id), ""),
        )

    def sentences(self) -> Iterator[str]:
        """One for each kind of change."""
        if self.joined_lines:
            ids = f", {_count(self.broken_ids, 'id')} among them" if self.broken_ids else ""
            lines = _count(self.joined_lines, "line")
            yield (f"{self.file}: {lines} went into cells of several lines{ids}; {QUOTES_ADVICE}")
        elif self.broken_ids:
            yield f"{self.file}: {_count(self.broken_ids, 'id')} with a line break in it; check the file"
        if self.padded_ids:
            yield f"{self.file}: blanks around {_count(self.padded_ids, 'id')} were taken off"
        if self.decimal_ids:
            shown, whole = clipped(self.decimal_id), clipped(self.decimal_id.partition(".")[0])
            ids = _count(self.decimal_ids, "id")
            yield f"{self.file}: {ids} such as {shown} were read as whole numbers such as {whole}"
        if self.rows_without_id:
            yield f"{self.file}: {_count(self.rows_without_id, 'row')} without an id left out"
        if self.columns:
            yield f"{self.file}: the row numbers in {_columns(self.columns)} are no features and were left out"
        if self.unused_rows:
            yield self._unused()

    def _unused(self) -> str:
        filtered, foreign = self.filtered_rows, self.unused_rows - self.filtered_rows
        reasons = [f"{foreign} with an id that no pair has"] if foreign else []
        reasons += [f"{filtered} of items that the k-core filter left out"] if filtered else []
        near = f"; {self.near}" if self.near and foreign else ""
        return f"{self.file}: {_count(self.unused_rows, 'row')} not used ({', '.join(reasons)}){near}"


@dataclass(frozen=True)
class CleaningReport:
    """What reading had to change, by count."""

    duplicates: int = 0  # pairs given more than once; the first part (train, valid, test) is kept
    filtered_users: int = 0  # users left out by the k-core filter
    filtered_items: int = 0  # items left out by the k-core filter
    filtered_pairs: int = 0  # pairs left out by the k-core filter
    unknown_features: int = 0  # feature rows of ids that are not items of the data set
    core: int = 0  # the fewest pairs a user and an item must have, where a filter left something out
    untitled: int = 0  # items without a title, where others have one
    unimaged: int = 0  # items without an image, where others have one
    tables: tuple[TableCleaningReport, ...] = ()  # files in which something was changed or left out

    def sentences(self) -> tuple[str, ...]:
        """What a user should know, one plain sentence each; none where nothing was changed."""
        found = [sentence for table in self.tables for sentence in table.sentences()]
        if self.duplicates:
            found.append(f"{_count(self.duplicates, 'pair')} given more than once; each counts once")
        if self.filtered_pairs:
            found.append(
                f"the {self.core}-core filter left out {_count(self.filtered_users, 'user')}, "
                f"{_count(self.filtered_items, 'item')} and {_count(self.filtered_pairs, 'pair')}; core = 0 keeps them"
            )
        if self.untitled:
            found.append(f"{_count(self.untitled, 'item')} without a title, called by their ids")
        if self.unimaged:
            found.append(f"{_count(self.unimaged, 'item')} without an image")
        return tuple(clipped(sentence, 480) for sentence in found)


def _columns(names: Sequence[str]) -> str:
    """Columns by their names; those that have none, or that a reader gave one to, by their number."""
    named = [name for name in names if name.strip() and not name.startswith("_duplicated_")]
    nameless = len(names) - len(named)
    told = ["a column without a name" if nameless == 1 else f"{nameless} columns without a name"] if nameless else []
    return " and ".join([*told, *([quoted(named)] if named else [])])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
