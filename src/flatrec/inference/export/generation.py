"""The generation of an export: a digest of everything that its rows depend on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy import ndarray
from scipy import sparse

from flatrec._version import __version__
from flatrec.inference.candidates import Filters
from flatrec.inference.catalog import Catalog
from flatrec.inference.export.options import ExportOptions
from flatrec.inference.recommender import Recommender
from flatrec.inference.rerank import Rerank
from flatrec.models.perceptron import ProductPerceptron
from flatrec.models.scoring import ItemMatrix, Scoring, UserMatrix, Vectors
from flatrec.utils.integrity import digest

FORMAT = "flatrec export 1"
Value = ndarray | bytes | int | float | str


def generation_of(recommender: Recommender, what: str, options: ExportOptions) -> str:
    """Return the digest of a recommender and of what is exported of it; O(its size).

    Two exports have the same generation if they have the same rows: of filters, it counts which items they allow, not
    how they are written. Shards, formats and names of files do not count.
    """
    filters, users = options.filters, options.users
    allowed = filters.allowed(recommender.catalog)
    filter_seen = recommender.filter_seen if filters.filter_seen is None else filters.filter_seen
    return digest(
        *(FORMAT, __version__, what, options.k, filter_seen),
        *recommender_values(recommender),
        *(["all users"] if users is None else ["users", *_texts(users)]),
        *(["all items"] if allowed is None else ["items", np.packbits(allowed)]),
        *_excluded(filters),
        *_rerank(recommender.catalog, options.rerank),
    )


def recommender_values(recommender: Recommender) -> Iterator[Value]:
    """Yield everything of a recommender that its lists depend on."""
    yield from _scoring(recommender.scoring)
    yield from _texts(recommender.users)
    yield from _texts(recommender.items)
    yield recommender.catalog.popularity
    yield from _matrix(recommender.history)
    yield from _matrix(recommender.seen)
    for user, history in sorted(recommender.histories.items()):
        yield from _texts([user, *history])
    if recommender.by_members:
        yield np.array(recommender.by_members)
    yield "exact" if recommender.index is None else repr(recommender.index.facts)


def _scoring(scoring: Scoring) -> Iterator[Value]:
    yield type(scoring).__name__
    if isinstance(scoring, Vectors):
        yield scoring.users.numpy()
        yield scoring.items.numpy()
    elif isinstance(scoring, ProductPerceptron):
        yield from (tensor.numpy() for tensor in scoring.tensors().values())
        yield scoring.negative_slope
    elif isinstance(scoring, UserMatrix):
        yield from _matrix(scoring.profiles)
        yield from _matrix(scoring.similarities)
        yield from (scoring.n_neighbors, scoring.shrinkage)
    elif isinstance(scoring, ItemMatrix):
        yield from _matrix(scoring.profiles)
        similarities = scoring.similarities
        yield from [similarities] if isinstance(similarities, np.ndarray) else _matrix(similarities)
    else:
        yield scoring.values.numpy()


def _matrix(matrix: sparse.csr_array) -> Iterator[Value]:
    yield from map(int, matrix.shape)
    yield matrix.data
    yield matrix.indices
    yield matrix.indptr


def _texts(texts: Iterable[str]) -> Iterator[Value]:
    """Yield texts as one, and the length of each, which is faster than one by one."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    yield np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
    yield b"".join(encoded)


def _rerank(catalog: Catalog, rerank: Rerank | None) -> Iterator[Value]:
    """Yield what re-ranked lists depend on beside the scores: the settings, and the columns and features they use."""
    if rerank is None:
        return
    yield rerank.model_dump_json()
    yield from (value for name in catalog.frame.columns for value in (name, *_texts(map(str, catalog.frame[name]))))
    if rerank.modality is not None:
        yield catalog.features[rerank.modality].values


def _excluded(filters: Filters) -> Iterator[Value]:
    if isinstance(filters.exclude, Mapping):
        for user in sorted(filters.exclude):
            yield from _texts([user, *sorted(set(filters.exclude[user]))])
