"""Vectors that were computed before, by the digest of what they were computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from flatrec.utils.cache_dir import cache_dir
from flatrec.utils.keyed_table import KeyedTable


class Known(NamedTuple):
    """A vector, and what was remarked of its text or image."""

    vector: Float32[ndarray, "dim"]
    remarks: tuple[str, ...] = ()


def default_path() -> Path | None:
    """Where vectors are kept; None where they are not."""
    folder = cache_dir("vectors")
    return folder / "vectors.sqlite3" if folder else None


def key_of(identity: str, data: bytes) -> bytes:
    """The key of what an encoder makes of some bytes."""
    return blake2b(data, digest_size=20, key=_salt(identity)).digest()


@lru_cache(maxsize=8)
def _salt(identity: str) -> bytes:
    return blake2b(identity.encode(), digest_size=32).digest()


class VectorStore:
    """A SQLite file of vectors; what was put in survives a kill.

    Several processes may use it at once. It may be deleted at any time.

    Args:
        path: made where it is not there; None keeps nothing beyond this object.

    Raises:
        OSError: the file cannot be made, or is none of ours.
    """

    def __init__(self, path: Path | None) -> None:
        self._table = KeyedTable(path, "vectors", ("value blob not null", "remarks text not null"))

    def __enter__(self) -> VectorStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._table.close()

    def get(self, keys: Sequence[bytes], dim: int) -> dict[bytes, Known]:
        """Those that are there; a vector of another length than ``dim``, or not finite, counts as not there.

        Raises:
            OSError: the file is damaged.
        """
        known: dict[bytes, str] = {}
        values: list[bytes] = []
        for key, value, remarks in self._table.rows(keys):
            if isinstance(key, bytes) and isinstance(value, bytes) and len(value) == 4 * dim:
                known[key] = str(remarks)
                values.append(value)
        vectors = np.frombuffer(b"".join(values), dtype="<f4").reshape(-1, dim).astype(np.float32, copy=False)
        finite = np.logical_and.reduce(np.isfinite(vectors), axis=1).tolist()
        return {
            key: Known(vector, tuple(filter(None, remarks.split("\n"))))
            for (key, remarks), vector, is_finite in zip(known.items(), vectors, finite, strict=True)
            if is_finite
        }

    def put(self, vectors: Mapping[bytes, Known]) -> None:
        """Keep vectors, all or none of them.

        Raises:
            OSError: the disk is full, or the file is damaged.
        """
        self._table.put(
            (key, np.ascontiguousarray(one.vector, dtype="<f4").tobytes(), "\n".join(one.remarks))
            for key, one in vectors.items()
        )
