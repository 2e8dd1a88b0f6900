"""Download files whole, and go on where an earlier download stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from flatrec.data.fetching.answer import NotTheFileError, WrongRangeError, check_answer
from flatrec.data.fetching.catalog import RemoteFile
from flatrec.data.fetching.contents import check_contents, has_end_marker
from flatrec.data.fetching.partial_download import Split
from flatrec.data.fetching.record import Record, file_hash
from flatrec.utils.atomic_write import check_target, sweep
from flatrec.utils.threads import interruptible

TRIES, TIMEOUT = 5, 30.0  # tries without progress; seconds that a server may be silent
_PIECE = 1 << 16
_AGENT = {"User-Agent": "flatrec", "Accept-Encoding": "identity"}


def fetch(
    files: Sequence[RemoteFile],
    out: Path,
    *,
    on_bytes: Callable[[int], None] = lambda _count: None,
    pause: float = 2.0,
) -> list[Path]:
    """Download files into a folder; those that are there already, unchanged, stay.

    What was downloaded is kept as ``NAME.part`` until it is whole, and gone on with. A file counts as whole when its
    length is what the server says, its MD5 is what its makers publish, where they do, and a compressed one can be read
    to its end; where none of these tells, and the server does not say where its answer ends, it is refused. Its
    SHA-256 is written to ``fetched.json``, by which it is known the next time, and its digest to the folder's
    manifest, by which later damage is found.

    Args:
        files: which.
        out: made if it is not there.
        on_bytes: hears of bytes as they come.
        pause: seconds before a second try; twice as many before each further one.

    Raises:
        ConnectionError: a server cannot be reached, or does not give the file.
        ValueError: a file came whole, but is not what its makers publish; or the record of earlier files is damaged.
        OSError: the folder cannot be written to.
    """
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    record = Record(out)
    for one in files:
        if not record.knows(one.name):
            _download(Split(one, out), record, on_bytes, pause)
            record.add(one.name)
    record.finish([one.name for one in files])
    return [out / one.name for one in files]


def _download(part: Split, record: Record, on_bytes: Callable[[int], None], pause: float) -> None:
    target = part.out / part.file.name
    check_target(target)
    _bring(part, on_bytes, pause)
    md5 = _published(part.file)
    try:
        if md5 and (found := file_hash(part.path, "md5")) != md5:
            raise ValueError(f"{part.file.name} has MD5 {found}, its makers publish {md5}; fetch it again")
        check_contents(part.path, part.file.name)
    except ValueError:
        part.forget()
        raise
    record.begin(part.file.name)
    part.path.replace(target)
    part.forget()


def _bring(part: Split, on_bytes: Callable[[int], None], pause: float) -> None:
    """Ask for what is missing until nothing is."""
    left = TRIES
    while True:
        before = part.size
        try:
            _go_on(part, on_bytes)
            return
        except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
            left = TRIES if part.size > before else left - 1
            if left <= 0 or not _passes(error):
                raise _unreachable(part, error) from None
            time.sleep(pause * 2 ** (TRIES - 1 - left))


def _go_on(part: Split, on_bytes: Callable[[int], None]) -> None:
    """Append what is left; all of it where the server has another version or knows no pieces."""
    size, version = part.size, part.version
    if size and size == version.length:
        return
    start = size if version.etag and size < (version.length or size + 1) else 0
    more = {"Range": f"bytes={start}-", "If-Range": version.etag} if start else {}
    try:
        with _opened(part.file.address, more) as answer:
            coming = check_answer(answer, start, version)
            _check_end(answer, part.file)
            if not coming.start:
                part.begin(coming.version)
            with part.appending(coming.start) as write:
                received = _copied(answer, write, on_bytes)
    except WrongRangeError:
        part.forget()
        raise
    except HTTPError as error:
        if error.code == 416 and start:  # nothing is left, or the part is longer than the file
            part.forget()
        raise
    _check_whole(part, received, coming.length)


def _check_end(answer: HTTPResponse, file: RemoteFile) -> None:
    """Make sure that somebody tells where the file ends: head, chunks, MD5, or the file itself."""
    announced = answer.chunked or answer.headers.get("Content-Length") is not None
    if not (announced or file.md5_address or has_end_marker(file.name)):
        raise NotTheFileError("its answer does not say how long it is, so nobody can tell whether it is whole")
    packed = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if packed not in ("", "identity") and not file.name.endswith(".gz"):
        raise NotTheFileError(f"its answer is packed ({packed[:40]}), which was not asked for")


def _check_whole(part: Split, received: int, announced: int | None) -> None:
    length, size = part.version.length, part.size
    if received > (received if announced is None else announced) or size > (size if length is None else length):
        part.forget()
        raise WrongRangeError("more bytes came than its answer announces")
    if received < (announced or 0) or size < (length or 0):
        raise ConnectionError(f"the connection ended after {size} of {length or announced} bytes")
    if not size:
        part.forget()
        raise NotTheFileError("its answer is empty")


def _copied(answer: HTTPResponse, write: Callable[[bytes], None], on_bytes: Callable[[int], None]) -> int:
    received = 0
    while piece := answer.read(_PIECE):
        write(piece)
        received += len(piece)
        on_bytes(len(piece))
    return received


@contextmanager
def _opened(address: str, headers: Mapping[str, str]) -> Iterator[HTTPResponse]:
    if urlsplit(address).scheme not in ("http", "https"):
        raise ValueError(f"{address} must begin with http:// or https://")
    request = Request(address, headers={**_AGENT, **headers})
    try:
        answer = interruptible(lambda: urlopen(request, timeout=TIMEOUT))  # noqa: S310
    except HTTPError as error:
        error.close()  # its connection
        raise
    with answer:
        yield answer


def _passes(error: Exception) -> bool:
    """Whether it may be different the next time."""
    if isinstance(error, HTTPError):
        return error.code in (408, 416, 425, 429) or error.code >= 500
    return not isinstance(error, NotTheFileError)


def _unreachable(part: Split, error: Exception) -> ConnectionError:
    kept = f"; {part.size} bytes are kept, and the same command goes on" if part.size else ""
    return ConnectionError(
        f"cannot get {part.file.address} ({_said(error)}){kept}; check the network, or put the file into {part.out} by "
        "other means"
    )


def _said(error: Exception) -> str:
    """The reason of an error, of which servers may have written a part."""
    said = str(getattr(error, "reason", None) or error)[:200]
    return "".join(letter if letter.isprintable() else " " for letter in said)


def _published(file: RemoteFile) -> str:
    """The MD5 that the makers publish, as ``MD5 (name) = digits`` or ``digits  name``; empty where they do not."""
    if not file.md5_address:
        return ""
    try:
        with _opened(file.md5_address, {}) as answer:
            words = answer.read(1000).decode("ascii", errors="replace").split()
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise ConnectionError(f"cannot get {file.md5_address} ({_said(error)})") from None
    found = [word.lower() for word in words if len(word) == 32 and not word.strip("0123456789abcdefABCDEF")]
    if not found:
        raise ValueError(f"{file.md5_address} holds no MD5")
    return found[0]
