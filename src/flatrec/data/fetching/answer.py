"""What a server's answer is: a whole file, a piece of it, or none."""

from __future__ import annotations

import re
from http.client import HTTPResponse
from typing import NamedTuple

from flatrec.data.fetching.partial_download import Version

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_PRINTABLE = re.compile(r'"[\x21\x23-\x7e]{0,200}"')  # a strong ETag that can be sent back


class NotTheFileError(ConnectionError):
    """The answer is not the file, and asking again at once will not help."""


class WrongRangeError(ConnectionError):
    """The answer is not the piece of the file that was asked for; the whole file may be had."""


class AnswerBody(NamedTuple):
    """What the body of an answer holds.

    Args:
        start: where in the file it begins.
        length: bytes of it; None where the server does not say.
        version: of the file.
    """

    start: int
    length: int | None
    version: Version


def check_answer(answer: HTTPResponse, start: int, wanted: Version) -> AnswerBody:
    """What comes, as far as the head of the answer says.

    Args:
        answer: whose body was not read yet.
        start: the first byte that was asked for; 0 for all of it.
        wanted: the version that was asked for.

    Raises:
        NotTheFileError: it is no file.
        WrongRangeError: it is another piece, or of another version.
    """
    if answer.status not in (200, 206) or (answer.status == 206 and not start):
        raise NotTheFileError(f"its answer has status {answer.status}, where 200 was expected")
    if answer.headers.get_content_type() == "text/html" and "Content-Type" in answer.headers:
        raise NotTheFileError("its answer is a web page, not the file")
    length, etag = _length(answer), answer.headers.get("ETag", "")
    if answer.status == 200:
        if length == 0:
            raise NotTheFileError("its answer is empty")
        return AnswerBody(0, length, Version(etag if _PRINTABLE.fullmatch(etag) else "", length))
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    if not found:
        raise WrongRangeError("its answer does not say which piece of the file it is")
    first, end = int(found[1]), int(found[2]) + 1
    total = wanted.length if found[3] == "*" else int(found[3])
    if etag != wanted.etag or total != wanted.length:
        raise WrongRangeError("its answer is a piece of another version of the file")
    if first != start or end <= first or (total is not None and end > total) or length not in (None, end - first):
        raise WrongRangeError("its answer is not the piece of the file that was asked for")
    return AnswerBody(start, end - first, wanted)


def _length(answer: HTTPResponse) -> int | None:
    said = answer.headers.get("Content-Length")
    if said is None or answer.chunked:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", said.strip()):
        raise NotTheFileError(f"its Content-Length is {said[:40]!r}, not a number of bytes")
    return int(said)
