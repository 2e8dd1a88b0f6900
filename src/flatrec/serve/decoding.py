"""Bodies and queries of requests, read within limits and decoded into structs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.types import Receive, Scope

from flatrec.serve.errors import Headers, Refused
from flatrec.utils.messages import clipped

Query = TypeVar("Query", bound=msgspec.Struct)
SEE = "see /openapi.json"
DISCARDED = 64 * 2**20  # bytes of a body that are read though it is too long
CLOSE: Headers = ((b"connection", b"close"),)


class ClientGoneError(Exception):
    """The client closed the connection before its request was there."""


async def read_body(scope: Scope, receive: Receive, most: int, seconds: float) -> bytes:
    """Return the body of a request.

    Raises:
        Refused: it is longer than ``most`` bytes, does not arrive in time, or is not said to be JSON.
        ClientGoneError: the client is gone.
    """
    headers = dict(scope["headers"])
    if headers.get(b"content-type", b"").split(b";")[0].strip().lower() != b"application/json":
        found = clipped(headers.get(b"content-type", b"").decode("latin-1"))
        raise Refused(415, f"the header Content-Type must be application/json, but is {found!r}; send JSON")
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length[:20]) > most + DISCARDED:
        raise _too_long(most, CLOSE)
    try:
        async with asyncio.timeout(seconds):
            body, is_whole = await _received(receive, most)
    except TimeoutError:
        raise Refused(408, f"the body must arrive within {seconds:g} seconds; send it again", CLOSE) from None
    if len(body) > most:
        raise _too_long(most, () if is_whole or await _discarded(receive, seconds) else CLOSE)
    return body


async def _received(receive: Receive, most: int) -> tuple[bytes, bool]:
    """Return a body, as soon as it is too long or whole, and whether it is whole."""
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientGoneError
        body += event.get("body", b"")
        is_whole = not event.get("more_body", False)
        if is_whole or len(body) > most:
            return bytes(body), is_whole


async def _discarded(receive: Receive, seconds: float) -> bool:
    """Read the rest of a body, as many clients read no answer before its end; return False if there is too much."""
    total = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while total < DISCARDED:
                event = await receive()
                total += len(event.get("body", b""))
                if not event.get("more_body", False):
                    return True
    return False


def _too_long(most: int, headers: Headers) -> Refused:
    return Refused(413, f"the body may have {most} bytes, but has more; ask for less at once", headers)


def decode_body(body: bytes, kind: type[Query]) -> Query:
    """Return the struct that a JSON body holds.

    Raises:
        Refused: it is no JSON, or does not fit.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Refused(422, f"the body does not fit: {_plain(error)}; {SEE}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, f"the body must be one JSON object in UTF-8, but is not: {_plain(error)}; {SEE}") from None
    except RecursionError:
        raise Refused(400, f"the body is nested too deeply; {SEE}") from None


def decode_query(scope: Scope, path: Mapping[str, bytes], kind: type[Query], lists: Iterable[str]) -> Query:
    """Return the struct that the path and the query of a request hold.

    Args:
        scope: the request.
        path: the values in the path, percent-encoded.
        kind: the struct.
        lists: the names of the fields that may be repeated.

    Raises:
        Refused: a name repeats or is unknown, or a value does not fit.
    """
    values: dict[str, object] = {name: percent_decoded(raw) for name, raw in path.items()}
    repeatable = {name: list[str]() for name in lists}
    for pair in scope["query_string"].replace(b"+", b"%20").split(b"&"):
        if not pair:
            continue
        name, _, value = (percent_decoded(part) for part in pair.partition(b"="))
        if name in repeatable:
            repeatable[name].append(value)
        elif name in values:
            raise Refused(422, f"{clipped(name)!r} may be given once, but is given again; {SEE}")
        else:
            values[name] = value
    values |= {name: given for name, given in repeatable.items() if given}
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Refused(422, f"the query does not fit: {_plain(error)}; {SEE}") from None


def percent_decoded(raw: bytes) -> str:
    """Return a part of an address as text.

    Raises:
        Refused: its bytes are not UTF-8.
    """
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        shown = clipped(raw.decode("latin-1"))
        raise Refused(400, f"an address must be UTF-8, percent-encoded, but has {shown!r}; encode it again") from None


def _plain(error: Exception) -> str:
    """Return what msgspec says, such as ``k: expected int >= 1``."""
    said, _, where = str(error).replace("`", "").partition(" - at ")
    said = said if said[1:2].isupper() else said[:1].lower() + said[1:]
    name = where.removeprefix("$").removeprefix(".")
    return f"{clipped(name, 60)}: {said}" if name else said
