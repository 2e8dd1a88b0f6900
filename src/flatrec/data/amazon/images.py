"""Amazon's image features of 2014: one record per item, of 10 bytes of item id and 4096 float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from flatrec.data.features import Features

ID_BYTES, WIDTH = 10, 4096
RECORD = ID_BYTES + 4 * WIDTH
_RECORDS_PER_READ = 512


def read_image_features(
    path: Path, rows: Mapping[str, int], *, on_bytes: Callable[[int], None] = lambda _count: None
) -> Features:
    """Read the features of the wanted items into their rows; O(wanted items) memory. ``on_bytes`` gets the bytes read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file ends within a record, or has none of the items.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; expected image features such as Amazon's image_features_Baby.b")
    if path.stat().st_size % RECORD:
        raise ValueError(
            f"{path} is not a whole number of records of {RECORD} bytes (10 of id, 4096 float32); fetch it again"
        )
    values = np.zeros((len(rows), WIDTH), dtype=np.float32)
    present = np.zeros(len(rows), dtype=np.bool_)
    kind = np.dtype([("item", f"S{ID_BYTES}"), ("values", "<f4", WIDTH)])
    wanted = {item.encode(): row for item, row in rows.items()}
    with path.open("rb") as file:
        while block := file.read(RECORD * _RECORDS_PER_READ):
            for item, vector in np.frombuffer(block, dtype=kind):
                row = wanted.get(item)
                if row is not None and np.isfinite(vector).all():
                    values[row], present[row] = vector, True
            on_bytes(len(block))
    if not present.any():
        raise ValueError(f"{path} has none of the {len(rows)} items that were reviewed; is it of the same category?")
    return Features(values, present)
