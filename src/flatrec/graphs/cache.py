"""A cache on disk for graphs that take long to build, keyed by what they were built from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy import ndarray
from safetensors import SafetensorError
from safetensors.numpy import load, save
from scipy import sparse

from flatrec.utils.atomic_write import atomic_write
from flatrec.utils.cache_dir import VARIABLE, cache_dir
from flatrec.utils.integrity import digest

logger = logging.getLogger(__name__)


def cached(
    kind: str, inputs: Sequence[ndarray | int | float | str], build: Callable[[], sparse.csr_array]
) -> sparse.csr_array:
    """Return the graph that ``build`` returns, read from disk if it was built before from the same inputs.

    ``kind`` names the kind of graph, with a version that changes when the same inputs would give another graph.

    A graph that is read equals the one that was built bit for bit: types, values, and the order of the entries.
    The environment variable FLATREC_CACHE names the folder; without it, the user's cache folder is used, and with
    ``off`` every graph is built. Two processes may build the same graph at once: the last one to finish leaves its
    file, and no process reads half a file. A file that is damaged or holds something else is replaced, with a warning.
    A folder that cannot be written to costs a warning, never the graph. The folder is never tidied up, and may be
    deleted at any time.
    """
    folder = cache_dir("graphs")
    if folder is None:
        return build()
    key = digest(kind, *inputs)
    path = folder / f"{kind}-{key}.safetensors"
    graph = _stored(path, key)
    if graph is None:
        graph = build()
        _store(graph, path, key)
    return graph


def _stored(path: Path, key: str) -> sparse.csr_array | None:
    """Return the graph in a file; None if there is no such file, or none that can be trusted."""
    try:
        return _decoded(path.read_bytes(), key)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        logger.warning("%s does not hold the expected graph (%s); the graph is rebuilt", path, error)
        return None


def _store(graph: sparse.csr_array, path: Path, key: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_bytes(_encoded(graph, key))
    except OSError as error:
        logger.warning("a graph is not kept in the cache (%s); set %s to a writable folder, or to off", error, VARIABLE)


def _encoded(graph: sparse.csr_array, key: str) -> bytes:
    shape = np.array(graph.shape, dtype=np.int64)
    seal = np.frombuffer(digest(key, shape, graph.indptr, graph.indices, graph.data).encode(), dtype=np.uint8)
    arrays = {"shape": shape, "indptr": graph.indptr, "indices": graph.indices, "data": graph.data, "digest": seal}
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def _decoded(content: bytes, key: str) -> sparse.csr_array:
    arrays = load(content)
    shape, indptr, indices, data = (arrays[name] for name in ("shape", "indptr", "indices", "data"))
    if arrays["digest"].tobytes().decode("ascii") != digest(key, shape, indptr, indices, data):
        raise ValueError("its digest differs")
    n_rows, n_columns = shape.tolist()
    return sparse.csr_array((data, indices, indptr), shape=(n_rows, n_columns))
