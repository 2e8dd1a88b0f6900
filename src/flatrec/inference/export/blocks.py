"""The rows of an export in blocks, which are the same however the blocks are divided among shards.

The order of the users in a matrix product can change the last bit of a score. So a block is always ranked by one call,
and begins at a multiple of the blocks that :func:`flatrec.evaluation.ranking.rank` divides users into; shards have
whole blocks.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from flatrec.evaluation.ranking import BLOCK_SCORES, BLOCK_USERS
from flatrec.inference.candidates import Filters
from flatrec.inference.export.schema import Schema
from flatrec.inference.recommender import Recommender
from flatrec.inference.rerank import Rerank

BLOCK_LISTS, BLOCK_ROWS = 2048, 1_000_000  # at most, if one block of rank is not more

# Not ``user``, which PostgreSQL takes for the name of the database user where it is not quoted.
RECOMMENDATIONS = pl.Schema(
    {"user_id": pl.String, "rank": pl.Int32, "item_id": pl.String, "score": pl.Float32, "path": pl.String}
)
SIMILAR = pl.Schema({"item_id": pl.String, "rank": pl.Int32, "similar_item_id": pl.String, "score": pl.Float32})


class Blocks(ABC):
    """The rows of an export, of which each block can be made at any time."""

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """The names and types of the columns."""

    @property
    @abstractmethod
    def n_lists(self) -> int:
        """Number of lists, also empty ones, of which there are no rows."""

    @property
    @abstractmethod
    def lists_per_block(self) -> int:
        """Number of lists in every block but the last."""

    @abstractmethod
    def rows(self, start: int, stop: int) -> pl.DataFrame:
        """Return the rows of some lists."""

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return math.ceil(self.n_lists / self.lists_per_block)

    def lists_of(self, blocks: range) -> range:
        """Return the lists in these blocks."""
        return range(*(min(block * self.lists_per_block, self.n_lists) for block in (blocks.start, blocks.stop)))

    def frames(self, blocks: range) -> Iterator[pl.DataFrame]:
        """Yield the rows of these blocks, each made when it is asked for."""
        for block in blocks:
            lists = self.lists_of(range(block, block + 1))
            yield self.rows(lists.start, lists.stop)


@dataclass(frozen=True, eq=False)
class RecommendationBlocks(Blocks):
    """The recommendations for users, in their order.

    Args:
        recommender: what recommends.
        k: length of a list.
        filters: which items may be recommended.
        users: original ids.
        rerank: what else the lists should be like.
    """

    recommender: Recommender
    k: int
    filters: Filters
    users: Sequence[str]
    rerank: Rerank | None = None

    @property
    def schema(self) -> Schema:
        """``user_id``, ``rank`` from 1, ``item_id``, ``score`` and ``path``."""
        return RECOMMENDATIONS

    @property
    def n_lists(self) -> int:
        """Number of users."""
        return len(self.users)

    @property
    def lists_per_block(self) -> int:
        """Number of users in every block but the last."""
        return _lists_per_block(len(self.recommender.items), self.k)

    def rows(self, start: int, stop: int) -> pl.DataFrame:
        """Return the recommendations for some of the users."""
        users = [self.users[index] for index in range(start, stop)]
        ranked = self.recommender.rank(users, self.k, self.filters, rerank=self.rerank)
        lists = _Lists(users, ranked.items, ranked.scores)
        paths = pl.Series("path", ranked.paths, dtype=pl.String)
        frame = lists.frame(RECOMMENDATIONS, self._item_ids)
        return frame.with_columns(paths.gather(lists.indices))

    @cached_property
    def _item_ids(self) -> pl.Series:
        return pl.Series(list(self.recommender.items), dtype=pl.String)


@dataclass(frozen=True, eq=False)
class SimilarBlocks(Blocks):
    """The items that are most similar to each item, in the order of the items.

    Args:
        recommender: what knows the items.
        k: length of a list.
        filters: which items may be listed.
    """

    recommender: Recommender
    k: int
    filters: Filters

    @property
    def schema(self) -> Schema:
        """``item_id``, ``rank`` from 1, ``similar_item_id`` and ``score``."""
        return SIMILAR

    @property
    def n_lists(self) -> int:
        """Number of items."""
        return len(self.recommender.items)

    @property
    def lists_per_block(self) -> int:
        """Number of items in every block but the last."""
        return _lists_per_block(self.n_lists, self.k)

    def rows(self, start: int, stop: int) -> pl.DataFrame:
        """Return the similar items of some of the items."""
        rankings = [self.recommender.rank_similar(item, self.k, self._allowed) for item in range(start, stop)]
        items, scores = (
            torch.cat(tensors) for tensors in zip(*((one.items, one.scores) for one in rankings), strict=True)
        )
        return _Lists(self._item_ids[start:stop], items, scores).frame(SIMILAR, self._item_ids)

    @cached_property
    def _allowed(self) -> Tensor | None:
        mask = self.filters.allowed(self.recommender.catalog)
        return None if mask is None else torch.from_numpy(mask)

    @cached_property
    def _item_ids(self) -> pl.Series:
        return pl.Series(list(self.recommender.items), dtype=pl.String)


class _Lists:
    """Ranked items as rows, without the -1 of lists that are shorter than k."""

    def __init__(
        self, keys: Sequence[str] | pl.Series, items: Int64[Tensor, "n_lists k"], scores: Float[Tensor, "n_lists k"]
    ) -> None:
        self._keys, self._items, self._scores = keys, items.numpy(), scores.numpy()
        self.indices, self._columns = np.nonzero(self._items >= 0)

    def frame(self, schema: Schema, item_ids: pl.Series) -> pl.DataFrame:
        """Return the first four columns of a schema."""
        key, rank, item, score = list(schema)[:4]
        present = (self.indices, self._columns)
        return pl.DataFrame(
            [
                pl.Series(key, self._keys, dtype=pl.String).gather(self.indices),
                pl.Series(rank, self._columns + 1, dtype=pl.Int32),
                item_ids.gather(self._items[present]).alias(item),
                pl.Series(score, self._scores[present], dtype=pl.Float32),
            ]
        )


def _lists_per_block(n_items: int, k: int) -> int:
    """Return a multiple of the block in which ``rank`` takes users."""
    step = max(BLOCK_USERS, BLOCK_SCORES // max(n_items, 1))
    most = min(BLOCK_LISTS, BLOCK_ROWS // max(1, min(k, n_items)))
    return step * max(1, most // step)
