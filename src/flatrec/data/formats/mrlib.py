"""Folders in the format of MRLib (Multimodal-Recommendation-Library)."""

from __future__ import annotations

from pathlib import Path

from flatrec.data.dataset import Dataset
from flatrec.data.formats import DataFormat
from flatrec.data.tables.files import scan
from flatrec.data.tables.indexed import read_indexed

INTERACTIONS_FILE = "inter.csv"
SPELLINGS = {
    "userID": ("userID", "user_id"),
    "itemID": ("itemID", "item_id"),
    "timestamp": ("timestamp",),
    "x_label": ("x_label",),
}


def read(directory: Path) -> Dataset:
    """Read the data set of a folder with ``inter.csv`` and ``MODALITY_feat.npy`` or ``MODALITY_feat.pt`` files.

    The columns are those of MMRec; ``user_id`` and ``item_id``, as in MRLib's own documentation, are read too.
    The column ``label`` (liked or not) is not a split and is ignored: without ``x_label``, interactions are split at
    random. ``.pt`` files are read as plain tensors only, never as code. Indices, masks and item tables are as in
    the MMRec format; the name of the folder is the name of the data set.

    Raises:
        FileNotFoundError: no ``inter.csv``, or a listed image does not exist.
        ValueError: a file is malformed or does not fit the others.
    """
    path = directory / INTERACTIONS_FILE
    table = scan(path, wanted=list(SPELLINGS.values()))
    columns = {
        name: next((column for column in spellings if column in table.columns), name)
        for name, spellings in SPELLINGS.items()
    }
    for name in ("timestamp", "x_label"):
        if columns[name] not in table.columns:
            del columns[name]
    return read_indexed(directory.resolve().name, table.select(columns))


def matches(path: Path) -> bool:
    """Return True for a folder with ``inter.csv``."""
    return (path / INTERACTIONS_FILE).is_file()


FORMAT = DataFormat("mrlib", INTERACTIONS_FILE, matches, read, order=30)
