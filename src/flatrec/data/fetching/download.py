"""Download files whole, and go on where an earlier download stopped."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from flatrec.data.fetching.catalogue import RemoteFile
from flatrec.data.fetching.contents import check_contents
from flatrec.files import write_text

RECORD = "fetched.json"
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
    to its end. Its SHA-256 is written to ``fetched.json``, by which it is known the next time.

    Args:
        files: which.
        out: made if it is not there.
        on_bytes: hears of bytes as they come.
        pause: seconds before a second try; twice as many before each further one.

    Raises:
        ConnectionError: a server cannot be reached, or does not give the file.
        ValueError: a file came whole, but is not what its makers publish.
        OSError: the folder cannot be written to.
    """
    out.mkdir(parents=True, exist_ok=True)
    record = _read_record(out)
    paths = []
    for one in files:
        path = out / one.name
        if not path.is_file() or record.get(one.name) != _digest(path, "sha256"):
            _download(_Part(one, out), on_bytes, pause)
            record[one.name] = _digest(path, "sha256")
            write_text(out / RECORD, json.dumps(record, indent=2, sort_keys=True) + "\n")
        paths.append(path)
    return paths


@dataclass(frozen=True)
class _Part:
    """A file that is not whole yet."""

    file: RemoteFile
    out: Path

    @property
    def path(self) -> Path:
        return self.out / f"{self.file.name}.part"

    @property
    def mark(self) -> Path:
        """Holds which version of the file the part is of."""
        return self.out / f"{self.file.name}.part.etag"

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)
        self.mark.unlink(missing_ok=True)


def _download(part: _Part, on_bytes: Callable[[int], None], pause: float) -> None:
    left = TRIES
    while True:
        before = part.size
        try:
            _go_on(part, on_bytes)
            break
        except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
            left = TRIES if part.size > before else left - 1
            if left <= 0 or not _passes(error):
                raise _unreachable(part, error) from None
            time.sleep(pause * 2 ** (TRIES - 1 - left))
    md5 = _published(part.file)
    try:
        if md5 and (found := _digest(part.path, "md5")) != md5:
            raise ValueError(f"{part.file.name} has MD5 {found}, its makers publish {md5}; fetch it again")
        check_contents(part.path, part.file.name)
    except ValueError:
        part.forget()
        raise
    part.path.replace(part.out / part.file.name)
    part.forget()


def _go_on(part: _Part, on_bytes: Callable[[int], None]) -> None:
    """Append what is left; all of it where the server has another version or knows no parts."""
    start, mark = part.size, part.mark.read_text(encoding="utf-8") if part.mark.is_file() else ""
    more = {"Range": f"bytes={start}-", "If-Range": mark} if start and mark else {}
    try:
        with _opened(part.file.address, more) as answer:
            tag = answer.headers.get("ETag", "")
            write_text(part.mark, tag if not tag.startswith("W/") else "")
            goes_on = answer.status == 206
            expected = answer.headers.get("Content-Length")
            with part.path.open("ab" if goes_on else "wb") as file:
                received = _copied(answer, file.write, on_bytes)
            if expected is not None and received < int(expected):
                raise ConnectionError(f"the connection ended after {received} of {expected} bytes")
    except HTTPError as error:
        if error.code == 416 and start:  # nothing is left, or the part is longer than the file
            part.forget()
        raise


def _copied(answer: HTTPResponse, write: Callable[[bytes], int], on_bytes: Callable[[int], None]) -> int:
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
    with urlopen(Request(address, headers={**_AGENT, **headers}), timeout=TIMEOUT) as answer:  # noqa: S310
        yield answer


def _passes(error: Exception) -> bool:
    """Whether it may be different the next time."""
    return not isinstance(error, HTTPError) or error.code in (408, 416, 425, 429) or error.code >= 500


def _unreachable(part: _Part, error: Exception) -> ConnectionError:
    reason = getattr(error, "reason", None) or error
    kept = f"; {part.size} bytes are kept, and the same command goes on" if part.size else ""
    return ConnectionError(
        f"cannot get {part.file.address} ({reason}){kept}; check the network, or put the file into {part.out} by "
        "other means"
    )


def _published(file: RemoteFile) -> str:
    """The MD5 that the makers publish, as ``MD5 (name) = digits`` or ``digits  name``; empty where they do not."""
    if not file.md5_address:
        return ""
    try:
        with _opened(file.md5_address, {}) as answer:
            words = answer.read(1000).decode("ascii", errors="replace").split()
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise ConnectionError(f"cannot get {file.md5_address} ({getattr(error, 'reason', None) or error})") from None
    found = [word.lower() for word in words if len(word) == 32 and not word.strip("0123456789abcdefABCDEF")]
    if not found:
        raise ValueError(f"{file.md5_address} holds no MD5")
    return found[0]


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        digest = hashlib.new(kind, usedforsecurity=False)
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _read_record(out: Path) -> dict[str, str]:
    try:
        found = json.loads((out / RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
