"""A folder of feature files that ``flatrec encode`` wrote, with the item id of each row."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from flatrec.data.builder import IndexedFeatures
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features, align, as_float32
from flatrec.data.tables.feature_files import FeatureSource, read_features, row_ids
from flatrec.data.tables.indexed import feature_files
from flatrec.utils.atomic_write import atomic_write, sweep
from flatrec.utils.integrity import check_listed, drop_from_manifest, update_manifest

ITEM_IDS, COLUMN = "encoded_items.csv", "item"
# Beside the features: what was found, and how the items were encoded.
REPORTS = ("encoding.json", "encoding.csv", "encode.json")
ADVICE = "encode the items again with flatrec encode"


@dataclass(frozen=True, eq=False)
class EncodedItems:
    """Items and their features."""

    ids: tuple[str, ...]  # the ids of all items, in the order of the rows of the files
    features: Mapping[str, IndexedFeatures]  # rows by modality; an item without a modality has no row in it


def prepare_folder(folder: Path, ids: Sequence[str], modalities: Collection[str]) -> None:
    """Prepare a folder, new or not, for features of items, so that no row in it is ever read as that of another item.

    Raises:
        ValueError: the folder has features of other items, or in another order, which would stay.
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    file = folder / ITEM_IDS
    if not file.is_file() or row_ids(file, COLUMN) == list(ids):
        return
    staying = sorted(set(feature_files(folder)).difference(modalities))
    if staying:
        raise ValueError(
            f"{folder} has {staying[0]} features of other items, or in another order; encode {staying[0]} again too, "
            "or choose another folder"
        )
    begin_update(folder, modalities)
    file.unlink()  # a kill would leave new features beside old ids


def begin_update(folder: Path, modalities: Collection[str]) -> None:
    """Remove the files that will be replaced from the manifest: until :func:`finish_update`, the folder is unfinished.

    Raises:
        ValueError: the manifest is damaged.
        OSError: the folder cannot be written to.
    """
    drop_from_manifest(folder, (ITEM_IDS, *REPORTS, *_matrices(modalities)), advice=ADVICE)


def finish_update(folder: Path, modalities: Collection[str]) -> None:
    """List the written files in the manifest; call it after all of them are written.

    Raises:
        ValueError: the manifest is damaged.
        OSError: a file cannot be read, or the folder not written to.
    """
    update_manifest(folder, (ITEM_IDS, *REPORTS, *_matrices(modalities)), advice=ADVICE)


def _matrices(modalities: Collection[str]) -> list[str]:
    return [f"{modality}_{what}.npy" for modality in modalities for what in ("feat", "mask")]


def write_ids(folder: Path, ids: Sequence[str]) -> None:
    """Write ``encoded_items.csv``: item ids in the order of the rows.

    Raises:
        OSError: the folder cannot be written to.
    """
    with atomic_write(folder / ITEM_IDS) as temporary:
        pl.DataFrame({COLUMN: ids}, schema={COLUMN: pl.String}).write_csv(temporary, quote_style="non_numeric")


def read_encoded(folder: Path) -> EncodedItems:
    """Read what ``flatrec encode`` wrote to a folder.

    Raises:
        FileNotFoundError: there is no such folder, or it does not hold encoded items.
        ValueError: a file is malformed or damaged, or the encoding was stopped before its end.
    """
    ids = folder / ITEM_IDS
    if not ids.is_file():
        raise FileNotFoundError(
            f"{folder} is not a folder of encoded items: it has no {ITEM_IDS}; write one with flatrec encode"
        )
    files = feature_files(folder)
    if not files:
        raise FileNotFoundError(f"{folder} holds no MODALITY_feat.npy; encode the items again with flatrec encode")
    masks = [file.with_name(f"{name}_mask.npy") for name, file in files.items()]
    existing = [path.name for path in (*files.values(), *masks) if path.is_file()]
    check_listed(folder, (ITEM_IDS, *existing), advice=ADVICE)
    rows = {name: read_features(FeatureSource(file, ids, COLUMN)) for name, file in files.items()}
    return EncodedItems(tuple(row_ids(ids, COLUMN)), rows)


def encoded_features(dataset: Dataset, folder: Path) -> dict[str, Features]:
    """Read the features of the items of a data set from a folder of encoded items, by modality.

    Raises:
        FileNotFoundError: the folder does not hold encoded items.
        ValueError: a file is malformed, or an item of the data set is not among the encoded ones.
    """
    encoded = read_encoded(folder)
    if missing := sorted(set(dataset.items).difference(encoded.ids)):
        raise ValueError(
            f"{folder} lacks {len(missing)} of the {dataset.n_items} items of {dataset.name!r}: the data set has ids "
            f"like {missing[0]!r}, the folder like {encoded.ids[0]!r}; encode a table of all of them, with --id-column "
            "for the ids that the data set has"
        )
    items = list(dataset.items)
    return {
        name: align(list(rows.ids), as_float32(rows.values), items, f"{folder / name}_feat")
        for name, rows in encoded.features.items()
    }
