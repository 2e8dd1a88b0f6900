"""Vectors of encoders on disk, so that no text or image is encoded twice.

It is a table of our own, since the cache packages unpickle, evict, or do not notice damage.
"""

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


class CachedVector(NamedTuple):
    """A vector, and the encoder's warnings about its text or image."""

    vector: Float32[ndarray, "dim"]
    warnings: tuple[str, ...] = ()


def default_path() -> Path | None:
    """Return the path of the user's cache; None if caching is switched off."""
    folder = cache_dir("vectors")
    return folder / "vectors.sqlite3" if folder else None


def vector_key(identity: str, data: bytes) -> bytes:
    """Return the key of the vector of some bytes by the encoder with this identity."""
    return blake2b(data, digest_size=20, key=_salt(identity)).digest()


@lru_cache(maxsize=8)
def _salt(identity: str) -> bytes:
    return blake2b(identity.encode(), digest_size=32).digest()


class VectorCache:
    """A SQLite file of vectors; every vector that was put in survives a kill.

    Several processes may use it at once. It may be deleted at any time.

    Args:
        path: created if it does not exist; None keeps nothing beyond the lifetime of this object.

    Raises:
        OSError: the file cannot be created, or is not such a cache.
    """

    def __init__(self, path: Path | None) -> None:
        self._table = KeyedTable(path, "vectors", ("value blob not null", "warnings text not null"))

    def __enter__(self) -> VectorCache:
        return self

    def __exit__(self, *_: object) -> None:
        self._table.close()

    def get(self, keys: Sequence[bytes], dim: int) -> dict[bytes, CachedVector]:
        """Return the cached vectors by key; one of another length than ``dim``, or not finite, counts as absent.

        Raises:
            OSError: the file is damaged.
        """
        warnings: dict[bytes, str] = {}
        values: list[bytes] = []
        for key, value, text in self._table.rows(keys):
            if isinstance(key, bytes) and isinstance(value, bytes) and len(value) == 4 * dim:
                warnings[key] = str(text)
                values.append(value)
        vectors = np.frombuffer(b"".join(values), dtype="<f4").reshape(-1, dim).astype(np.float32, copy=False)
        finite = np.logical_and.reduce(np.isfinite(vectors), axis=1).tolist()
        return {
            key: CachedVector(vector, tuple(filter(None, text.split("\n"))))
            for (key, text), vector, is_finite in zip(warnings.items(), vectors, finite, strict=True)
            if is_finite
        }

    def put(self, vectors: Mapping[bytes, CachedVector]) -> None:
        """Store vectors, all or none of them.

        Raises:
            OSError: the disk is full, or the file is damaged.
        """
        self._table.put(
            (key, np.ascontiguousarray(cached.vector, dtype="<f4").tobytes(), "\n".join(cached.warnings))
            for key, cached in vectors.items()
        )
