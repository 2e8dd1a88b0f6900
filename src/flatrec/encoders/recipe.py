"""How the items of a data set were encoded, so that new ones can be encoded like them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from flatrec.files import write_text

RECIPE = "encode.json"


@dataclass(frozen=True)
class Recipe:
    """What was taken from an items table, and by which encoders.

    Args:
        id_column: the ids; None where they were found by the usual names.
        text_columns: joined in this order; empty where no texts were encoded.
        text_encoder: as it was named.
        picture_column: of picture files; None where there was none.
        pictures_by_id: whether pictures were named by item id instead.
        picture_encoder: as it was named.
    """

    id_column: str | None = None
    text_columns: tuple[str, ...] = ()
    text_encoder: str = "all-minilm-l6-v2"
    picture_column: str | None = None
    pictures_by_id: bool = False
    picture_encoder: str = "efficientnet-lite0"

    def write(self, folder: Path) -> None:
        """Write ``encode.json``, which keeps what it holds of a modality that is not encoded now.

        Raises:
            OSError: the folder cannot be written to.
        """
        merged = asdict(self)
        before = read_recipe(folder)
        if before is not None:
            kept = [] if self.text_columns else ["text_columns", "text_encoder"]
            if self.picture_column is None and not self.pictures_by_id:
                kept += ["picture_column", "pictures_by_id", "picture_encoder"]
            merged |= {name: value for name, value in asdict(before).items() if name in kept}
        write_text(folder / RECIPE, json.dumps(merged, indent=2, ensure_ascii=False) + "\n")


def read_recipe(folder: Path) -> Recipe | None:
    """How the items of a folder were encoded; None where nothing that can be read says so."""
    try:
        found = json.loads((folder / RECIPE).read_text(encoding="utf-8"))
        known = {one.name: found[one.name] for one in fields(Recipe)}
        return Recipe(**{**known, "text_columns": tuple(map(str, known["text_columns"]))})
    except (OSError, ValueError, KeyError, TypeError):
        return None
