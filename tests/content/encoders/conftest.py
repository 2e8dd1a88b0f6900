"""Encoders that are quick and whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from flatrec.content.encoders.encoding import EncodingSettings
from flatrec.content.encoders.vector_cache import VectorCache


class Lengths:
    """A text becomes its number of letters and of words."""

    dim = 2

    def __init__(self, identity="lengths"):
        self.identity = identity
        self.seen = []

    def encode(self, texts):
        self.seen += texts
        return np.array([[len(text), len(text.split())] for text in texts], dtype=np.float32)

    def warnings(self, text):
        return ("long",) if len(text) > 20 else ()


class Colors:
    """An image becomes its mean color."""

    dim = 3
    identity = "colors"

    def __init__(self):
        self.seen = 0

    def prepare(self, image):
        assert image.mode == "RGB"
        return np.asarray(image.resize((4, 4)), dtype=np.float32)

    def encode(self, prepared):
        self.seen += len(prepared)
        return prepared.mean(axis=(1, 2))


@pytest.fixture
def lengths():
    return Lengths()


@pytest.fixture
def colors():
    return Colors()


@pytest.fixture
def settings(tmp_path):
    with VectorCache(tmp_path / "vectors.sqlite3") as store:
        yield EncodingSettings(store, batch_size=2)
