"""Download files, and resume where an earlier download stopped.

No download library is used: pooch restarts a broken file and ignores ETags; those that resume have few users.
"""

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
from flatrec.data.fetching.partial_download import PartialDownload
from flatrec.data.fetching.record import Record, file_hash
from flatrec.utils.atomic_write import check_target, sweep
from flatrec.utils.threads import interruptible

TRIES, TIMEOUT = 5, 30.0  # attempts without progress; seconds that a server may be silent
_PIECE = 1 << 16
_AGENT = {"User-Agent": "flatrec", "Accept-Encoding": "identity"}


def fetch(
    files: Sequence[RemoteFile], out: Path, *, on_bytes: Callable[[int], None] = lambda _count: None, pause: float = 2.0
) -> list[Path]:
    """Download files into a folder; files that are there already and unchanged are kept.

    The first bytes of a file are kept as ``NAME.part``, so that a download that was stopped is resumed. A file is
    complete if its length is what the server says, its MD5 is what its publisher says (if it says one), and a
    compressed file can be read to its end. If none of these checks is possible, and the server does not say where its
    answer ends, the file is refused. Its SHA-256 is written to ``fetched.json``, by which it is recognized the next
    time, and its digest to the manifest of the folder, by which later damage is noticed.

    Args:
        files: the files.
        out: the folder, created if it does not exist.
        on_bytes: is called with the number of bytes that arrived.
        pause: seconds before the second attempt; twice as many before each further one.

    Raises:
        ConnectionError: a server cannot be reached, or does not give the file.
        ValueError: a complete file is not what its publisher says; or the record of earlier files is damaged.
        OSError: the folder cannot be written to.
    """
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    record = Record(out)
    for file in files:
        if not record.has(file.name):
            _download(PartialDownload(file, out), record, on_bytes, pause)
            record.add(file.name)
    record.add_to_manifest([file.name for file in files])
    return [out / file.name for file in files]


def _download(partial: PartialDownload, record: Record, on_bytes: Callable[[int], None], pause: float) -> None:
    target = partial.out / partial.file.name
    check_target(target)
    _download_with_retries(partial, on_bytes, pause)
    md5 = _published_md5(partial.file)
    try:
        if md5 and (actual := file_hash(partial.path, "md5")) != md5:
            raise ValueError(f"{partial.file.name} has MD5 {actual}, but its publisher says {md5}; fetch it again")
        check_contents(partial.path, partial.file.name)
    except ValueError:
        partial.discard()
        raise
    record.remove_from_manifest(partial.file.name)
    partial.path.replace(target)
    partial.discard()


def _download_with_retries(partial: PartialDownload, on_bytes: Callable[[int], None], pause: float) -> None:
    left = TRIES
    while True:
        before = partial.size
        try:
            _resume(partial, on_bytes)
            return
        except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
            left = TRIES if partial.size > before else left - 1
            if left <= 0 or not _is_temporary(error):
                raise _failed(partial, error) from None
            time.sleep(pause * 2 ** (TRIES - 1 - left))


def _resume(partial: PartialDownload, on_bytes: Callable[[int], None]) -> None:
    """Append the missing bytes; the whole file if the server has another version or does not send ranges."""
    size, version = partial.size, partial.version
    if size and size == version.length:
        return
    start = size if version.etag and size < (version.length or size + 1) else 0
    headers = {"Range": f"bytes={start}-", "If-Range": version.etag} if start else {}
    try:
        with _open_url(partial.file.address, headers) as answer:
            body = check_answer(answer, start, version)
            _check_end_is_known(answer, partial.file)
            if not body.start:
                partial.start(body.version)
            with partial.appending(body.start) as write:
                received = _copy(answer, write, on_bytes)
    except WrongRangeError:
        partial.discard()
        raise
    except HTTPError as error:
        if error.code == 416 and start:  # no byte is missing, or there are more than the file has
            partial.discard()
        raise
    _check_whole(partial, received, body.length)


def _check_end_is_known(answer: HTTPResponse, file: RemoteFile) -> None:
    """Refuse an answer whose end nobody can check: by its headers, its chunks, the MD5, or the file itself."""
    announced = answer.chunked or answer.headers.get("Content-Length") is not None
    if not (announced or file.md5_address or has_end_marker(file.name)):
        raise NotTheFileError("its answer does not say how long it is, so nobody can check whether it is complete")
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity") and not file.name.endswith(".gz"):
        raise NotTheFileError(f"its answer is compressed ({encoding[:40]}), which was not requested")


def _check_whole(partial: PartialDownload, received: int, announced: int | None) -> None:
    length, size = partial.version.length, partial.size
    if received > (received if announced is None else announced) or size > (size if length is None else length):
        partial.discard()
        raise WrongRangeError("more bytes arrived than its answer announces")
    if received < (announced or 0) or size < (length or 0):
        raise ConnectionError(f"the connection ended after {size} of {length or announced} bytes")
    if not size:
        partial.discard()
        raise NotTheFileError("its answer is empty")


def _copy(answer: HTTPResponse, write: Callable[[bytes], None], on_bytes: Callable[[int], None]) -> int:
    received = 0
    while piece := answer.read(_PIECE):
        write(piece)
        received += len(piece)
        on_bytes(len(piece))
    return received


@contextmanager
def _open_url(address: str, headers: Mapping[str, str]) -> Iterator[HTTPResponse]:
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


def _is_temporary(error: Exception) -> bool:
    if isinstance(error, HTTPError):
        return error.code in (408, 416, 425, 429) or error.code >= 500
    return not isinstance(error, NotTheFileError)


def _failed(partial: PartialDownload, error: Exception) -> ConnectionError:
    resumable = f"; {partial.size} bytes are kept, and the same command resumes the download" if partial.size else ""
    return ConnectionError(
        f"cannot get {partial.file.address} ({_reason(error)}){resumable}; "
        f"check the network, or put the file into {partial.out} by other means"
    )


def _reason(error: Exception) -> str:
    """Return the reason of an error on one line; servers may have written some of it."""
    reason = str(getattr(error, "reason", None) or error)[:200]
    return "".join(letter if letter.isprintable() else " " for letter in reason)


def _published_md5(file: RemoteFile) -> str:
    """Return the published MD5, given as ``MD5 (name) = digits`` or ``digits  name``; empty if there is none."""
    if not file.md5_address:
        return ""
    try:
        with _open_url(file.md5_address, {}) as answer:
            words = answer.read(1000).decode("ascii", errors="replace").split()
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise ConnectionError(f"cannot get {file.md5_address} ({_reason(error)})") from None
    digests = [word.lower() for word in words if len(word) == 32 and not word.strip("0123456789abcdefABCDEF")]
    if not digests:
        raise ValueError(f"{file.md5_address} holds no MD5")
    return digests[0]
