"""Dates and events are drawn apart from everything else, which is what it was before there were any.

The digests and numbers are those of the last version of the shop without dates.
"""

import hashlib

import numpy as np
import pytest

from flatrec.data.shop.catalog import ATTRIBUTES

DIGESTS = {"users": "cadfbd3f10b75246", "items": "0b64c8a208e16967", "splits": "fcd395c87b46ce44"}
WORDS = ["id", "title", "description", "kind", "color", "material", "pattern", "brand"]
FEATURES = {  # three values of item 7, and the sum of all absolute values
    ("drawn", "image"): ([-1.52432108, 0.16532633, 0.19218194], 2099.77023),
    ("drawn", "text"): ([0.27252665, 0.02077434, 0.03050063], 1388.63450),
    ("undrawn", "image"): ([0.01609411, 0.11014669, -0.11569415], 5972.60939),
    ("undrawn", "text"): ([-0.59609032, -0.78301001, 0.60590756], 1803.79224),
}


def digest(*parts: bytes) -> str:
    return hashlib.blake2b(b"".join(parts), digest_size=8).hexdigest()


@pytest.mark.parametrize("name", ["drawn", "undrawn"])
def test_users_items_and_splits_are_what_they_were(name, request):
    interactions = request.getfixturevalue(name).dataset.interactions
    assert {column: digest(getattr(interactions, column).tobytes()) for column in DIGESTS} == DIGESTS


@pytest.mark.parametrize("name", ["drawn", "undrawn"])
def test_texts_and_attributes_are_what_they_were(name, request):
    catalog = request.getfixturevalue(name).catalog
    assert digest(catalog.select(WORDS).write_csv().encode()) == "d01c24c589e54ba7"
    assert digest("\n".join(catalog["price_band"]).encode()) == "6c5e0dc4379d3e68"
    assert list(ATTRIBUTES) == ["kind", "color", "material", "pattern", "price_band", "brand"]


def test_images_are_what_they_were(drawn):
    assert digest(*(image.tobytes() for image in drawn.images)) == "67e06c4773d629af"


@pytest.mark.parametrize(("name", "modality"), FEATURES)
def test_features_are_what_they_were(name, modality, request):
    values = request.getfixturevalue(name).dataset.features[modality].values
    row, total = FEATURES[name, modality]
    np.testing.assert_allclose(values[7, :3], row, rtol=1e-4, atol=1e-6)
    assert np.abs(values).sum(dtype=np.float64) == pytest.approx(total, rel=1e-5)
