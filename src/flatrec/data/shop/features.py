"""Features of items from their images and texts, by cheap encoders without training or download."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Float32, Shaped
from numpy import ndarray
from PIL import Image
from scipy import linalg
from scipy.sparse.linalg import svds

from flatrec.data.shop.catalog import Catalog
from flatrec.data.shop.hashed_words import hashed_tfidf

HUES, ANGLES, CELLS, THUMBNAIL = 18, 8, 6, 12
WORDS = 4096  # buckets that words are hashed into
ATTRIBUTE_WEIGHTS = {  # how much a modality shows of each attribute, if features are drawn from attributes
    "image": {"kind": 1.0, "color": 0.9, "pattern": 0.7, "material": 0.4, "brand": 0.2},
    "text": {"kind": 1.0, "color": 0.7, "pattern": 0.7, "material": 0.8, "brand": 0.8, "price_band": 0.4},
}


def encode_images(images: Sequence[Image.Image], width: int) -> Float32[ndarray, "n_items width"]:
    """Return colors, edge directions and a thumbnail, reduced to ``width`` principal components.

    With fewer items or raw values than ``width``, the last columns are zero.
    """
    blocks = [
        np.stack([_colors(image) for image in images]),
        np.stack([_edges(image) for image in images]),
        np.stack([_thumbnail(image) for image in images]),
    ]
    raw = np.concatenate([_balanced(block) for block in blocks], axis=1)
    rank = min(width, *raw.shape)
    left, scales, right = linalg.svd(raw - raw.mean(axis=0), full_matrices=False)
    return _padded((left * _signs(right) * scales)[:, :rank], width)


def encode_texts(texts: Sequence[str], width: int) -> Float32[ndarray, "n_items width"]:
    """Return hashed words, weighted by rarity and reduced to ``width`` columns by a truncated SVD.

    With fewer items than ``width``, the last columns are zero.
    """
    weighted = hashed_tfidf(texts, WORDS)
    start = np.random.RandomState(0).uniform(-1, 1, min(weighted.shape))  # noqa: NPY002 - the numbers stay as they were
    left, scales, right = svds(weighted, k=min(width, min(weighted.shape) - 1), v0=start)
    return _padded((left * _signs(right) * scales)[:, ::-1], width)  # the largest scale first


def project_attributes(
    catalog: Catalog, modality: str, width: int, rng: np.random.Generator
) -> Float32[ndarray, "n_items width"]:
    """Return features drawn from the attributes, of any width, for shops that are too large to draw images.

    A noisy code of the attributes is projected at random, so that a few directions carry most of the
    variance, and a little noise fills the others, as in features of large pretrained encoders.
    """
    weights: Mapping[str, float] = ATTRIBUTE_WEIGHTS[modality]
    code = np.concatenate([weight * catalog.one_hot(name) for name, weight in weights.items()], axis=1)
    code = code - code.mean(axis=0)
    code += rng.normal(scale=0.15, size=code.shape)
    projection = rng.standard_normal((code.shape[1], width), dtype=np.float32) / np.float32(width**0.5)
    features: ndarray = code.astype(np.float32) @ projection
    noise = rng.standard_normal(features.shape, dtype=np.float32)
    noise *= np.float32(0.3 / width**0.5)
    features += noise
    return features


def _colors(image: Image.Image) -> Float[ndarray, "n_values"]:
    """Return how often each hue occurs among saturated pixels, and each brightness among the others."""
    hue, saturation, value = (np.asarray(band, dtype=np.int64) for band in image.convert("HSV").split())
    vivid = saturation > 80
    hues = np.bincount((hue * HUES // 256)[vivid], minlength=HUES)
    greys = np.bincount((value * 8 // 256)[~vivid], minlength=8)
    return np.sqrt(np.concatenate([hues, greys]) / hue.size)


def _edges(image: Image.Image) -> Float[ndarray, "n_values"]:
    """Return the directions of edges in each cell of a grid, weighted by their strength."""
    grey = np.asarray(image.convert("L"), dtype=np.float64)
    down, right = np.gradient(grey)
    angle = (np.arctan2(down, right) / np.pi + 1) * ANGLES  # opposite directions share a bin
    bins = np.floor(angle).astype(np.int64) % ANGLES
    rows, columns = (np.indices(grey.shape) * CELLS) // grey.shape[0]
    cells = (rows * CELLS + columns) * ANGLES + bins
    strengths = np.bincount(cells.ravel(), np.hypot(down, right).ravel(), minlength=CELLS * CELLS * ANGLES)
    return np.sqrt(strengths / grey.size)


def _thumbnail(image: Image.Image) -> Float[ndarray, "n_values"]:
    small = image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64).ravel() / 255


def _balanced(block: Float[ndarray, "n_items n_values"]) -> Float[ndarray, "n_items n_values"]:
    """Center a block and scale its total variance to one, so that no block dominates the others."""
    centered = block - block.mean(axis=0)
    scale = np.sqrt((centered**2).sum(axis=1).mean())
    balanced: ndarray = centered / max(scale, 1e-12)
    return balanced


def _signs(right: Float[ndarray, "rank n_values"]) -> Float[ndarray, "rank"]:
    """Return signs that make the largest entry of each right singular vector positive."""
    largest = np.abs(right).argmax(axis=1)
    signs: ndarray = np.sign(right[np.arange(len(right)), largest])
    return signs


def _padded(values: Shaped[ndarray, "n_items rank"], width: int) -> Float32[ndarray, "n_items width"]:
    return np.pad(values, ((0, 0), (0, width - values.shape[1]))).astype(np.float32)
