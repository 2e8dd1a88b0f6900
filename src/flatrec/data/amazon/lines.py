"""Files with one record per line, which are too large for the memory and not trusted."""

from __future__ import annotations

import ast
import gzip
import json
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from io import BufferedIOBase
from pathlib import Path
from typing import TypeAlias

Record: TypeAlias = Mapping[str, object]
SkipCounts: TypeAlias = Counter[str]  # of lines, by reason
MAX_LINE = 4 * 2**20  # bytes; the longest lines of the public files have some 200 KB
TOO_LONG, MALFORMED, NO_RECORD, NOT_TEXT = "line too long", "malformed", "not a record", "not UTF-8"


def read_records(
    path: Path, skipped: SkipCounts, *, on_bytes: Callable[[int], None] = lambda _count: None
) -> Iterator[Record]:
    """Yield the records of a file of JSON lines or of Python literals, as Amazon's metadata of 2014; gzipped or not.

    No code in a line is ever run: JSON is parsed, and of Python only literals are read. A line that is too long or
    malformed is skipped and counted in ``skipped``; ``on_bytes`` gets the bytes that were read from the disk. O(longest
    line) memory.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or its first lines are not records.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; expected a file with one record per line, gzipped or not")
    good = 0
    for line in _lines(path, skipped, on_bytes):
        record, reason = _parsed(line)
        if record is not None:
            good += 1
            yield record
            continue
        skipped[reason] += 1
        if not good and sum(skipped.values()) >= 100:
            raise ValueError(f"{path} holds no records: its first 100 lines are {reason}; expected JSON lines")
    if not good:
        raise ValueError(f"{path} holds no records; expected one record per line, as JSON or as a Python literal")


def as_unicode(text: str) -> str:
    """Return a text as UTF-8 can hold it: the halves of characters that JSON may name become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _lines(path: Path, skipped: SkipCounts, on_bytes: Callable[[int], None]) -> Iterator[str]:
    with path.open("rb") as raw:
        gzipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        file: BufferedIOBase = gzip.GzipFile(fileobj=raw) if gzipped else raw
        try:
            yield from _limited(file, raw, skipped, on_bytes)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is damaged or was not downloaded completely ({error}); fetch it again") from None


def _limited(
    file: BufferedIOBase, raw: BufferedIOBase, skipped: SkipCounts, on_bytes: Callable[[int], None]
) -> Iterator[str]:
    before = 0
    while line := file.readline(MAX_LINE + 1):
        if (now := raw.tell()) - before > 2**20:
            on_bytes(now - before)
            before = now
        if len(line) > MAX_LINE:
            skipped[TOO_LONG] += 1
            while line and not line.endswith(b"\n"):
                line = file.readline(MAX_LINE)
            continue
        if not line.strip():
            continue
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError:
            skipped[NOT_TEXT] += 1
    on_bytes(raw.tell() - before)


def _parsed(line: str) -> tuple[Record | None, str]:
    try:
        value: object = json.loads(line)
    except (ValueError, RecursionError):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)  # about odd literals
                value = ast.literal_eval(line.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # deep nesting ends in the last two
            return None, MALFORMED
        if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
            return None, NO_RECORD
    return (value, "") if isinstance(value, dict) else (None, NO_RECORD)
