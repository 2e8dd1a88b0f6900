"""Image files that a table lists."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from flatrec.utils.messages import clipped

IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")


def existing_images(names: Mapping[str, str], table: Path) -> dict[str, Path]:
    """Return image files by id; their names are relative to the folder of the table that lists them.

    Raises:
        FileNotFoundError: a listed file does not exist.
        ValueError: a listed file does not have the ending of an image.
    """
    images = {key: table.parent / name for key, name in names.items() if name}
    foreign = [path for path in images.values() if path.suffix.lower() not in IMAGES]
    if foreign:
        name = clipped(foreign[0].name)
        raise ValueError(f"{table} lists {name!r} as an image; images end in {', '.join(IMAGES)}")
    absent = [path for path in images.values() if not path.is_file()]
    if absent:
        raise FileNotFoundError(
            f"{table} lists {len(absent)} of {len(images)} images that do not exist, e.g. {absent[0]}; "
            "add the files or leave their cells empty"
        )
    return images
