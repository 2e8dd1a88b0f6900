"""How the items of a data set were encoded, so that new items can be encoded alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from flatrec.content.item_source import ItemSource
from flatrec.utils.atomic_write import write_text
from flatrec.utils.integrity import read_sealed, seal

RECIPE = "encode.json"
_ADVICE = "delete it and encode texts and images again with flatrec encode"


@dataclass(frozen=True)
class Recipe:
    """The columns of an items table that were encoded, and the encoders.

    Args:
        id_column: column of the ids; None if they were found by common names.
        text_columns: text columns, joined in this order; empty if no texts were encoded.
        text_encoder: name of the text encoder.
        image_column: column of image files; None if there was none.
        images_by_id: whether the names of the images were the item ids instead.
        image_encoder: name of the image encoder.
    """

    id_column: str | None = None
    text_columns: tuple[str, ...] = ()
    text_encoder: str = "all-minilm-l6-v2"
    image_column: str | None = None
    images_by_id: bool = False
    image_encoder: str = "efficientnet-lite0"

    def source(self, path: Path, image_dir: Path | None) -> ItemSource:
        """Return where a table of new items is read from, with the columns of this recipe.

        Args:
            path: table of the new items.
            image_dir: folder of their images, whose names are the item ids.

        Raises:
            ValueError: the images are named by item id, and no folder is given.
        """
        if self.images_by_id and image_dir is None:
            raise ValueError(f"the images of the run's items are named by item id; give --image-dir for {path}")
        return ItemSource(
            path=path,
            id_column=self.id_column,
            text_columns=self.text_columns,
            image_dir=image_dir,
            image_column=None if image_dir else self.image_column,
        )

    def merged_with(self, folder: Path) -> Recipe:
        """Return this recipe, completed by the folder's ``encode.json`` for a modality that is not encoded now.

        Raises:
            ValueError: ``encode.json`` is damaged, and a modality is not encoded now.
        """
        names = [] if self.text_columns else ["text_columns", "text_encoder"]
        if self.image_column is None and not self.images_by_id:
            names += ["image_column", "images_by_id", "image_encoder"]
        earlier = read_recipe(folder) if names else None
        return self if earlier is None else replace(self, **{name: getattr(earlier, name) for name in names})

    def write(self, folder: Path) -> None:
        """Write ``encode.json``.

        Raises:
            OSError: the folder cannot be written to.
        """
        write_text(folder / RECIPE, seal(asdict(self)) + "\n")


def read_recipe(folder: Path) -> Recipe | None:
    """Return how the items of a folder were encoded; None if there is no ``encode.json``.

    Raises:
        ValueError: ``encode.json`` is damaged.
    """
    file = folder / RECIPE
    if not file.is_file():
        return None
    values = read_sealed(file, advice=_ADVICE)
    try:
        known = {entry.name: values[entry.name] for entry in fields(Recipe)}
        return Recipe(**{**known, "text_columns": tuple(map(str, known["text_columns"]))})
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file} is not what flatrec encode writes ({error!r}); {_ADVICE}") from None
