import numpy as np
import pytest
from PIL import Image

from flatrec.data.shop import Shop
from flatrec.data.shop.features import encode_images, encode_texts

NEIGHBORS = 9
LEAST = {  # times chance
    ("image", "kind"): 3.0,
    ("image", "color"): 2.5,
    ("image", "pattern"): 1.3,
    ("text", "kind"): 3.0,
    ("text", "color"): 1.5,
    ("text", "material"): 2.5,
    ("text", "brand"): 2.0,
}


def agreement(shop: Shop, modality: str, attribute: str) -> float:
    """How often the nearest neighbors share an attribute, as a multiple of chance."""
    rows = shop.dataset.features[modality].values
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosine = rows @ rows.T
    np.fill_diagonal(cosine, -2)
    nearest = np.argsort(-cosine, axis=1)[:, :NEIGHBORS]
    values = shop.catalog[attribute].to_numpy()
    chance = (values[:, None] == values).mean()
    return float((values[nearest] == values[:, None]).mean() / chance)


@pytest.mark.parametrize("name", ["drawn", "undrawn"])
def test_features_are_finite_and_not_constant(name, request):
    for features in request.getfixturevalue(name).dataset.features.values():
        assert features.present.all()
        assert np.isfinite(features.values).all()
        assert (features.values.std(axis=0) > 0).all()


@pytest.mark.parametrize("name", ["drawn", "undrawn"])
@pytest.mark.parametrize(("modality", "attribute"), LEAST)
def test_alike_features_mean_alike_items(name, modality, attribute, request):
    assert agreement(request.getfixturevalue(name), modality, attribute) > LEAST[modality, attribute]


def test_more_columns_than_items_are_filled_with_zeros():
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)) for _ in range(5)]
    values = encode_images(images, 12)
    assert values.shape == (5, 12)
    assert not values[:, 5:].any()
    texts = encode_texts(["red mug", "blue mug", "green lamp", "red lamp", "old hat"], 12)
    assert texts.shape == (5, 12)
    assert not texts[:, 4:].any()
