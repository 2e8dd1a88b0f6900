"""New items as a command takes them: encoded already, or a table that is encoded like the items of the run."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from flatrec.cli.encode import Means, encode_table
from flatrec.cli.items import images_of
from flatrec.content.encoders.recipe import RECIPE, Recipe, read_recipe
from flatrec.data.dataset import Dataset
from flatrec.data.formats.description import DESCRIPTION, parse
from flatrec.data.formats.encoded import EncodedItems, read_encoded
from flatrec.data.formats.table import TABLE_SUFFIXES
from flatrec.data.items import ItemTable, read_items


def encode_new_items(path: Path, dataset: Dataset, *, image_dir: Path | None = None) -> EncodedItems:
    """The items of a folder that ``flatrec encode`` wrote, or those of a table, encoded as the data set's own were.

    Args:
        path: folder or table.
        dataset: whose items were encoded, which ``encode.json`` beside its features tells.
        image_dir: of the images of the table's items, named by item id.

    Raises:
        FileNotFoundError: there is no such folder or table.
        ValueError: nothing says how the data's items were encoded, or the table lacks what they were encoded from.
    """
    if path.is_dir() or path.suffix.lower() not in TABLE_SUFFIXES:
        if image_dir is not None:
            raise ValueError(f"--image-dir is for a table of new items, but {path} is none; leave it out")
        return read_encoded(path)
    recipe = _recipe(dataset)
    if recipe is None:
        raise ValueError(
            f"{path} is a table, and no {RECIPE} beside the run's data tells how to encode it; encode it first "
            f"(flatrec encode {path} --out FOLDER) and give the folder"
        )
    table = read_items(path, recipe.id_column)
    with tempfile.TemporaryDirectory() as folder:
        encode_table(table, _images(table, recipe, image_dir), recipe, Path(folder), Means())
        return read_encoded(Path(folder))


def _images(table: ItemTable, recipe: Recipe, folder: Path | None) -> Mapping[str, Path | None] | None:
    if folder is not None:
        return images_of(table, folder, None)
    if recipe.images_by_id:
        raise ValueError(f"the images of the run's items are named by item id; give --image-dir for {table.path}")
    return images_of(table, None, recipe.image_column)


def _recipe(dataset: Dataset) -> Recipe | None:
    """How the items of a data set were encoded, if that is written beside its features."""
    source = Path(dataset.source or "")
    description = source / DESCRIPTION if source.is_dir() else source
    folders = [source]
    if description.suffix.lower() == ".toml" and description.is_file():
        folders = [one.file.parent for one in parse(description).features.values()]
    return next((found for found in map(read_recipe, folders) if found is not None), None)
