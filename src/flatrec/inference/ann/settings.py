"""What an approximate index is built by, and what was measured when it was built."""

from __future__ import annotations

from typing import Annotated

from flatrec.config import Config
from flatrec.utils.ranges import MAX_COUNT, Fraction, NonNegativeInt, PositiveInt, Range


class IndexSettings(Config):
    """Settings of an approximate index.

    Args:
        min_items: number of items below which no index is built, as exact lists are as fast.
        min_recall: least fraction of the items of exact lists that the index must find.
        k: length of the lists by which recall is measured.
        n_users: number of users whose lists are measured; all of them if there are fewer.
        seed: seed of the sample of users.
        n_links: number of neighbors of an item in the graph of the index; more take more memory and find more.
        build_width: number of candidates that are kept while an item is added; more take more time and find more.
        items_per_step: number of items that are scored exactly in the time of one step of a search. Searches that
            would need more than n_items / items_per_step steps are answered exactly.

    Example:
        >>> IndexSettings(min_recall=0.995).k
        20
    """

    min_items: NonNegativeInt = 200_000
    min_recall: Fraction = 0.99
    k: PositiveInt = 20
    n_users: PositiveInt = 1000
    seed: NonNegativeInt = 0
    n_links: Annotated[int, Range(ge=2, le=512)] = 32
    build_width: PositiveInt = 40
    items_per_step: PositiveInt = 128


class IndexFacts(Config):
    """What an index is of, and what was measured when it was built.

    Args:
        n_items: number of items in the index; items that joined later are compared exactly.
        width: number of columns of the vectors.
        k: length of the lists by which recall was measured.
        n_users: number of users whose lists were measured.
        recall: fraction of the items of the exact lists that were found.
        search_width: number of candidates that a search keeps.
        items_per_step: see :class:`IndexSettings`.
    """

    n_items: PositiveInt
    width: PositiveInt
    k: PositiveInt
    n_users: PositiveInt
    recall: Fraction
    search_width: Annotated[int, Range(ge=1, le=MAX_COUNT)]
    items_per_step: PositiveInt
