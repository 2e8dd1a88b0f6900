"""A data set's interactions and their splits as one table, for other programs and for checking."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from flatrec.data.dataset import Dataset
from flatrec.data.interactions import SPLITS
from flatrec.utils.atomic_write import atomic_write

SUFFIXES = (".parquet", ".csv")
WEIGHTED = ("user", "item", "timestamp", "weight", "split"), ("user", "item", "weight", "split")  # columns with weights


def split_table(dataset: Dataset) -> pl.DataFrame:
    """Return the columns user, item, timestamp, weight and split, by original ids; those that the data have."""
    interactions = dataset.interactions
    users, items = (pl.Series(list(ids), dtype=pl.String) for ids in (dataset.users, dataset.items))
    columns = {
        "user": users.gather(interactions.users),
        "item": items.gather(interactions.items),
        "timestamp": interactions.timestamps,
        "weight": interactions.weights,
        "split": pl.Series(SPLITS, dtype=pl.String).gather(interactions.splits),
    }
    return pl.DataFrame({name: column for name, column in columns.items() if column is not None})


def write_split_table(dataset: Dataset, path: Path, *, overwrite: bool = False) -> None:
    """Write the table of :func:`split_table`, which :func:`flatrec.load_data` reads as data with a given split.

    Features are not in it. If the data have repeats, it is read with ``repeat = true`` in a description.

    Raises:
        ValueError: the name of the file ends in neither ``.parquet`` nor ``.csv``.
        FileExistsError: there is such a file, and ``overwrite`` is not given.
        OSError: it cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"--out must be a file that ends in {' or '.join(SUFFIXES)}, but is {path}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already; replace it (--overwrite), or choose another name")
    table = split_table(dataset)
    with atomic_write(path) as temporary:
        if path.suffix.lower() == SUFFIXES[0]:
            table.write_parquet(temporary)
        else:
            table.write_csv(temporary)
