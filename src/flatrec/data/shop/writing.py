"""A shop on disk: a folder in the MMRec format, with the full catalog and the images."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import polars as pl
from PIL import Image

from flatrec.data.encoded_items import ITEM_IDS
from flatrec.data.formats import mmrec
from flatrec.data.shop.events import EVENTS
from flatrec.data.shop.shop import Shop
from flatrec.utils.atomic_write import own_folder, sweep
from flatrec.utils.integrity import MANIFEST
from flatrec.utils.renaming import move

IMAGES = "images"
EVENT_TABLE = "events.parquet"
TABLES = ("items.parquet", "users.parquet", EVENT_TABLE)
ENCODED = (ITEM_IDS, "encoding.json", "encoding.csv", "encode.json")  # beside features of an encoder
OWN = (IMAGES, *TABLES, "*.inter", "*_feat.npy", "*_mask.npy", *ENCODED, MANIFEST)


def write(shop: Shop, directory: Path, *, overwrite: bool = False) -> None:
    """Write a shop to a folder that `flatrec.data.formats.mmrec.read` reads back with the same fingerprint.

    Besides the files of the MMRec format there are ``images/INDEX.png``, and ``items.parquet`` has the
    description, the attributes, price, launch and stock and, if there are images, their file names relative to the
    folder. ``events.parquet`` is the log of all views, carts, purchases and returns, which ``read`` leaves alone.
    The folder appears whole or not at all.

    Args:
        shop: the shop.
        directory: a folder that is empty or does not exist yet; missing parents are created.
        overwrite: whether a folder that holds a shop is replaced.

    Raises:
        FileExistsError: the folder holds something, or, with ``overwrite``, something that is no part of a shop.
        OSError: the folder cannot be written to; nothing is left behind.
    """
    directory = directory.resolve()
    try:
        _check_vacant(directory, overwrite=overwrite)
        ancestor = next(parent for parent in directory.parents if parent.exists())
        if not ancestor.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        sweep(ancestor)
        with own_folder(ancestor / directory.name) as temporary:
            built = temporary / "new"
            _fill(built, shop)
            directory.parent.mkdir(parents=True, exist_ok=True)
            _exchange(built, directory, temporary / "old")
    except OSError as error:
        if error.errno is None:  # raised by flatrec, with a clear message
            raise
        raise type(error)(
            f"the shop needs a folder to write to, but {directory} cannot be written ({error.strerror}); "
            "choose another folder"
        ) from None


def _check_vacant(directory: Path, *, overwrite: bool) -> None:
    if not directory.exists():
        return
    entries = sorted(directory.iterdir())
    if entries and not overwrite:
        raise FileExistsError(
            f"the shop needs an empty folder, but {directory} holds {entries[0].name!r}; "
            "choose another, or replace it (--overwrite; overwrite=True in Python)"
        )
    foreign = [entry.name for entry in entries if not any(entry.match(own) for own in OWN)]
    if foreign:
        raise FileExistsError(
            f"only a shop is overwritten, but {directory} holds {foreign[0]!r}, which is no part of one; "
            "choose another folder"
        )


def _fill(directory: Path, shop: Shop) -> None:
    table = shop.catalog.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("itemID"))
    if shop.images is not None:
        names = _save(shop.images, directory)
        table = table.with_columns(pl.Series("image", names))
    catalog = table.select("itemID", pl.exclude("itemID"))
    tables = {TABLES[0]: catalog.write_parquet, EVENT_TABLE: event_table(shop).write_parquet}
    mmrec.write(shop.dataset, directory, tables, manifest=True)


def event_table(shop: Shop) -> pl.DataFrame:
    """Return the log of a shop with ids and names, as a shop would export it.

    The columns are ``user`` and ``item`` (ids), ``timestamp`` (with time zone UTC), ``event`` (view, cart, purchase or
    return), ``quantity`` and ``price`` (of one piece). The rows are ordered by time.
    """
    users, items = (pl.Series(list(names)) for names in (shop.dataset.users, shop.dataset.items))
    log = shop.events
    return log.with_columns(
        user=users.gather(log["user"]),
        item=items.gather(log["item"]),
        timestamp=pl.from_epoch("timestamp", time_unit="s").dt.replace_time_zone("UTC"),
        event=pl.Series(EVENTS).gather(log["event"]),
    )


def _save(images: tuple[Image.Image, ...], directory: Path) -> list[str]:
    (directory / IMAGES).mkdir(parents=True)
    names = [f"{IMAGES}/{index}.png" for index in range(len(images))]
    for image, name in zip(images, names, strict=True):
        image.save(directory / name)
    return names


def _exchange(built: Path, directory: Path, old: Path) -> None:
    """Move the new folder to the place of the old one, which is restored if that fails."""
    replaces = directory.exists()
    if replaces:
        move(directory, old)
    try:
        move(built, directory)
    except OSError:
        if replaces:
            move(old, directory)
        raise
