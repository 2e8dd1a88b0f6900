"""The shop's own encoders compute what scikit-learn's did, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from flatrec.data.shop.catalog import draw_catalog
from flatrec.data.shop.features import WORDS, encode_texts
from flatrec.data.shop.hashed_words import STOP_WORDS, hashed_tfidf, murmurhash3
from flatrec.data.shop.texts import describe


@pytest.mark.parametrize(
    ("data", "hashed"), [(b"", 0), (b"hello", 613153351), (b"hello, world", 345750399), (b"a", 1009084850)]
)
def test_murmurhash_is_that_of_its_author(data, hashed):
    assert murmurhash3(data) == hashed


@pytest.mark.parametrize(("items", "seed", "width"), [(3, 0, 64), (40, 1, 64), (300, 0, 32)])
def test_texts_are_encoded_as_by_scikit_learn(items, seed, width):
    text = pytest.importorskip("sklearn.feature_extraction.text")
    decomposition = pytest.importorskip("sklearn.decomposition")
    rng = np.random.default_rng(seed)
    texts = [f"{one.title}. {one.title}. {one.description}" for one in describe(draw_catalog(items, rng), rng)]
    counts = text.HashingVectorizer(n_features=WORDS, stop_words="english", alternate_sign=False, norm=None).transform(
        texts
    )
    weighted = text.TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    assert (hashed_tfidf(texts, WORDS).toarray() == weighted.toarray()).all()
    rank = min(width, items - 1)
    with threadpool_limits(limits=1):
        expected = decomposition.TruncatedSVD(rank, algorithm="arpack", random_state=0).fit_transform(weighted)
        vectors = encode_texts(texts, width)
    assert (vectors[:, :rank] == expected.astype(np.float32)).all()
    assert not vectors[:, rank:].any()


def test_all_words_without_content_of_the_shops_texts_are_known():
    text = pytest.importorskip("sklearn.feature_extraction.text")
    rng = np.random.default_rng(0)
    words = {
        word for one in describe(draw_catalog(3000, rng), rng) for word in f"{one.title} {one.description}".split()
    }
    stripped = {word.strip(".,;:!?()").lower() for word in words}
    assert {word for word in stripped & text.ENGLISH_STOP_WORDS if len(word) > 1} == STOP_WORDS
