"""Search in short texts, such as titles of items and ids of users."""

from __future__ import annotations

import polars as pl
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from flatrec.inference.catalog import Catalog
from flatrec.inference.recommender import Recommender

MOST_WORDS = 10


class TextSearch:
    """Texts, folded so that case and accents do not count.

    Args:
        texts: the texts.
        weights: of equally good texts, that with the larger weight comes first.

    Example:
        >>> search = TextSearch(pl.Series(["Café chair", "Armchair", "Table"]), pl.Series([1.0, 2.0, 3.0]).to_numpy())
        >>> search.find("CHAIR", 5)[0].tolist(), search.find("cafe", 5)[0].tolist()
        ([0, 1], [0])
    """

    def __init__(self, texts: pl.Series, weights: Float64[ndarray, "n"]) -> None:
        self._frame = pl.DataFrame({"text": folded(texts), "weight": weights}).with_row_index("index")

    def find(
        self, text: str, k: int, allowed: Bool[ndarray, "n"] | None = None
    ) -> tuple[Int64[ndarray, "n_found"], int]:
        """Return the indices of the best k texts that have all words of a text, and the number of all such texts.

        Texts that begin with the words come first, then those with a word that begins so, then all others.

        Args:
            text: words or parts of words; without any, every text is found.
            k: the largest number of indices.
            allowed: which texts may be found; None for all.
        """
        words = folded(pl.Series([text]))[0].split()[:MOST_WORDS]
        column, phrase = pl.col("text"), " ".join(words)
        frame = self._frame if allowed is None else self._frame.filter(pl.Series(allowed))
        for word in words:
            frame = frame.filter(column.str.contains(word, literal=True))
        inside = pl.when(column.str.contains(f" {phrase}", literal=True)).then(1).otherwise(2)
        rank = pl.when(column.str.starts_with(phrase)).then(0).otherwise(inside)
        order = ["rank", "weight", "index"]
        ranked = frame.select("index", (-pl.col("weight")).alias("weight"), rank.alias("rank"))
        best = ranked.bottom_k(min(k, len(frame)), by=order).sort(order)
        return best["index"].cast(pl.Int64).to_numpy(), len(frame)


def item_search(catalog: Catalog) -> TextSearch:
    """Return a search in the titles and ids of items, the more popular ones first."""
    ids = pl.Series(list(catalog.ids), dtype=pl.String)
    titles = pl.Series(catalog.titles or [""] * len(catalog), dtype=pl.String).fill_null("")
    return TextSearch(titles + " " + ids, catalog.popularity)


def user_search(recommender: Recommender) -> TextSearch:
    """Return a search in the ids of users."""
    ids = pl.Series(list(recommender.users), dtype=pl.String)
    return TextSearch(ids, (0.0 * pl.int_range(len(ids), eager=True)).to_numpy())


def folded(texts: pl.Series) -> pl.Series:
    """Return texts without case and accents, with single spaces.

    Example:
        >>> folded(pl.Series(["  Café  CRÈME "])).to_list()
        ['cafe creme']
    """
    plain = texts.str.to_lowercase().str.normalize("NFKD").str.replace_all(r"\p{M}", "")
    return plain.str.replace_all(r"\s+", " ").str.strip_chars()
