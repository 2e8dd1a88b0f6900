"""Replacing the files of a data set's augmentation, all of them or the parts that were written again."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import polars as pl

from flatrec.data.dataset import Dataset
from flatrec.data.tables.augmentation_files import ATTRIBUTE, PREFIX, PROFILES, SHOWN, SUGGESTIONS
from flatrec.data.tables.files import visible
from flatrec.utils.atomic_write import atomic_write, sweep
from flatrec.utils.integrity import MANIFEST, drop_from_manifest
from flatrec.utils.messages import unknown

Part: TypeAlias = Literal["profiles", "attributes", "suggestions"]
PARTS: tuple[Part, ...] = get_args(Part)
FROM_HISTORIES: tuple[Part, ...] = ("profiles", "suggestions")  # whose prompts show interactions
DETAILS = f"{PREFIX}report.csv"
ADVICE = "prepare the data again, or delete flatrec-manifest.json to use the files as they are"


def parts_of(names: Sequence[str]) -> tuple[Part, ...]:
    """Return the parts of these names, in their fixed order.

    Raises:
        ValueError: there is no such part.
    """
    if others := set(names).difference(PARTS):
        raise ValueError(unknown("part", min(others), PARTS))
    return tuple(part for part in PARTS if part in names)


def augmentation_folder(dataset: Dataset) -> Path:
    """Return the folder in which the files of a data set's augmentation lie.

    Raises:
        ValueError: the data set is no folder and has no ``dataset.toml``, beside which they could lie.
    """
    path = Path(dataset.source or "")
    on_disk = path.is_absolute()  # `shop` is the built-in shop, whatever folder has that name
    if on_disk and path.is_dir():
        return path
    if on_disk and path.suffix.lower() == ".toml" and path.is_file():
        return path.parent
    raise ValueError(
        f"{dataset.name} is neither a folder nor described by a dataset.toml, beside which the files would lie; write "
        "a dataset.toml for a table, or a folder (flatrec data shop FOLDER) of the built-in shop"
    )


def files_of(folder: Path, parts: Collection[Part]) -> list[Path]:
    """Return the files of some parts that a folder has."""
    names: dict[Part, str] = {
        "profiles": PROFILES,
        "attributes": f"{ATTRIBUTE}*.parquet",
        "suggestions": SUGGESTIONS,
    }
    return [path for part in PARTS if part in parts for path in visible(folder, names[part])]


def check_replaceable(folder: Path, parts: Collection[Part], *, overwrite: bool) -> None:
    """Make sure that the files of some parts can be written, before anything is paid for.

    Raises:
        FileExistsError: some exist, and ``overwrite`` is False.
        OSError: the folder cannot be written to.
    """
    if not os.access(folder, os.W_OK):
        raise OSError(f"cannot write to {folder}; make it writable, or copy the data to a folder that is")
    present = files_of(folder, parts)
    if present and not overwrite:
        more = f" and {len(present) - 1} more" if len(present) > 1 else ""
        raise FileExistsError(
            f"{folder} has {present[0].name}{more}; replace them (--overwrite) or write other parts (--write)"
        )


def replace_parts(folder: Path, parts: Collection[Part], tables: Mapping[str, pl.DataFrame]) -> None:
    """Write the files of some parts; files of these parts that are not among them are removed.

    The shown interactions of parts that stay are kept, and come first: a kill never leaves vectors without them.

    Args:
        folder: the folder of the data set, or of its description.
        parts: the parts that are replaced.
        tables: tables by the name of their file.

    Raises:
        OSError: a file cannot be written.
    """
    sweep(folder)
    old = files_of(folder, parts)
    if (folder / MANIFEST).is_file():
        drop_from_manifest(folder, {*tables, SHOWN, *(path.name for path in old)}, advice=ADVICE)
    shown = folder / SHOWN
    fresh = tables.get(SHOWN)
    stays = shown.is_file() and bool(files_of(folder, set(FROM_HISTORIES).difference(parts)))
    if fresh is not None:
        _write(shown, pl.concat([pl.read_parquet(shown), fresh]).unique(maintain_order=True) if stays else fresh)
    for name, table in tables.items():
        if name != SHOWN:
            _write(folder / name, table)
    for path in old:
        if path.name not in tables:
            path.unlink(missing_ok=True)


def _write(path: Path, table: pl.DataFrame) -> None:
    with atomic_write(path) as temporary:
        table.write_parquet(temporary)
