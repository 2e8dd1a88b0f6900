"""What reading had to change or leave out: counts, and sentences for the user, so that nothing is lost silently."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from flatrec.utils.messages import clipped, count, quoted

QUOTES_ADVICE = 'if quotation marks are plain text there, set quote = "" in dataset.toml'


@dataclass(frozen=True)
class TableCleaningReport:
    """The counts of what was changed or left out in one file."""

    file: str  # the name of the file
    joined_lines: int = 0  # lines that continue a cell which began on an earlier line
    broken_ids: int = 0  # ids that contain a line break
    padded_ids: int = 0  # ids with blanks around them, which were removed
    lowercased_ids: int = 0  # ids with capital letters, which became lower case
    decimal_ids: int = 0  # ids such as ``100.0``, which were read as ``100``
    decimal_id_example: str = ""  # one of these, as the file has it
    rows_without_id: int = 0  # rows without an item id, which were left out
    row_number_columns: tuple[str, ...] = ()  # columns of row numbers, which were left out
    unused_rows: int = 0  # rows whose id is not that of an item
    filtered_rows: int = 0  # the unused rows whose item was removed by the k-core filter
    near_misses: str = ""  # a simple difference because of which ids do not match; empty if there is none
    unused_time_column: str = ""  # a column with a name of times that holds none; empty if there is none
    unused_time_reason: str = ""  # what is wrong with it
    skipped: tuple[tuple[str, int], ...] = ()  # lines that preparation left out: the reason, and how many

    @staticmethod
    def total(file: str, tables: Sequence[TableCleaningReport]) -> TableCleaningReport:
        """Return the sums over several files of one kind."""
        return TableCleaningReport(
            file,
            joined_lines=sum(table.joined_lines for table in tables),
            broken_ids=sum(table.broken_ids for table in tables),
            padded_ids=sum(table.padded_ids for table in tables),
            lowercased_ids=sum(table.lowercased_ids for table in tables),
            decimal_ids=sum(table.decimal_ids for table in tables),
            decimal_id_example=next((table.decimal_id_example for table in tables if table.decimal_id_example), ""),
        )

    def sentences(self) -> Iterator[str]:
        """Yield one sentence for each kind of change."""
        yield from self._line_changes()
        yield from self._id_changes()
        if self.rows_without_id:
            yield f"{self.file}: {count(self.rows_without_id, 'row')} without an id left out"
        if self.row_number_columns:
            yield f"{self.file}: the row numbers in {_columns(self.row_number_columns)} are not features; left out"
        if self.unused_rows:
            yield self._unused()
        if self.unused_time_column:
            yield (
                f"{self.file}: the column {clipped(self.unused_time_column)!r} is not used as times: "
                f"{self.unused_time_reason}"
            )

    def _line_changes(self) -> Iterator[str]:
        if self.skipped:
            reasons = ", ".join(f"{number} {clipped(reason)}" for reason, number in self.skipped)
            lines = count(sum(number for _, number in self.skipped), "line")
            yield f"{self.file}: preparation left out {lines} ({reasons})"
        if self.joined_lines:
            ids = f", {count(self.broken_ids, 'id')} among them" if self.broken_ids else ""
            lines = count(self.joined_lines, "line")
            yield f"{self.file}: {lines} became parts of multi-line cells{ids}; {QUOTES_ADVICE}"
        elif self.broken_ids:
            yield f"{self.file}: {count(self.broken_ids, 'id')} with a line break inside; check the file"

    def _id_changes(self) -> Iterator[str]:
        if self.padded_ids:
            yield f"{self.file}: blanks around {count(self.padded_ids, 'id')} were removed"
        if self.lowercased_ids:
            yield f"{self.file}: {count(self.lowercased_ids, 'id')} were written in lower case"
        if self.decimal_ids:
            shown, whole = clipped(self.decimal_id_example), clipped(self.decimal_id_example.partition(".")[0])
            ids = count(self.decimal_ids, "id")
            yield f"{self.file}: {ids} such as {shown} were read as whole numbers such as {whole}"

    def _unused(self) -> str:
        filtered, foreign = self.filtered_rows, self.unused_rows - self.filtered_rows
        reasons = [f"{foreign} whose id is in no interaction"] if foreign else []
        reasons += [f"{filtered} whose item was removed by the k-core filter"] if filtered else []
        near_misses = f"; {self.near_misses}" if self.near_misses and foreign else ""
        return f"{self.file}: {count(self.unused_rows, 'row')} not used ({', '.join(reasons)}){near_misses}"


@dataclass(frozen=True)
class EventReport:
    """The counts of the rows of interactions that are no events of a user and an item, or cancel others."""

    rows: int = 0  # rows of the source, blank ones left out
    without_id: int = 0  # rows without a user or item id, which were left out
    unnamed_events: int = 0  # rows with an event that has no weight, which were left out
    unnamed_event_names: tuple[str, ...] = ()  # the most frequent of these events
    first_unnamed_event: str = ""  # where the first of these rows is, such as ``line 7``
    low_ratings: int = 0  # rows with a rating below the minimum, which were left out
    without_quantity: int = 0  # purchases and returns of quantity 0, and other events of a negative one; left out
    returns: int = 0  # returns, which are subtracted from purchases
    logged: int = 0  # rows that a log of events added
    logged_before: int = 0  # events of the log that are rows of the source already, and are not counted as rows again

    @staticmethod
    def total(reports: Sequence[EventReport]) -> EventReport:
        """Return the sums over the rows of several tables."""
        return EventReport(
            rows=sum(report.rows for report in reports),
            without_id=sum(report.without_id for report in reports),
            unnamed_events=sum(report.unnamed_events for report in reports),
            unnamed_event_names=tuple(dict.fromkeys(name for report in reports for name in report.unnamed_event_names)),
            first_unnamed_event=next((one.first_unnamed_event for one in reports if one.first_unnamed_event), ""),
            low_ratings=sum(report.low_ratings for report in reports),
            without_quantity=sum(report.without_quantity for report in reports),
            returns=sum(report.returns for report in reports),
            logged=sum(report.logged for report in reports),
            logged_before=sum(report.logged_before for report in reports),
        )

    def sentences(self) -> Iterator[str]:
        """Yield one sentence for each count that is not 0."""
        if self.without_id:
            yield f"{count(self.without_id, 'row')} without a user or item id left out"
        if self.unnamed_events:
            rows, names = count(self.unnamed_events, "row"), quoted(self.unnamed_event_names, 3)
            first = f", the first in {self.first_unnamed_event}" if self.first_unnamed_event else ""
            yield f"{rows} with an event that [events] does not name left out: {names}{first}"
        if self.low_ratings:
            yield f"{count(self.low_ratings, 'row')} with a rating below min_rating left out"
        if self.without_quantity:
            rows = count(self.without_quantity, "row")
            yield f"{rows} with a quantity of 0, or a negative one of no purchase, left out"
        if self.returns:
            yield f"{count(self.returns, 'return')} subtracted from earlier purchases of the same user and item"
        if self.logged or self.logged_before:
            before = f"; {self.logged_before} more are rows of the data already" if self.logged_before else ""
            yield f"{count(self.logged, 'event')} of the log added{before}"


@dataclass(frozen=True)
class CleaningReport:
    """The counts of what reading had to change or leave out in a whole data set."""

    events: EventReport = field(default_factory=EventReport)  # rows of interactions that were left out, or returns
    prepared_repeats: int = 0  # repeated interactions that preparation joined to one
    filtered_users: int = 0  # users removed by the k-core filter
    filtered_items: int = 0  # items removed by the k-core filter
    filtered_interactions: int = 0  # interactions of a user and an item removed by the k-core filter
    filtered_events: int = 0  # the events of these interactions, returns left out
    unknown_features: int = 0  # feature rows of ids that are not items of the data set
    k_core: int = 0  # minimum interactions per user and item, if the filter removed something
    items_without_row: int = 0  # items that the table of items does not have
    items_without_title: int = 0  # items without a title, where others have one
    items_without_image: int = 0  # items without an image, where others have one
    tables: tuple[TableCleaningReport, ...] = ()  # files in which something was changed or left out

    def sentences(self) -> tuple[str, ...]:
        """Return what a user should know, one sentence each; none if nothing was changed."""
        sentences = [sentence for table in self.tables for sentence in table.sentences()]
        sentences += self.events.sentences()
        if self.prepared_repeats:
            sentences.append(
                f"preparation joined {count(self.prepared_repeats, 'repeated interaction')} to earlier ones"
            )
        if self.filtered_interactions:
            sentences.append(
                f"the {self.k_core}-core filter removed {count(self.filtered_users, 'user')}, "
                f"{count(self.filtered_items, 'item')} and {count(self.filtered_interactions, 'interaction')}; "
                "a k-core of 0 keeps them"
            )
        if self.items_without_row:
            items = count(self.items_without_row, "item")
            sentences.append(f"{items} without a row in the table of items; kept, and shown by their ids")
        if self.items_without_title > self.items_without_row:
            sentences.append(f"{count(self.items_without_title, 'item')} without a title; their ids are shown instead")
        if self.items_without_image:
            sentences.append(f"{count(self.items_without_image, 'item')} without an image")
        return tuple(clipped(sentence, 480) for sentence in sentences)


def _columns(names: Sequence[str]) -> str:
    """Return the names of columns for a message; columns without a name, and those named by polars, are counted."""
    named = [name for name in names if name.strip() and not name.startswith("_duplicated_")]
    nameless = len(names) - len(named)
    counted = "a column without a name" if nameless == 1 else f"{nameless} columns without a name"
    return " and ".join([*([counted] if nameless else []), *([quoted(named)] if named else [])])
