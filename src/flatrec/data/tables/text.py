"""Delimited text of unknown origin: recognize its separator, quotation marks, encoding and line ends."""

from __future__ import annotations

import codecs
import gzip
import mmap
import re
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import NamedTuple

import polars as pl

from flatrec.utils.messages import clipped

SEPARATORS = (",", "\t", ";", "|")
GZIPPED = ".gz"
_GZIP, _MARK = b"\x1f\x8b", b"\xef\xbb\xbf"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_EXCEL = re.compile(r'"?sep=(.)"?', re.IGNORECASE)  # a first line that Excel writes and reads
# A cell of a file with tabs that begins and ends with a quotation mark, inner ones doubled.
_QUOTED = re.compile(rb'(?:\A|(?<=[\t\n\r]))"[^"]*(?:""[^"]*)*"(?=[\t\r\n]|\Z)')
_PORTION = 2**22


@dataclass(frozen=True)
class Layout:
    """How a text table is written; what is None is recognized from the file.

    Args:
        separator: the character between cells.
        quote: the quotation mark around cells; an empty text if there is none.
        encoding: the name of an encoding that Python has; UTF-8 if left out.
        decimal: the decimal mark of numbers: a dot, or a comma, where dots may stand between thousands.

    Raises:
        ValueError: the separator or mark is not one ASCII character, or the encoding does not exist.
    """

    separator: str | None = None
    quote: str | None = None
    encoding: str | None = None
    decimal: str = "."

    def __post_init__(self) -> None:
        if self.decimal not in (".", ","):
            raise ValueError(f"decimal must be '.' or ',', but is {clipped(self.decimal)!r}")
        for what, mark in (("separator", self.separator), ("quote", self.quote or None)):
            if mark is not None and (len(mark) != 1 or not mark.isascii() or mark in "\r\n\0"):
                raise ValueError(f"{what} must be one ASCII character, such as ';' or '\"', but is {clipped(mark)!r}")
        try:
            "".encode(self.encoding or "utf-8")
        except (LookupError, ValueError):
            raise ValueError(
                f"encoding must be the name of a text encoding, such as utf-8, utf-16 or cp1252, "
                f"but is {clipped(str(self.encoding))!r}"
            ) from None


PLAIN = Layout()


