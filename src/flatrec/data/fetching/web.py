"""Requests to a server, and reasons of failures on one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from flatrec.utils.threads import interruptible

TIMEOUT = 30.0  # seconds that a server may be silent
FAILURES = (URLError, HTTPException, TimeoutError, ConnectionError)  # what a request raises
_AGENT = {"User-Agent": "flatrec", "Accept-Encoding": "identity"}


@contextmanager
def open_url(address: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Iterator[HTTPResponse]:
    """Open an address of the web.

    Raises:
        ValueError: it is an address of something else.
        URLError: the server cannot be reached, or answers with an error.
    """
    if urlsplit(address).scheme not in ("http", "https"):
        raise ValueError(f"{address} must begin with http:// or https://")
    request = Request(address, headers={**_AGENT, **(headers or {})}, method=method)
    try:
        answer = interruptible(lambda: urlopen(request, timeout=TIMEOUT))  # noqa: S310
    except HTTPError as error:
        error.close()  # its connection
        raise
    with answer:
        yield answer


def read_small(address: str, limit: int) -> bytes:
    """Return at most ``limit`` bytes of a small file.

    Raises:
        ConnectionError: the server cannot be reached, or does not give the file.
    """
    try:
        with open_url(address) as answer:
            return answer.read(limit)
    except FAILURES as error:
        raise ConnectionError(f"cannot get {address} ({reason(error)})") from None


def reason(error: Exception) -> str:
    """Return the reason of an error on one line; servers may have written some of it."""
    text = str(getattr(error, "reason", None) or error)[:200]
    return "".join(letter if letter.isprintable() else " " for letter in text)
