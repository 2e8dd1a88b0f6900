"""Encoding in shards gives the files of one run, whatever happened in between."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from PIL import Image

from flatrec.content import ItemSource, encode_table, shards
from flatrec.content.encode import encode_shard
from flatrec.content.encoders import encoding
from flatrec.utils.shards import Shard

N_ITEMS, BLOCK = 30, 4


class Batched:
    """A text becomes its letters, and how many texts were encoded with it: batches must be those of one run."""

    dim, identity, stops_after = 2, "batched", None

    def __init__(self):
        self.calls = 0

    def encode(self, texts):
        self.calls += 1
        if self.stops_after is not None and self.calls > self.stops_after:
            raise KeyboardInterrupt
        return np.array([[len(text), len(texts)] for text in texts], dtype=np.float32)

    def warnings(self, text):
        return ("long",) if len(text) > 12 else ()


class Colors:
    dim, identity = 3, "colors"

    def prepare(self, image):
        return np.asarray(image.resize((4, 4)), dtype=np.float32)

    def encode(self, prepared):
        return prepared.mean(axis=(1, 2)) + np.float32(len(prepared))


@pytest.fixture
def raw(tmp_path, monkeypatch):
    monkeypatch.setenv("FLATREC_CACHE", str(tmp_path / "cache"))
    for module in (shards, encoding):
        monkeypatch.setattr(module, "ITEMS_PER_BLOCK", BLOCK)
    monkeypatch.setattr("flatrec.content.encoders.text_encoder", lambda *_, **__: Batched())
    monkeypatch.setattr("flatrec.content.encoders.image_encoder", lambda *_, **__: Colors())
    folder = tmp_path / "raw"
    (folder / "images").mkdir(parents=True)
    rows = [f"s{n},{'word ' * (n % 5 + 1)}{n}" for n in range(N_ITEMS)]
    (folder / "items.csv").write_text("sku,text\n" + "\n".join(rows) + "\n")
    for n in range(2, N_ITEMS):
        Image.new("RGB", (8, 8), (n, 2 * n, 3 * n)).save(folder / "images" / f"s{n}.png")
    (folder / "images" / "s5.png").write_bytes(b"no image")
    return folder


def source(raw):
    return ItemSource(path=raw / "items.csv", id_column="sku", text_columns=("text",), image_dir=raw / "images")


def forget_cache(tmp_path, monkeypatch, name):
    """What another machine would have."""
    monkeypatch.setenv("FLATREC_CACHE", str(tmp_path / f"cache of {name}"))


def features(folder):
    names = sorted(path.name for path in folder.iterdir() if path.suffix in (".npy", ".csv"))
    assert len(names) == 6
    return {name: (folder / name).read_bytes() for name in names}


@pytest.fixture
def expected(raw, tmp_path, monkeypatch):
    forget_cache(tmp_path, monkeypatch, "one run")
    encode_table(source(raw), raw / "whole")
    return features(raw / "whole")


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 40])
def test_shards_give_the_files_of_one_run(raw, expected, tmp_path, monkeypatch, count):
    for number in [*range(2, count + 1), 1]:
        forget_cache(tmp_path, monkeypatch, f"machine {number}")
        encode_shard(source(raw), raw / "parts", Shard(number, count))
    forget_cache(tmp_path, monkeypatch, "the last step")
    (text, image) = encode_table(source(raw), raw / "parts")
    assert features(raw / "parts") == expected
    assert (text.computed, image.computed) == (0, 0)
    assert not (raw / "parts" / shards.FOLDER).exists()


def test_every_item_is_in_one_shard():
    for n_items in (0, 1, 4, 255, 256, 257, 5000):
        for count in (1, 2, 3, 7, 40):
            rows = [shards.rows_of(Shard(number, count), n_items) for number in range(1, count + 1)]
            assert [one for part in rows for one in range(n_items)[part]] == list(range(n_items))


def test_a_shard_that_was_stopped_goes_on(raw, expected, tmp_path, monkeypatch):
    forget_cache(tmp_path, monkeypatch, "machine 1")
    encode_shard(source(raw), raw / "parts", Shard(1, 2))
    forget_cache(tmp_path, monkeypatch, "machine 2")
    monkeypatch.setattr(Batched, "stops_after", 2)
    with pytest.raises(KeyboardInterrupt):
        encode_shard(source(raw), raw / "parts", Shard(2, 2))
    monkeypatch.setattr(Batched, "stops_after", None)
    with pytest.raises(ValueError, match="lacks 2/2; encode what is missing by --shard"):
        encode_table(source(raw), raw / "parts")
    forget_cache(tmp_path, monkeypatch, "machine 3")  # the work of machine 2 is in the shard
    assert encode_shard(source(raw), raw / "parts", Shard(2, 2)) == 2 * 14 - 2 * BLOCK
    assert encode_shard(source(raw), raw / "parts", Shard(2, 2)) is None
    encode_table(source(raw), raw / "parts")
    assert features(raw / "parts") == expected


def test_one_shard_may_be_encoded_twice_at_the_same_time(raw, expected, tmp_path, monkeypatch):
    forget_cache(tmp_path, monkeypatch, "both")
    errors = []

    def encode():
        try:
            encode_shard(source(raw), raw / "parts", Shard(1, 1))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=encode) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    encode_table(source(raw), raw / "parts")
    assert (errors, features(raw / "parts")) == ([], expected)


def test_a_damaged_shard_is_encoded_again_or_refused(raw, expected, tmp_path, monkeypatch):
    encode_shard(source(raw), raw / "parts", Shard(1, 1))
    path = shards.file_of(Shard(1, 1), raw / "parts")
    content, note = path.read_bytes(), path.with_suffix(".json")
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(OSError, match="damaged"):
        encode_table(source(raw), raw / "parts")
    path.unlink()
    with pytest.raises(ValueError, match="lacks 1/1"):
        encode_table(source(raw), raw / "parts")
    note.write_text("{}")
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged; remove"):
        encode_table(source(raw), raw / "parts")
    note.unlink()
    forget_cache(tmp_path, monkeypatch, "again")
    encode_shard(source(raw), raw / "parts", Shard(1, 1))
    encode_table(source(raw), raw / "parts")
    assert features(raw / "parts") == expected


def test_shards_of_other_items_encoders_or_divisions_are_refused(raw, monkeypatch):
    encode_shard(source(raw), raw / "parts", Shard(1, 2))
    encode_shard(source(raw), raw / "parts", Shard(2, 2))
    with monkeypatch.context() as patch:
        patch.setattr(Batched, "identity", "another")
        for encode in (lambda: encode_table(source(raw), raw / "parts"),
                       lambda: encode_shard(source(raw), raw / "parts", Shard(1, 2))):  # fmt: skip
            with pytest.raises(ValueError, match="of other items, or of other encoders"):
                encode()
    (raw / "more.csv").write_text((raw / "items.csv").read_text() + "s99,new\n")
    other = ItemSource(path=raw / "more.csv", id_column="sku", text_columns=("text",), image_dir=raw / "images")
    with pytest.raises(ValueError, match="of other items, or of other encoders"):
        encode_table(other, raw / "parts")
    with pytest.raises(ValueError, match="has shards of 2, but 1/3 is asked for; divide the items as before"):
        encode_shard(source(raw), raw / "parts", Shard(1, 3))
    shards.finish(Shard(1, 3), raw / "parts", "by somebody who began at the same time")
    with pytest.raises(ValueError, match="has shards of 2, 3; remove those of one division"):
        encode_table(source(raw), raw / "parts")
