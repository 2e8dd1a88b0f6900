"""Texts as bags of hashed words, weighted by rarity.

The numbers are those of scikit-learn's ``HashingVectorizer`` and ``TfidfTransformer`` to the last bit; the built-in
shop must not need that package.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy import sparse

_STOP_WORDS = (  # English words without content that the shop's texts use
    "already always an and any as before by call every for from has in is it last made may of on our own part that "
    "the this to top two us well what with within you your"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())
_WORD = re.compile(r"\b\w\w+\b")
_MASK = 0xFFFFFFFF


def hashed_tfidf(texts: Sequence[str], n_buckets: int) -> sparse.csr_matrix:
    """Return one row of length 1 per text: its words, hashed into buckets and weighted by rarity.

    The weight of a word is ``(1 + log(count)) (1 + log((1 + n_texts) / (1 + n_texts_with_word)))``.
    """
    rows = [sorted(Counter(_buckets(text, n_buckets)).items()) for text in texts]
    indptr = np.cumsum([0, *map(len, rows)])
    indices = np.array([bucket for row in rows for bucket, _ in row], dtype=np.int64)
    counts = np.array([count for row in rows for _, count in row], dtype=np.float64)
    n_texts_with = np.bincount(indices, minlength=n_buckets)
    rarity = np.log((len(texts) + 1) / (n_texts_with + 1.0)) + 1.0
    weights = (np.log(counts) + 1.0) * rarity[indices]
    lengths = [_length(weights[start:end].tolist()) for start, end in zip(indptr[:-1], indptr[1:], strict=True)]
    weights /= np.repeat(lengths, np.diff(indptr))
    return sparse.csr_matrix((weights, indices, indptr), shape=(len(texts), n_buckets))


def murmurhash3(data: bytes) -> int:
    """Return the 32-bit MurmurHash3 of some bytes with seed 0, as a signed number (Appleby, 2011)."""
    state = 0
    whole = len(data) - len(data) % 4
    for start in range(0, whole, 4):
        state ^= _scramble(int.from_bytes(data[start : start + 4], "little"))
        state = (_rotate(state, 13) * 5 + 0xE6546B64) & _MASK
    state ^= _scramble(int.from_bytes(data[whole:], "little"))
    state ^= len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        state = ((state ^ state >> shift) * factor) & _MASK
    return state - 2**32 if state >= 2**31 else state


def _buckets(text: str, n_buckets: int) -> list[int]:
    words = [word for word in _WORD.findall(text.lower()) if word not in STOP_WORDS]
    return [abs(murmurhash3(word.encode())) % n_buckets for word in words]


def _length(weights: Sequence[float]) -> float:
    total = 0.0
    for weight in weights:  # one after the other, as sum() adds more exactly from Python 3.12 on
        total += weight * weight
    return math.sqrt(total) or 1.0


def _scramble(block: int) -> int:
    return _rotate(block * 0xCC9E2D51 & _MASK, 15) * 0x1B873593 & _MASK


def _rotate(number: int, bits: int) -> int:
    return (number << bits | number >> (32 - bits)) & _MASK
