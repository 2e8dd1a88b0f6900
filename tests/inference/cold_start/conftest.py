"""Block data, trained models, and new items that belong to a block."""

from __future__ import annotations

from functools import cache

import numpy as np

from flatrec.data.builder import IndexedFeatures
from flatrec.data.encoded_items import EncodedItems
from flatrec.data.features import Features
from flatrec.inference.known_items import KnownItems
from flatrec.inference.new_items import read_new_items
from flatrec.inference.run import Run
from flatrec.testing import block_dataset, fit
from tests.models.settings import make

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
    """One item for each block index; ``lacking`` maps a modality to the indices that lack it."""
    noise = np.random.default_rng(seed)
    names = [f"new {index}" for index in range(len(blocks))] if names is None else names
    features = {}
    for modality, width in widths.items():
        values = np.eye(BLOCKS, width)[list(blocks)] + 0.1 * noise.standard_normal((len(blocks), width))
        rows = [index for index in range(len(blocks)) if index not in (lacking or {}).get(modality, ())]
        features[modality] = IndexedFeatures([names[index] for index in rows], values[rows], f"{modality}_feat.npy")
    return EncodedItems(tuple(names), features)


def new(blocks, dataset=None, **options):
    return read_new_items(encoded(blocks, **options), KnownItems.of(dataset or data()), "FOLDER")


def only(items, index):
    """One of the new items, as if it had come alone."""
    row = [index]
    return type(items)(
        (items.ids[index],),
        {name: Features(one.values[row], one.present[row]) for name, one in items.features.items()},
        items.rows[row],
    )
