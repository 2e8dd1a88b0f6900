"""Folders of the text files of AGREE (Cao et al., SIGIR 2018), in which data for group recommendation are published."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from flatrec.data.builder import build_dataset
from flatrec.data.cleaning import EventReport, TableCleaningReport
from flatrec.data.dataset import Dataset
from flatrec.data.formats import DataFormat
from flatrec.data.groups import Memberships
from flatrec.data.released_negatives import ReleasedNegatives
from flatrec.data.tables.events import Events
from flatrec.data.tables.groups import join_events
from flatrec.data.tables.malformed import reading
from flatrec.utils.messages import clipped

MEMBERS = "groupMember.txt"
PREFIX = "group-"  # before the ids of groups, which are numbers as those of persons are
SPLITS = {"Train": 0, "Test": 2}
PAIR = re.compile(r"\(([^,()]+),([^,()]+)\)")  # such as (7,105)


class _Negatives(NamedTuple):
    """The items that were drawn for an interaction, by id."""

    user: str
    item: str
    items: list[str]


class _Line(NamedTuple):
    """The fields of a line that is not blank, and where it is."""

    where: str
    fields: list[str]


def read(directory: Path) -> Dataset:
    """Read the data set of a folder with ``groupMember.txt`` and the files of ratings, such as Mafengwo or CAMRa2011.

    A line of ``groupMember.txt`` is a group and its members, separated by commas. A line of ``userRatingTrain.txt``,
    ``userRatingTest.txt``, ``groupRatingTrain.txt`` and ``groupRatingTest.txt`` is a user or a group, an item, and a
    rating, if there are ratings. Groups have the prefix ``group-``. As in the releases that use these files, a training
    row with a rating of 0 or less is left out, every test row is relevant, and there is no validation split.

    The files ``userRatingNegative.txt`` and ``groupRatingNegative.txt``, where they are present, have a line for each
    line of the test file: its user or group and its item in parentheses, and the items that were drawn for it, such as
    ``(7,105) 31 4 12``. Sampled metrics rank among these.

    Raises:
        FileNotFoundError: one of these files is missing.
        ValueError: a line has another form, or the files do not fit one another.
    """
    memberships = _memberships(directory / MEMBERS)
    persons, groups = (_events(directory, kind) for kind in ("user", "group"))
    events = join_events(persons, groups, memberships, PREFIX)
    dataset = build_dataset(
        directory.resolve().name,
        events.frame,
        memberships=memberships,
        cleaning_report=events.cleaning_report,
        event_report=events.report,
    )
    lists = [*_negatives(directory, "user"), *_negatives(directory, "group")]
    return replace(dataset, released_negatives=_indexed(lists, dataset)) if lists else dataset


def _negatives(directory: Path, kind: str) -> Iterator[_Negatives]:
    """Yield the lists of persons or of groups, if there is a file of them.

    Raises:
        ValueError: a line has another form or is for no line of the test file, or a line of the test file has none.
    """
    path, test = directory / f"{kind}RatingNegative.txt", directory / f"{kind}RatingTest.txt"
    if not path.is_file():
        return
    missing = {(line.fields[0], line.fields[1]): line.where for line in _lines(test, _form(kind), (2, 3))}
    known = frozenset(missing)
    form = f"({kind},item) and the items that were drawn for it, such as (7,105) 31 4 12"
    for line in _lines(path, form):
        pair = PAIR.fullmatch(line.fields[0])
        if pair is None or len(line.fields) < 2 or set("(),") & set("".join(line.fields[1:])):
            raise ValueError(f"{line.where} begins with {clipped(' '.join(line.fields[:2]))!r}; expected {form}")
        owner, item = pair.groups()
        if (owner, item) not in known:
            raise ValueError(f"{line.where} is for {line.fields[0]}, which {test.name} does not have; remove the line")
        missing.pop((owner, item), None)
        yield _Negatives(owner if kind == "user" else PREFIX + owner, item, line.fields[1:])
    if missing:
        (owner, item), where = next(iter(missing.items()))
        raise ValueError(f"{path} has no line for ({owner},{item}) of {where}; give it one, or remove the file")


def _indexed(lists: list[_Negatives], dataset: Dataset) -> ReleasedNegatives:
    """Return the lists by index; items that the data set does not have are left out."""
    found = [[dataset.items.index_of(item) for item in one.items if item in dataset.items] for one in lists]
    counts = [len(items) for items in found]
    return ReleasedNegatives(
        np.array([dataset.users.index_of(one.user) for one in lists]),
        np.array([dataset.items.index_of(one.item) for one in lists]),
        np.array(counts),
        np.array([item for items in found for item in items], dtype=np.int64),
        sum(len(one.items) for one in lists) - sum(counts),
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
        for line in _lines(path, _form(kind), (2, 3)):
            if split == 0 and len(line.fields) == 3 and _rating(line) <= 0:
                dropped += 1
                continue
            rows.append((line.fields[0], line.fields[1], split))
    frame = pl.DataFrame(rows, schema={"user": pl.String, "item": pl.String, "split": pl.Int8}, orient="row")
    report = EventReport(rows=len(rows) + dropped, low_ratings=dropped)
    return Events(frame, report, TableCleaningReport(f"{kind}Rating*.txt"))


def _form(kind: str) -> str:
    return f"a {kind}, an item and perhaps a rating, such as 7 105 or 7 105 80"


def _rating(line: _Line) -> float:
    try:
        return float(line.fields[2])
    except ValueError:
        raise ValueError(f"{line.where} has the rating {clipped(line.fields[2])!r}; give it a number") from None


def _lines(path: Path, form: str, lengths: tuple[int, ...] = ()) -> Iterator[_Line]:
    """Yield the lines of a file.

    Args:
        path: the file.
        form: what a line should be, for messages.
        lengths: the numbers of fields that a line may have; any if left out.

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
        if line.fields and lengths and len(line.fields) not in lengths:
            raise ValueError(f"{line.where} is {clipped(content)!r}; expected {form}")
        if line.fields:
            yield line


def matches(path: Path) -> bool:
    """Return True for a folder with ``groupMember.txt``."""
    return (path / MEMBERS).is_file()


FORMAT = DataFormat("agree", MEMBERS, matches, read, order=40)
