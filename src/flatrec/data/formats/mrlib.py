"""Folders in the format of MRLib (Multimodal-Recommendation-Library)."""

from __future__ import annotations

from pathlib import Path

from flatrec.data.dataset import Dataset
from flatrec.data.formats.files import scan
from flatrec.data.formats.numbered import read_numbered

PAIRS_FILE = "inter.csv"
SPELLINGS = {"userID": ("userID", "user_id"), "itemID": ("itemID", "item_id"), "x_label": ("x_label",)}


def read(directory: Path) -> Dataset:
    """The data set of a folder with ``inter.csv`` and ``MODALITY_feat.npy`` or ``MODALITY_feat.pt`` files.

    The columns are those of MMRec; ``user_id`` and ``item_id``, as in MRLib's own description, are read too.
    Its column ``label`` (liked or not) is no split and is ignored: without ``x_label``, pairs are split at
    random. ``.pt`` files are read as plain tensors only, never as code. Numbering, masks and item tables are
    as in ``mmrec.read``; the folder gives the name.

    Raises:
        FileNotFoundError: no ``inter.csv``, or a listed image does not exist.
        ValueError: a file is malformed or does not fit the others.
    """
    path = directory / PAIRS_FILE
    table = scan(path, wanted=list(SPELLINGS.values()))
    columns = {name: next((one for one in ways if one in table.columns), name) for name, ways in SPELLINGS.items()}
    if columns["x_label"] not in table.columns:
        del columns["x_label"]
    return read_numbered(directory.resolve().name, table.select(columns))
