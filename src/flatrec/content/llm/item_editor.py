"""Writes a copy of an items table in which some texts and images are edited."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from flatrec.content.encoders.images import decode_image, read_image
from flatrec.content.llm.captions import Caption
from flatrec.content.llm.text_overlay import NO_GLYPH, TextOverlay
from flatrec.data.encoded_items import ITEM_IDS, begin_update
from flatrec.data.items import ItemTable
from flatrec.utils.atomic_write import atomic_write
from flatrec.utils.integrity import read_sealed
from flatrec.utils.relative_path import relative_path

FACTS, DETAILS, IMAGES = "adjustment.json", "adjustment.csv", "adjusted_images"
TEXT_COLUMN, IMAGE_COLUMN = "adjusted_text", "adjusted_image"
TEXT_ONLY = "text adjusted only"


@dataclass(frozen=True)
class ItemEditor:
    """Raw items, some of which are to be edited.

    Args:
        table: table of all items.
        texts: original texts of all items.
        images: original images of all items; empty if there are none.
    """

    table: ItemTable
    texts: Mapping[str, str | None]
    images: Mapping[str, Path | None]

    def check(self, out: Path, *, overwrite: bool) -> None:
        """Make sure that edited items can be written to a folder without losing anything.

        Raises:
            FileExistsError: the folder holds edited items or another table, and ``overwrite`` is False.
            NotADirectoryError: it is a file.
            ValueError: it holds the table or images that are read, or the ids are in a column that is written.
            OSError: the table cannot be written there.
        """
        if self.table.id_column in (TEXT_COLUMN, IMAGE_COLUMN):
            raise ValueError(f"the ids cannot be in the column {self.table.id_column!r}, which is written; rename it")
        if out.exists() and not out.is_dir():
            raise NotADirectoryError(f"{out} is a file; name a folder")
        table, edited = adjusted_table_path(out, self.table.path), (out / IMAGES).resolve()
        if table.resolve() == self.table.path.resolve() or any(
            path is not None and edited in path.resolve().parents for path in self.images.values()
        ):
            raise ValueError(f"{out} holds what is read; choose another folder")
        if (table.exists() or (out / FACTS).exists()) and not overwrite:
            raise FileExistsError(f"{out} holds items already; replace them (--overwrite) or choose another folder")
        if out.exists():
            self.table.check_writable(table)

    def write(self, out: Path, captions: Mapping[str, Caption], overlay: TextOverlay) -> dict[str, tuple[str, ...]]:
        """Write the table with the columns ``adjusted_text`` and ``adjusted_image``, and the edited images.

        Images that are not edited stay where they are, and are named relative to ``out``.

        Returns:
            The warnings of each item that has any.

        Raises:
            OSError: the folder cannot be written to.
        """
        _clear(out)
        warnings: dict[str, tuple[str, ...]] = {}
        paths = {item: None if path is None else relative_path(path, out) for item, path in self.images.items()}
        for index, item in enumerate(self.table.ids):
            if item not in captions:
                continue
            image = _open_image(self.images.get(item))
            warnings[item] = () if image else (TEXT_ONLY,)
            if image is not None:
                warnings[item] += (NO_GLYPH,) if overlay.has_missing_glyphs(captions[item].summary) else ()
                paths[item] = f"{IMAGES}/{index}.png"
                with atomic_write(out / IMAGES / f"{index}.png") as temporary:
                    overlay.draw(image, captions[item].summary).save(temporary, "PNG")
        texts = {item: captions[item].text if item in captions else text for item, text in self.texts.items()}
        table = self.table.with_column(TEXT_COLUMN, texts)
        table = table.with_column(IMAGE_COLUMN, paths) if self.images else table
        table.write(adjusted_table_path(out, self.table.path))
        return {item: item_warnings for item, item_warnings in warnings.items() if item_warnings}


def adjusted_table_path(out: Path, original: Path) -> Path:
    """Return the path of the table of edited items, which has the format of the original."""
    return out / f"items{original.suffix.lower()}"


@dataclass(frozen=True)
class AdjustmentRecord:
    """Which items of a folder were adjusted.

    Args:
        probability: probability of each item.
        seed: seed of the draw.
        items: ids of the adjusted items.
    """

    probability: float
    seed: int
    items: tuple[str, ...]


def read_adjustment(folder: Path) -> AdjustmentRecord:
    """Read which items ``flatrec adjust`` adjusted in a folder.

    Raises:
        FileNotFoundError: the folder does not hold adjusted items.
        ValueError: its ``adjustment.json`` is malformed.
    """
    file = folder / FACTS
    if not file.is_file():
        raise FileNotFoundError(
            f"{folder} is no folder of adjusted items: it has no {FACTS}; write one with flatrec adjust, and its "
            "features into it with flatrec encode"
        )
    facts = read_sealed(file, advice="adjust the items again")
    try:
        items = tuple(map(str, facts["items"]))
        return AdjustmentRecord(float(facts["probability"]), int(facts["seed"]), items)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is not what flatrec adjust writes ({error!r}); adjust the items again") from None


def _clear(out: Path) -> None:
    """Create the folder, and remove files that would not belong to what follows."""
    out.mkdir(parents=True, exist_ok=True)
    begin_update(out, ())
    for name in (FACTS, ITEM_IDS):  # without ids, the features there belong to no items
        (out / name).unlink(missing_ok=True)
    folder = out / IMAGES
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FileExistsError(f"{folder} is not a folder that flatrec made; remove it, or choose another --out")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()


def _open_image(path: Path | None) -> Image.Image | None:
    data = read_image(path).value
    return None if data is None else decode_image(data).value
