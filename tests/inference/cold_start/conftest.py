"""Block data, trained models, and new items that belong to a block."""

from __future__ import annotations

from functools import cache

import numpy as np

from flatrec.data.builder import IndexedFeatures
from flatrec.data.encoded_items import EncodedItems
from flatrec.data.features import Features
from flatrec.inference.cold_start import read_new_items
from flatrec.inference.run import Run
from flatrec.testing import block_dataset, fit
from tests.models.settings import SETTINGS, make

BLOCKS, USERS, ITEMS = 3, 10, 8
WIDTHS = {"image": BLOCKS + 1, "text": BLOCKS + 2}


@cache
def data():
    return block_dataset(blocks=BLOCKS, users=USERS, items=ITEMS)


@cache
def trained(name):
    """A run on the block data."""
    model = make(name, data())
    fit(model, data(), epochs=40)
    return Run(data(), model)


def encoded(blocks, *, seed=1, lacking=None, widths=WIDTHS, names=None):
    """An item for each number of a block; ``lacking`` maps a modality to the places that have none."""
    noise = np.random.default_rng(seed)
    names = [f"new {place}" for place in range(len(blocks))] if names is None else names
    features = {}
    for modality, width in widths.items():
        values = np.eye(BLOCKS, width)[list(blocks)] + 0.1 * noise.standard_normal((len(blocks), width))
        kept = [place for place in range(len(blocks)) if place not in (lacking or {}).get(modality, ())]
        features[modality] = IndexedFeatures([names[place] for place in kept], values[kept], f"{modality}_feat.npy")
    return EncodedItems(tuple(names), features)


def new(blocks, dataset=None, **options):
    return read_new_items(encoded(blocks, **options), dataset or data(), "FOLDER")


def only(items, place):
    """One of the new items, as if it had come alone."""
    row = [place]
    return type(items)(
        (items.ids[place],),
        {name: Features(one.values[row], one.present[row]) for name, one in items.features.items()},
        items.rows[row],
    )


def options(name):
    return SETTINGS[name]
