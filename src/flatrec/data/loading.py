"""A data set from a path, whatever its format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flatrec.data.dataset import Dataset
from flatrec.data.formats import FORMATS
from flatrec.data.formats.description import DESCRIPTION
from flatrec.data.formats.files import visible
from flatrec.data.formats.mrlib import PAIRS_FILE
from flatrec.data.formats.parquet import is_parquet
from flatrec.data.formats.table import TABLE_SUFFIXES
from flatrec.data.formats.text import ending, first_line
from flatrec.utils.integrity import check_manifest
from flatrec.utils.messages import shortlist

ADVICE = "prepare it again, or delete flatrec-manifest.json to use the files as they are"


def load_data(path: Path | str) -> Dataset:
    """The data set at a path: a folder in a known format, a description, or a single table.

    Raises:
        FileNotFoundError: there is nothing at the path, or a file that the format needs is missing.
        ValueError: the format is not known, a file is malformed, or a folder is not as flatrec wrote it.
    """
    path = Path(path)
    if path.is_dir():
        check_manifest(path, advice=ADVICE)
    return replace(FORMATS[detect(path)](path), source=str(path.resolve()))


def detect(path: Path) -> str:
    """The name of the format at a path, a key of FORMATS.

    A folder with ``dataset.toml`` is described by it; one with ``.inter`` files is RecBole's if their headers
    have types (``user_id:token``), else MMRec's; one with ``inter.csv`` is MRLib's.

    Raises:
        FileNotFoundError: there is nothing at the path.
        ValueError: the format is not known.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; give a folder of data, a dataset.toml or a table")
    if path.is_dir():
        return _folder_format(path)
    if path.suffix.lower() == ".toml" or ending(path) in TABLE_SUFFIXES:
        return "table"
    raise ValueError(
        f"{path} is in no known format; give a .toml description, a {', '.join(TABLE_SUFFIXES)} table, "
        "or the folder that holds the data"
    )


def _folder_format(path: Path) -> str:
    if (path / DESCRIPTION).is_file():
        return "table"
    pairs = visible(path, "*.inter")
    if pairs:
        return "recbole" if ":" in first_line(pairs[0]) else "mmrec"
    if (path / PAIRS_FILE).is_file():
        return "mrlib"
    if is_parquet(path):
        return "table"
    found = [file.name for file in visible(path, "*")]
    raise ValueError(
        f"{path} is in no known format: it has no {DESCRIPTION}, no *.inter (MMRec, RecBole) and no "
        f"{PAIRS_FILE} (MRLib); it holds {shortlist(found, 5) or 'nothing'}"
    )
