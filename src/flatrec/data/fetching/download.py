"""Download files, and resume where an earlier download stopped.

No download library is used: pooch restarts a broken file and ignores ETags; those that resume have few users.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from http.client import HTTPResponse
from pathlib import Path
from urllib.error import HTTPError

from flatrec.data.fetching.answer import NotTheFileError, WrongRangeError, check_answer
from flatrec.data.fetching.catalog import RemoteFile
from flatrec.data.fetching.checksums import check_recorded, check_stated, with_md5_of
from flatrec.data.fetching.contents import check_contents, has_end_marker
from flatrec.data.fetching.partial_download import PartialDownload
from flatrec.data.fetching.record import Record
from flatrec.data.fetching.web import FAILURES, open_url, reason
from flatrec.utils.atomic_write import atomic_write, check_target, sweep
from flatrec.utils.renaming import move

TRIES = 5  # attempts without progress
_PIECE = 1 << 16


def fetch(
    files: Sequence[RemoteFile],
    out: Path,
    *,
    source: Path | None = None,
    on_bytes: Callable[[int], None] = lambda _count: None,
    pause: float = 2.0,
) -> list[Path]:
    """Download files into a folder; files that are there already and unchanged are kept.

    The first bytes of a file are kept as ``NAME.part``, so that a download that was stopped is resumed. A file is
    complete if its length is what the server says, its size and checksum are what its publisher says (if it says
    any), and a compressed file can be read to its end. If none of these checks is possible, and the server does not
    say where its answer ends, the file is refused. Its address and SHA-256 are written to ``fetched.json``, by which it
    is recognized the next time; a file without a published checksum that is downloaded again must have the same
    SHA-256. Its digest is written to the manifest of the folder, by which later damage is noticed.

    Args:
        files: the files.
        out: the folder, created if it does not exist.
        source: a folder that holds the files already, under the names of their publisher; they are copied and checked
            alike. None downloads them.
        on_bytes: is called with the number of bytes that arrived.
        pause: seconds before the second attempt; twice as many before each further one.

    Raises:
        ConnectionError: a server cannot be reached, or does not give the file.
        FileNotFoundError: ``source`` lacks a file.
        ValueError: a complete file is not what its publisher says; or the record of earlier files is damaged.
        OSError: the folder cannot be written to.
    """
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    record = Record(out)
    for file in files:
        if not record.has(file):
            if source is None:
                _download(PartialDownload(file, out), record, on_bytes, pause)
            else:
                _copy_from(source, file, out, record)
            record.add(file)
    record.add_to_manifest([file.name for file in files])
    return [out / file.name for file in files]


def _copy_from(source: Path, file: RemoteFile, out: Path, record: Record) -> None:
    path = source / file.published_name
    if not path.is_file():
        raise FileNotFoundError(f"{source} has no file {file.published_name}; download it from {file.address}")
    with atomic_write(out / file.name) as temporary:
        shutil.copyfile(path, temporary)
        _check(temporary, with_md5_of(source, file), record, out)
        record.remove_from_manifest(file.name)


def _check(path: Path, file: RemoteFile, record: Record, out: Path) -> None:
    if not check_stated(path, file):
        check_recorded(path, file, record.sha256(file), out)
    check_contents(path, file.name)


def _download(partial: PartialDownload, record: Record, on_bytes: Callable[[int], None], pause: float) -> None:
    target = partial.out / partial.file.name
    check_target(target)
    _download_with_retries(partial, on_bytes, pause)
    try:
        _check(partial.path, partial.file, record, partial.out)
    except ValueError:
        partial.discard()
        raise
    record.remove_from_manifest(partial.file.name)
    move(partial.path, target)
    partial.discard()


def _download_with_retries(partial: PartialDownload, on_bytes: Callable[[int], None], pause: float) -> None:
    left = TRIES
    while True:
        before = partial.size
        try:
            _resume(partial, on_bytes)
            return
        except FAILURES as error:
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
        with open_url(partial.file.address, headers) as answer:
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
    if not (announced or file.md5_address or file.checksum or has_end_marker(file.name)):
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


def _is_temporary(error: Exception) -> bool:
    if isinstance(error, HTTPError):
        return error.code in (408, 416, 425, 429) or error.code >= 500
    return not isinstance(error, NotTheFileError)


def _failed(partial: PartialDownload, error: Exception) -> ConnectionError:
    resumable = f"; {partial.size} bytes are kept, and the same command resumes the download" if partial.size else ""
    return ConnectionError(
        f"cannot get {partial.file.address} ({reason(error)}){resumable}; "
        "check the network, or get the file by other means and name its folder with --from"
    )
