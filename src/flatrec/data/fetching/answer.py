"""Whether the answer of a server is a whole file, a range of it, or neither."""

from __future__ import annotations

import re
from http.client import HTTPResponse
from typing import NamedTuple

from flatrec.data.fetching.partial_download import FileVersion

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_PRINTABLE = re.compile(r'"[\x21\x23-\x7e]{0,200}"')  # a strong ETag that can be sent back


class NotTheFileError(ConnectionError):
    """The answer is not the file, and another attempt will not help."""


class WrongRangeError(ConnectionError):
    """The answer is not the requested range of the file; the whole file may be available."""


class AnswerBody(NamedTuple):
    """The content of the body of an answer."""

    start: int  # the index of its first byte in the file
    length: int | None  # its number of bytes; None if the server does not say
    version: FileVersion  # the version of the file


def check_answer(answer: HTTPResponse, start: int, wanted: FileVersion) -> AnswerBody:
    """Return what the body of an answer holds, judged by the headers; ``start`` is the first byte that was requested.

    Raises:
        NotTheFileError: the body is not the file.
        WrongRangeError: it is another range, or belongs to another version.
    """
    if answer.status not in (200, 206) or (answer.status == 206 and not start):
        raise NotTheFileError(f"its answer has status {answer.status}, where 200 was expected")
    if answer.headers.get_content_type() == "text/html" and "Content-Type" in answer.headers:
        raise NotTheFileError("its answer is a web page, not the file")
    length, etag = _length(answer), answer.headers.get("ETag", "")
    if answer.status == 200:
        if length == 0:
            raise NotTheFileError("its answer is empty")
        return AnswerBody(0, length, FileVersion(etag if _PRINTABLE.fullmatch(etag) else "", length))
    match = _RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    if not match:
        raise WrongRangeError("its answer does not say which range of the file it is")
    first, end = int(match[1]), int(match[2]) + 1
    total = wanted.length if match[3] == "*" else int(match[3])
    if etag != wanted.etag or total != wanted.length:
        raise WrongRangeError("its answer is a range of another version of the file")
    if first != start or end <= first or (total is not None and end > total) or length not in (None, end - first):
        raise WrongRangeError("its answer is not the requested range of the file")
    return AnswerBody(start, end - first, wanted)


def _length(answer: HTTPResponse) -> int | None:
    length = answer.headers.get("Content-Length")
    if length is None or answer.chunked:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", length.strip()):
        raise NotTheFileError(f"its Content-Length is {length[:40]!r}, not a number of bytes")
    return int(length)
