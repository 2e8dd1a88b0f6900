"""An index of item vectors: a graph of near items, through which a search walks instead of scoring all items.

The index is that of faiss: hierarchical navigable small worlds (HNSW, https://arxiv.org/abs/1603.09320) with inner
products. Reducing inner products to distances by a further column, as is often done, needs far wider searches for the
same recall, and so do inverted lists; see docs/large-catalogs.md for measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.evaluation import inner_product, rank
from flatrec.inference.ann.search import Request, rank_by_index, searches, widest
from flatrec.inference.ann.settings import IndexFacts, IndexSettings
from flatrec.models.scoring import Vectors
from flatrec.utils import seeding
from flatrec.utils.optional import require_extra


@dataclass(frozen=True, eq=False)
class ItemIndex:
    """An index of the vectors of items.

    Args:
        load: returns the index of faiss; it is called when the index is first searched or saved.
        facts: what it is of, and what was measured.
    """

    load: Callable[[], Any]
    facts: IndexFacts

    @cached_property
    def graph(self) -> Any:  # noqa: ANN401 - an index of faiss
        """The index of faiss."""
        return self.load()

    def check(self, n_items: int, width: int) -> None:
        """Make sure that the index is of vectors such as a recommender has.

        Args:
            n_items: number of items of the recommender.
            width: number of columns of its vectors.

        Raises:
            ValueError: it has fewer items than the index, or vectors of another width.
        """
        if self.facts.n_items > n_items or self.facts.width != width:
            raise ValueError(
                f"the index is of {self.facts.n_items} items of {self.facts.width} columns, but the recommender has "
                f"{n_items} of {width}; build it again"
            )

    def search(
        self,
        users: Float32[ndarray, "n dim"],
        count: int,
        width: int,
        allowed: Bool[ndarray, "n_indexed"] | None = None,
    ) -> Int64[ndarray, "n count"]:
        """Return the items with the highest inner products that are found, best first; -1 where fewer are.

        Args:
            users: one vector per row.
            count: number of items per row.
            width: number of candidates that the search keeps; more take more time and find more.
            allowed: which items may be returned; None for all of them.
        """
        faiss = faiss_module()
        parameters = {"efSearch": max(width, count)}
        if allowed is not None:
            bits = np.packbits(allowed, bitorder="little")
            parameters["sel"] = faiss.IDSelectorBitmap(bits)
        _, found = self.graph.search(users, count, params=faiss.SearchParametersHNSW(**parameters))
        items: ndarray = found
        return items


def faiss_module() -> ModuleType:
    """Import faiss, only when an index is used: on macOS, its OpenMP beside that of torch may end the process.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    return require_extra("faiss", "ann")


def build_index(vectors: Vectors, seen: sparse.csr_array, settings: IndexSettings = IndexSettings()) -> ItemIndex:  # noqa: B008
    """Build an index of the item vectors, and widen its searches until enough of the exact lists is found.

    The lists are those of a sample of users, without the items that they have seen; users who have seen so much that
    their lists are exact do not count. With one thread
    (``OMP_NUM_THREADS=1``), the index of the same vectors has the same bytes.

    Args:
        vectors: vectors of users and items.
        seen: what is never recommended, (n_users, n_items).
        settings: how it is built and measured.

    Raises:
        ModuleNotFoundError: faiss is not installed.
        ValueError: there are too few items, or even the widest search finds too little.
    """
    if vectors.n_items < max(settings.min_items, 1):
        raise ValueError(
            f"an index is worth its time from {settings.min_items} items on, but there are {vectors.n_items}; exact "
            "lists need none (min_items changes the bound)"
        )
    faiss = faiss_module()
    graph = faiss.IndexHNSWFlat(vectors.items.shape[1], settings.n_links, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = settings.build_width
    graph.add(np.ascontiguousarray(vectors.items.numpy(), dtype=np.float32))
    sample = _sample(seen, settings)
    k = min(settings.k, vectors.n_items)
    facts = IndexFacts(
        n_items=vectors.n_items,
        width=vectors.items.shape[1],
        k=k,
        n_users=len(sample),
        recall=0.0,
        search_width=1,
        items_per_step=settings.items_per_step,
    )
    request = Request(vectors.users[sample], vectors.items, k, seen[sample.numpy()])
    return _widened(ItemIndex(lambda: graph, facts), request, settings)


def _widened(index: ItemIndex, request: Request, settings: IndexSettings) -> ItemIndex:
    """Return the index with the least search width that finds enough, of those that are tried.

    Raises:
        ValueError: none does.
    """
    everybody = torch.arange(len(request.users))
    exact = rank(inner_product(request.users, request.items), everybody, request.k, request.hidden).items
    facts = index.facts
    for width in _widths(facts):
        facts = index.facts.replace(search_width=width)
        rows = [rows for rows, _, _ in searches(facts, request)]
        if not rows:
            raise ValueError(
                f"all of {len(request.users)} users have seen so many items that their lists would be exact beside an "
                "index; answer without one"
            )
        found = rank_by_index(replace(index, facts=facts), request).items
        by_index = torch.from_numpy(np.concatenate(rows))  # the others have seen so much that they get exact lists
        facts = facts.replace(recall=_recall(found[by_index], exact[by_index]), n_users=len(by_index))
        if facts.recall >= settings.min_recall:
            return replace(index, facts=facts)
    raise ValueError(
        f"the index finds {facts.recall:.4f} of the {facts.k} best items of exact lists at search width "
        f"{facts.search_width}, beyond which exact lists are as fast, but min_recall is {settings.min_recall}; raise "
        "n_links or build_width, or answer without an index"
    )


def _widths(facts: IndexFacts) -> Iterator[int]:
    """Yield the search widths that are tried: each about 1.4 times the last."""
    width = float(facts.k)
    while width < widest(facts):
        yield round(width)
        width *= 2**0.5
    yield widest(facts)


def _recall(found: Int64[Tensor, "n k"], exact: Int64[Tensor, "n k"]) -> float:
    """Return the fraction of the items of exact lists that were found; -1 stands for no item."""
    listed = exact >= 0
    hits = (exact[:, :, None] == found[:, None, :]).any(dim=2) & listed
    return float(hits.sum()) / max(int(listed.sum()), 1)


def _sample(seen: sparse.csr_array, settings: IndexSettings) -> Int64[Tensor, "n_sampled"]:
    order = torch.randperm(seen.shape[0], generator=seeding.generator(settings.seed, "recall of an index"))
    return order[: settings.n_users].sort().values
