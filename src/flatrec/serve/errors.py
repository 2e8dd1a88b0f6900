"""Requests that are refused: the status, and one line that says what was expected, what came, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import msgspec

from flatrec.utils.messages import clipped, message

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]
KINDS = {
    400: "malformed",
    401: "unauthorized",
    404: "not-found",
    405: "method-not-allowed",
    408: "timeout",
    409: "conflict",
    413: "too-large",
    415: "wrong-content-type",
    421: "wrong-host",
    422: "invalid",
    429: "too-many-requests",
    500: "internal",
    503: "unavailable",
    507: "storage-full",
}


class Refused(Exception):  # noqa: N818
    """A request that is answered by an error.

    Args:
        status: the status of the answer.
        text: what was expected, what came, and what to do.
        headers: further headers of the answer.
    """

    def __init__(self, status: int, text: str, headers: Headers = ()) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, clipped(" ".join(text.split()), 500), headers


class ErrorDetail(msgspec.Struct, frozen=True):
    """What is wrong with a request."""

    status: int
    kind: str
    message: str


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The answer to a request that was refused."""

    error: ErrorDetail


def error_body(refused: Refused) -> bytes:
    """Return the JSON of a refusal."""
    detail = ErrorDetail(refused.status, KINDS.get(refused.status, "error"), refused.text)
    return msgspec.json.encode(ErrorAnswer(detail))


@contextmanager
def invalid_values() -> Iterator[None]:
    """Turn what the recommender says of a malformed condition or another bad value into a refusal."""
    try:
        yield
    except ValueError as error:
        raise Refused(422, message(error)) from None
