"""How the items of a data set were encoded, so that new ones can be encoded like them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from flatrec.utils.atomic_write import write_text
from flatrec.utils.integrity import read_sealed, seal

RECIPE = "encode.json"
_ADVICE = "delete it and encode texts and images again with flatrec encode"


@dataclass(frozen=True)
class Recipe:
    """What was taken from an items table, and by which encoders.

    Args:
        id_column: the ids; None where they were found by the usual names.
        text_columns: joined in this order; empty where no texts were encoded.
        text_encoder: as it was named.
        image_column: of image files; None where there was none.
        images_by_id: whether images were named by item id instead.
        image_encoder: as it was named.
    """

    id_column: str | None = None
    text_columns: tuple[str, ...] = ()
    text_encoder: str = "all-minilm-l6-v2"
    image_column: str | None = None
    images_by_id: bool = False
    image_encoder: str = "efficientnet-lite0"

    def completed(self, folder: Path) -> Recipe:
        """This recipe, with what ``encode.json`` holds of a modality that is not encoded now.

        Raises:
            ValueError: ``encode.json`` is damaged, and a modality is not encoded now.
        """
        kept = [] if self.text_columns else ["text_columns", "text_encoder"]
        if self.image_column is None and not self.images_by_id:
            kept += ["image_column", "images_by_id", "image_encoder"]
        before = read_recipe(folder) if kept else None
        return self if before is None else replace(self, **{name: getattr(before, name) for name in kept})

    def write(self, folder: Path) -> None:
        """Write ``encode.json``.

        Raises:
            OSError: the folder cannot be written to.
        """
        write_text(folder / RECIPE, seal(asdict(self)) + "\n")


def read_recipe(folder: Path) -> Recipe | None:
    """How the items of a folder were encoded; None where nothing says so.

    Raises:
        ValueError: ``encode.json`` is damaged.
    """
    file = folder / RECIPE
    if not file.is_file():
        return None
    found = read_sealed(file, advice=_ADVICE)
    try:
        known = {one.name: found[one.name] for one in fields(Recipe)}
        return Recipe(**{**known, "text_columns": tuple(map(str, known["text_columns"]))})
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file} is not what flatrec encode writes ({error!r}); {_ADVICE}") from None
