"""Records of files with a record a line, too large to be held and from strangers."""

from __future__ import annotations

import ast
import gzip
import json
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BufferedIOBase
from pathlib import Path
from typing import TypeAlias

Record: TypeAlias = Mapping[str, object]
LONGEST = 4 * 2**20  # bytes a line; the longest of the public files have some 200 KB
TOO_LONG, MALFORMED, NO_RECORD, NOT_TEXT = "line too long", "malformed", "not a record", "not UTF-8"


@dataclass
class SkipCounts:
    """Lines that were left out, by the reason."""

    counts: Counter[str] = field(default_factory=Counter)


def records(
    path: Path, skipped: SkipCounts, *, on_bytes: Callable[[int], None] = lambda _count: None
) -> Iterator[Record]:
    """The records of a JSON-lines file, or one of Python literals as Amazon's metadata of 2014, gzipped or not.

    Nothing in a line is ever run: JSON is parsed, and of Python only literals are read. A line that is too long or
    malformed is skipped and counted. O(longest line) memory.

    Args:
        path: the file.
        skipped: gets the counts.
        on_bytes: hears of bytes as they are read from the disk.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or its first lines are no records at all.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; expected a file with a record a line, gzipped or not")
    good = 0
    for line in _lines(path, skipped, on_bytes):
        record, reason = _parsed(line)
        if record is not None:
            good += 1
            yield record
            continue
        skipped.counts[reason] += 1
        if not good and sum(skipped.counts.values()) >= 100:
            raise ValueError(f"{path} holds no records: its first 100 lines are {reason}; expected JSON lines")
    if not good:
        raise ValueError(f"{path} holds no records; expected a record a line, as JSON or as a Python literal")


def _lines(path: Path, skipped: SkipCounts, on_bytes: Callable[[int], None]) -> Iterator[str]:
    with path.open("rb") as raw:
        pack_state = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        file: BufferedIOBase = gzip.GzipFile(fileobj=raw) if pack_state else raw
        try:
            yield from _limited(file, raw, skipped, on_bytes)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is damaged or was not downloaded to its end ({error}); fetch it again") from None


def _limited(
    file: BufferedIOBase, raw: BufferedIOBase, skipped: SkipCounts, on_bytes: Callable[[int], None]
) -> Iterator[str]:
    before = 0
    while line := file.readline(LONGEST + 1):
        if (now := raw.tell()) - before > 2**20:
            on_bytes(now - before)
            before = now
        if len(line) > LONGEST:
            skipped.counts[TOO_LONG] += 1
            while line and not line.endswith(b"\n"):
                line = file.readline(LONGEST)
            continue
        if not line.strip():
            continue
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError:
            skipped.counts[NOT_TEXT] += 1
    on_bytes(raw.tell() - before)


def _parsed(line: str) -> tuple[Record | None, str]:
    """The record in a line, or None and why there is none."""
    try:
        value: object = json.loads(line)
    except (ValueError, RecursionError):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)  # of literals that are odd, but literals
                value = ast.literal_eval(line.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # deep nesting ends in the last two
            return None, MALFORMED
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        return None, NO_RECORD
    return value, ""