def ending(path: Path) -> str:
    """Return the ending of a file's name in lower case, without ``.gz``: that of ``clicks.csv.gz`` is ``.csv``."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix == GZIPPED else suffix


class LineCounts(NamedTuple):
    """Counts over the lines below a header."""

    lines: int  # the number of lines
    separators: int  # the number of separators in them, including those inside cells
    quotes: bool  # whether there is a quotation mark in them


@dataclass(frozen=True, eq=False)
class TextTable:
    """A text table and its layout."""

    path: Path  # the file
    content: bytes | None  # its bytes, converted to UTF-8 with common line ends; None if the file can be read as it is
    header: str  # the line of column names
    header_line: int  # the number of that line in the file
    separator: str  # the character between cells
    quote: str | None  # the quotation mark around cells; None if there is none

    def scan(self) -> pl.LazyFrame:
        """Return the table, all columns as text; a blank line is a row without any cell."""
        return pl.scan_csv(
            self.path if self.content is None else self.content,
            separator=self.separator,
            quote_char=self.quote,
            infer_schema=False,
            glob=False,
            skip_lines=self.header_line - 1,
        )

    def count_lines(self) -> LineCounts:
        """Count lines, separators and quotation marks below the header, at the speed of the disk."""
        breaks, separators, quotes, last = 0, 0, False, b"\n"
        with self._file() as file:
            for _ in range(self.header_line):
                file.readline()
            while portion := file.read(_PORTION):
                breaks += portion.count(b"\n")
                separators += portion.count(self.separator.encode())
                quotes = quotes or (self.quote is not None and self.quote.encode() in portion)
                last = portion[-1:]
        return LineCounts(breaks + (last != b"\n"), separators, quotes)

    def fault(self) -> str:
        """Describe the first line that is not a valid row; empty if all lines are valid."""
        width = len(cells(self.header, self.separator, self.quote))
        for number, line in self._lines():
            try:
                text = line.decode()
            except UnicodeDecodeError:
                return f"line {number} is not UTF-8 text; {_other_encoding()}"
            row = cells(text, self.separator, self.quote)
            if self.quote and any(_stray(cell, self.quote) for cell in row):
                return (
                    f"line {number} has a quotation mark that does not enclose its cell; if quotation marks are plain "
                    'text there, set quote = "" in dataset.toml'
                )
            if len(row) > width:
                return (
                    f"line {number} has {len(row)} cells, but its header {width}; repair the line, or name another "
                    "separator in dataset.toml"
                )
        return ""

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        with self._file() as file:
            for number, line in enumerate(file, 1):
                if number > self.header_line:
                    yield number, line.rstrip(b"\r\n")

    def _file(self) -> BufferedReader | BytesIO:
        return self.path.open("rb") if self.content is None else BytesIO(self.content)


def open_text(path: Path, layout: Layout, wanted: Sequence[Collection[str]] = ()) -> TextTable:
    """Recognize how a text table is written.

    Args:
        path: the file.
        layout: what is known of its layout.
        wanted: columns that the table should have, each as a group of possible names; the separator is the one under
            which most of them are found.

    Raises:
        OSError: the file cannot be read.
        ValueError: not UTF-8 and no encoding given, not as encoded, or without a header.
    """
    content = _content(path, layout.encoding)
    with path.open("rb") if content is None else BytesIO(content) as file:
        number, line = next(
            (
                (number, content_line)
                for number, content_line in enumerate(file, 1)
                if content_line.removeprefix(_MARK).strip()
            ),
            (1, b""),
        )
        header = _decoded(path, line)
        separator = layout.separator
        if declared := _EXCEL.fullmatch(header):
            separator = separator or declared[1]
            number, header = number + 1, _decoded(path, next(file, b""))
    if not header.strip():
        raise ValueError(f"{path} has an empty first line; expected a table with a header")
    tabs = ending(path) == ".tsv" and separator in (None, "\t")
    quote = layout.quote
    if quote is None:
        quote = '"' if not tabs or _encloses(path, content) else ""
    separator = separator or ("\t" if tabs else _separator(header, quote, wanted))
    if separator == quote:
        raise ValueError(
            f"{path} cannot have {separator!r} both between and around cells; name another separator or quote in "
            'dataset.toml (quote = "" where no marks are around cells)'
        )
    return TextTable(path, content, header, number, separator, quote or None)


def cells(line: str, separator: str, quote: str | None) -> list[str]:
    """Return the cells of a line, with their quotation marks."""
    if not quote or quote not in line:
        return line.split(separator)
    # Every second piece is inside quotation marks; line breaks instead of it keep the length and separate nothing.
    pieces = enumerate(line.split(quote))
    outside = quote.join(piece if index % 2 == 0 else "\n" * len(piece) for index, piece in pieces)
    ends = [index for index, letter in enumerate(outside) if letter == separator]
    return [line[start:end] for start, end in zip([0, *(end + 1 for end in ends)], [*ends, len(line)], strict=True)]


def _stray(cell: str, quote: str) -> bool:
    return quote in cell and not (
        len(cell) > 1 and cell.startswith(quote) and cell.endswith(quote) and cell.count(quote) % 2 == 0
    )


def _separator(header: str, quote: str, wanted: Sequence[Collection[str]]) -> str:
    """Return the separator under which the header has most of the wanted columns; of equal ones, most columns."""

    def matches(separator: str) -> tuple[int, int]:
        names = [cell.strip(quote or None).lower() for cell in cells(header, separator, quote or None)]
        distinct = set(names)
        return sum(any(name.lower() in distinct for name in group) for group in wanted), len(names)

    return max((separator for separator in SEPARATORS if separator != quote), key=matches)


def _encloses(path: Path, content: bytes | None) -> bool:
    """Return True if quotation marks in a file with tabs enclose cells, and are not plain text."""
    with _buffer(path, content) as data:
        enclosed = 0
        for match in _QUOTED.finditer(data):
            cell = match[0]
            if b"\n" in cell and (b"\t" in cell or b"\t" not in data[: data.find(b"\n")]):
                return False  # the cell would hold whole rows: its marks belong to two cells
            enclosed += cell.count(b'"')
        return enclosed > 0 and enclosed == sum(1 for _ in re.finditer(b'"', data))


@contextmanager
def _buffer(path: Path, content: bytes | None) -> Iterator[bytes | mmap.mmap]:
    if content is not None:
        yield content
        return
    with path.open("rb") as file:
        if not path.stat().st_size:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def _content(path: Path, encoding: str | None) -> bytes | None:
    """Return the text as UTF-8 with common line ends; None if the file has both."""
    name = codecs.lookup(encoding or "utf-8").name.removesuffix("-sig")
    with path.open("rb") as file:
        head = file.read(2**16)
    content = _decompressed(path) if head.startswith(_GZIP) else None
    if name != "utf-8":
        raw = path.read_bytes() if content is None else content
        try:
            content = raw.decode(name).lstrip("\ufeff").encode()
        except ValueError:
            raise ValueError(
                f"{path} is not {clipped(str(encoding))} text; name its encoding in dataset.toml"
            ) from None
    head = head if content is None else content[: 2**16]
    if b"\r" in head[:-1] and b"\n" not in head:  # lines end as on an old Mac
        content = (path.read_bytes() if content is None else content).replace(b"\r", b"\n")
    return content


def _decompressed(path: Path) -> bytes:
    try:
        with gzip.open(path) as file:
            return file.read()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} cannot be decompressed ({error}); fetch or write it again") from None


def _decoded(path: Path, line: bytes) -> str:
    if b"\0" in line or line.startswith(_UTF16):
        name = _utf16(line)
        reason = (
            f'it looks like UTF-16: name it (encoding = "{name}" in dataset.toml), or save the file as UTF-8'
            if name
            else "it holds NUL bytes, as no text does; give a text table"
        )
        raise ValueError(f"{path} cannot be read as UTF-8 text: {reason}")
    try:
        return line.removeprefix(_MARK).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path} cannot be read as UTF-8 text: {_other_encoding()}") from None


def _utf16(line: bytes) -> str:
    """Return the kind of UTF-16 of a line, recognized by its mark or by zeros at every second byte; empty for none."""
    if line.startswith(_UTF16):
        return "utf-16"
    even, odd = line[::2].count(0), line[1::2].count(0)
    third = len(line) // 3
    return "utf-16-le" if odd > third and not even else "utf-16-be" if even > third and odd <= 1 else ""


def _other_encoding() -> str:
    return 'it may be cp1252 or Latin-1: name it (encoding = "cp1252" in dataset.toml), or save the file as UTF-8'
