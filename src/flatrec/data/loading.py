"""A data set from a path, whatever its format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flatrec.config.split import SplitSettings
from flatrec.data.dataset import Dataset
from flatrec.data.formats import DataFormat, data_formats
from flatrec.data.tables.augmentation_files import read_augmentation
from flatrec.data.tables.files import visible
from flatrec.data.tables.logged import LoggedEvents
from flatrec.utils.integrity import check_manifest
from flatrec.utils.messages import shortlist

ADVICE = "prepare it again, or delete flatrec-manifest.json to use the files as they are"


def load_data(path: Path | str, split: SplitSettings | None = None, *, logged: LoggedEvents | None = None) -> Dataset:
    """Read the data set at a path: a folder in a known format, a ``dataset.toml``, or a single table.

    Files of its augmentation lie in the folder, or beside the description; see
    :func:`flatrec.data.tables.augmentation_files.read_augmentation`.

    Args:
        path: where the data are.
        split: how to split them; what is left out is as the data say.
        logged: the events of a log that are joined to those of a ``dataset.toml`` or a table.

    Raises:
        FileNotFoundError: there is nothing at the path, or a file that the format needs is missing.
        ValueError: no format matches, a file is malformed, a folder is not as flatrec wrote it, or the data cannot be
            split so or joined with a log.
    """
    path = Path(path)
    if path.is_dir():
        check_manifest(path, advice=ADVICE)
    data_format = detect_format(path)
    if logged is not None:
        dataset = _with_logged(path, data_format, split or SplitSettings(), logged)
    elif split is None:
        dataset = data_format.read(path)
    elif data_format.read_split is None:
        dataset = data_format.read(path).split_again(split)
    else:
        dataset = data_format.read_split(path, split)
    described = path.is_dir() or path.suffix.lower() == ".toml"
    folder = path if path.is_dir() else path.parent
    said = read_augmentation(dataset, folder) if described else None
    return replace(dataset, source=str(path.resolve()), augmentation=said)


def _with_logged(path: Path, data_format: DataFormat, split: SplitSettings, logged: LoggedEvents) -> Dataset:
    if data_format.read_logged is None:
        raise ValueError(
            f"the events of a log are joined to a table or a dataset.toml, but {path} is in the format "
            f"{data_format.name!r}; describe its files by a dataset.toml"
        )
    return data_format.read_logged(path, split, logged)


def detect_format(path: Path) -> DataFormat:
    """Return the first format that matches a path; see :func:`flatrec.data.formats.data_formats` for the order.

    Raises:
        FileNotFoundError: there is nothing at the path.
        ValueError: no format matches.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; give a folder of data, a dataset.toml or a table")
    for data_format in data_formats():
        if data_format.matches(path):
            return data_format
    markers = ", ".join(f"{data_format.marker} ({data_format.name})" for data_format in data_formats())
    content = f"; it holds {shortlist((file.name for file in visible(path, '*')), 5) or 'nothing'}" * path.is_dir()
    raise ValueError(f"{path} is in no known format; expected {markers}{content}")
