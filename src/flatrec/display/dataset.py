"""A data set in a notebook: its figures, and a few of its items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flatrec.data.frames.display import figures
from flatrec.display.html import element, heading, page, soft, text
from flatrec.display.table import table
from flatrec.display.tiles import Tile, tile_rows
from flatrec.utils.messages import shortlist

if TYPE_CHECKING:
    from flatrec.data.dataset import Dataset

N_ITEMS = 8


def describe_html(dataset: Dataset) -> str:
    """Return name, counts, splits, modalities and dates as a table, above items from the whole range of indices.

    Eight items are read, whatever the number of items.
    """
    said = {name: f"{int(value):,}" if value.isdecimal() else value for name, value in figures(dataset).items()}
    for name, column in (("titles", dataset.titles), ("images", dataset.images)):
        said[name] = "no" if column is None else "yes"
    if dataset.item_columns is not None:
        said["item columns"] = shortlist(dataset.item_columns.columns)
    n_shown = min(dataset.n_items, N_ITEMS)
    shown = [_tile(dataset, place * dataset.n_items // n_shown) for place in range(n_shown)]
    return page(
        heading("Dataset", dataset.name),
        table(("", ""), [(name, text(value)) for name, value in said.items()], texts=(0, 1)),
        element("div", soft(f"{n_shown} of {dataset.n_items:,} items"), *tile_rows([shown]), style="margin-top:.6em"),
    )


def _tile(dataset: Dataset, item: int) -> Tile:
    name, titles, images = dataset.items[item], dataset.titles, dataset.images
    title = titles[item] if titles is not None else ""
    return Tile(title or name, images[item] if images is not None else None, (text(name, 40),) if title else ())
