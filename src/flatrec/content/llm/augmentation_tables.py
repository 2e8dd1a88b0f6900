"""The tables of an augmentation: answers, the vectors that a text encoder makes of them, and what was shown."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from flatrec.content.encoders.base import TextEncoder
from flatrec.content.encoders.encoding import EncodingSettings, encode_texts
from flatrec.content.encoders.vector_cache import VectorCache, default_path
from flatrec.content.item_source import Progress
from flatrec.content.llm.augmentation_replies import Suggestion
from flatrec.data.dataset import Dataset
from flatrec.data.tables.augmentation_files import PAIR, TEXT

VECTOR = "vector"


def encode_answers(id_column: str, texts: Mapping[str, str], encoder: TextEncoder, progress: Progress) -> pl.DataFrame:
    """Return a table of ids, texts and their vectors; no text is encoded twice, as in ``flatrec encode``.

    Args:
        id_column: name of the column of ids.
        texts: text by id.
        encoder: encoder of the texts.
        progress: opens a progress display.

    Raises:
        ValueError: the encoder returns vectors that are not finite.
        OSError: the cache cannot be written to.
    """
    with tempfile.TemporaryDirectory() as name, VectorCache(default_path()) as cache:
        folder = Path(name)
        with progress("texts", len(texts)) as on_items:
            encode_texts(texts, encoder, folder, EncodingSettings(cache, on_items=on_items))
        present, values = np.load(folder / "text_mask.npy"), np.load(folder / "text_feat.npy")
    table = pl.DataFrame(
        {id_column: list(texts), TEXT: list(texts.values())}, schema=dict.fromkeys((id_column, TEXT), pl.String)
    )
    vectors = pl.Series(VECTOR, values, dtype=pl.Array(pl.Float32, values.shape[1])).arr.to_list()
    return table.with_columns(vectors).filter(pl.Series(present))


def suggestion_table(dataset: Dataset, suggestions: Mapping[str, Suggestion]) -> pl.DataFrame:
    """Return the table of suggested pairs by id."""
    columns = {"user": list(suggestions)}
    for name, items in zip(PAIR, zip(*suggestions.values(), strict=True), strict=True):
        columns[name] = [dataset.items[item] for item in items]
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
