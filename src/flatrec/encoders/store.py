"""Vectors that were computed before, by the digest of what they were computed from."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from flatrec.caching import VARIABLE, cache_folder

_AT_ONCE = 500  # keys a query
_TABLE = """
create table if not exists vectors (key blob primary key, value blob not null, remarks text not null) without rowid
"""


class Known(NamedTuple):
    """A vector, and what was remarked of its text or picture."""

    vector: Float32[ndarray, "dim"]
    remarks: tuple[str, ...] = ()


def usual_path() -> Path | None:
    """Where vectors are kept; None where they are not."""
    folder = cache_folder("vectors")
    return folder / "vectors.sqlite3" if folder else None


def key_of(identity: str, data: bytes) -> bytes:
    """The key of what an encoder makes of some bytes."""
    return blake2b(data, digest_size=20, key=blake2b(identity.encode(), digest_size=32).digest()).digest()


class VectorStore:
    """A SQLite file of vectors; what was put in survives a kill.

    Several processes may use it at once. It may be deleted at any time.

    Args:
        path: made where it is not there; None keeps nothing beyond this object.

    Raises:
        OSError: the file cannot be made, or is none of ours.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(":memory:" if path is None else path, timeout=60)
            self._database.execute("pragma journal_mode = wal")
            self._database.execute(_TABLE)
        except (sqlite3.Error, OSError) as error:
            raise self._lost(error) from None

    def __enter__(self) -> VectorStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def get(self, keys: Sequence[bytes], dim: int) -> dict[bytes, Known]:
        """Those that are there; a vector of another length than ``dim``, or not finite, counts as not there.

        Raises:
            OSError: the file is damaged.
        """
        found: dict[bytes, Known] = {}
        try:
            for start in range(0, len(keys), _AT_ONCE):
                some = keys[start : start + _AT_ONCE]
                marks = ",".join("?" * len(some))
                query = f"select key, value, remarks from vectors where key in ({marks})"  # noqa: S608
                with closing(self._database.execute(query, some)) as rows:
                    found |= {key: _known(value, remarks) for key, value, remarks in rows if len(value) == 4 * dim}
        except sqlite3.Error as error:
            raise self._lost(error) from None
        return {key: one for key, one in found.items() if np.isfinite(one.vector).all()}

    def put(self, vectors: Mapping[bytes, Known]) -> None:
        """Keep vectors, all or none of them.

        Raises:
            OSError: the disk is full, or the file is damaged.
        """
        rows = [
            (key, np.ascontiguousarray(one.vector, dtype="<f4").tobytes(), "\n".join(one.remarks))
            for key, one in vectors.items()
        ]
        try:
            with self._database:
                self._database.executemany("insert or replace into vectors values (?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise self._lost(error) from None

    def _lost(self, error: Exception) -> OSError:
        return OSError(
            f"the vectors in {self.path} cannot be used ({error}); delete the file, or set {VARIABLE} to another "
            "folder, or to off"
        )


def _known(value: bytes, remarks: str) -> Known:
    return Known(np.frombuffer(value, dtype="<f4").astype(np.float32), tuple(filter(None, remarks.split("\n"))))
