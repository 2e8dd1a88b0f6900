"""Folders of the text files of AGREE (Cao et al., SIGIR 2018), in which data for group recommendation are published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from flatrec.data.builder import build_dataset
from flatrec.data.cleaning import EventReport, TableCleaningReport
from flatrec.data.dataset import Dataset
from flatrec.data.formats import DataFormat
from flatrec.data.groups import Memberships
from flatrec.data.tables.events import Events
from flatrec.data.tables.groups import join_events
from flatrec.data.tables.malformed import reading
from flatrec.utils.messages import clipped

MEMBERS = "groupMember.txt"
PREFIX = "group-"  # before the ids of groups, which are numbers as those of persons are
SPLITS = {"Train": 0, "Test": 2}


class _Line(NamedTuple):
    """The fields of a line that is not blank, and where it is."""

    where: str
    fields: list[str]


def read(directory: Path) -> Dataset:
    """Read the data set of a folder with ``groupMember.txt`` and the files of ratings, such as Mafengwo or CAMRa2011.

    A line of ``groupMember.txt`` is a group and its members, separated by commas. A line of ``userRatingTrain.txt``,
    ``userRatingTest.txt``, ``groupRatingTrain.txt`` and ``groupRatingTest.txt`` is a user or a group, an item, and a
    rating, if there are ratings. Groups have the prefix ``group-``. As in the releases that use these files, a training
    row with a rating of 0 or less is left out, every test row is relevant, and there is no validation split. The
    negatives drawn for the test (``...Negative.txt``) are not read: sampled metrics draw their own.

    Raises:
        FileNotFoundError: one of these files is missing.
        ValueError: a line has another form, or the files do not fit one another.
    """
    memberships = _memberships(directory / MEMBERS)
    persons, groups = (_events(directory, kind) for kind in ("user", "group"))
    events = join_events(persons, groups, memberships, PREFIX)
    return build_dataset(
        directory.resolve().name,
        events.frame,
        memberships=memberships,
        cleaning_report=events.cleaning_report,
        event_report=events.report,
    )


def _memberships(path: Path) -> Memberships:
    pairs = [
        (PREFIX + line.fields[0], member)
        for line in _lines(path, "a group and its members, such as 0 12,7,31", (2,))
        for member in filter(None, line.fields[1].split(","))
    ]
    return Memberships([group for group, _ in pairs], [person for _, person in pairs], str(path))


def _events(directory: Path, kind: str) -> Events:
    """Return the events of persons or of groups from the files of both splits."""
    rows: list[tuple[str, str, int]] = []
    dropped = 0
    for part, split in SPLITS.items():
        path = directory / f"{kind}Rating{part}.txt"
        for line in _lines(path, f"a {kind}, an item and perhaps a rating, such as 7 105 or 7 105 80", (2, 3)):
            if split == 0 and len(line.fields) == 3 and _rating(line) <= 0:
                dropped += 1
                continue
            rows.append((line.fields[0], line.fields[1], split))
    frame = pl.DataFrame(rows, schema={"user": pl.String, "item": pl.String, "split": pl.Int8}, orient="row")
    report = EventReport(rows=len(rows) + dropped, low_ratings=dropped)
    return Events(frame, report, TableCleaningReport(f"{kind}Rating*.txt"))


def _rating(line: _Line) -> float:
    try:
        return float(line.fields[2])
    except ValueError:
        raise ValueError(f"{line.where} has the rating {clipped(line.fields[2])!r}; give it a number") from None


def _lines(path: Path, form: str, lengths: tuple[int, ...]) -> Iterator[_Line]:
    """Yield the lines of a file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line has another number of fields.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; a folder with {MEMBERS} needs it")
    with reading(path, "a text file"):
        text = path.read_text(encoding="utf-8")
    for number, content in enumerate(text.splitlines(), start=1):
        line = _Line(f"{path} line {number}", content.split())
        if line.fields and len(line.fields) not in lengths:
            raise ValueError(f"{line.where} is {clipped(content)!r}; expected {form}")
        if line.fields:
            yield line


def matches(path: Path) -> bool:
    """Return True for a folder with ``groupMember.txt``."""
    return (path / MEMBERS).is_file()


FORMAT = DataFormat("agree", MEMBERS, matches, read, order=40)
