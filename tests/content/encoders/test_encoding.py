"""Feature files from texts and images, whatever is wrong with them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from flatrec.content.encode import write_features_info
from flatrec.content.encoders.encoding import EncodingSettings, encode_images, encode_texts
from flatrec.content.encoders.recipe import Recipe
from flatrec.content.encoders.vector_cache import VectorCache
from tests.content.encoders.conftest import Lengths

TEXTS = {"b": "two words", "a": None, "c": "<b>two</b> words", "d": "two words", "e": "x" * 30, "f": " "}


def read(folder, modality="text"):
    return np.load(folder / f"{modality}_feat.npy"), np.load(folder / f"{modality}_mask.npy")


def test_rows_are_in_the_order_of_the_items_and_missing_ones_are_flagged(tmp_path, lengths, settings):
    report = encode_texts(TEXTS, lengths, tmp_path, settings)
    values, present = read(tmp_path)
    assert values.tolist() == [[9, 2], [14.25, 1.75], [9, 2], [9, 2], [30, 1], [14.25, 1.75]]
    assert present.tolist() == [True, False, True, True, True, False]
    assert (report.items, report.dim, report.missing, report.computed) == (6, 2, 2, 2)
    assert report.warnings == {"a": ("empty",), "c": ("markup removed",), "e": ("long",), "f": ("empty",)}
    assert report.counts == {"empty": 2, "markup removed": 1, "long": 1}
    assert sorted(lengths.seen) == ["two words", "x" * 30]  # equal texts once


def test_what_was_encoded_is_not_encoded_again_and_the_report_is_the_same(tmp_path, lengths, settings):
    first = encode_texts(TEXTS, lengths, tmp_path, settings)
    lengths.seen.clear()
    again = encode_texts({**TEXTS, "g": "new"}, lengths, tmp_path, settings)
    assert lengths.seen == ["new"]
    assert (again.computed, again.warnings) == (1, first.warnings)


def test_another_encoder_makes_its_own_vectors(tmp_path, lengths, settings):
    encode_texts(TEXTS, lengths, tmp_path, settings)
    other = Lengths("other weights")
    assert encode_texts(TEXTS, other, tmp_path, settings).computed == 2


def test_images_are_seen_and_counted(tmp_path, colors, settings):
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (9, 5), (10, 20, 30)).save(folder / "a.png")
    Image.new("L", (5, 9), 7).save(folder / "b.png")
    (folder / "c.png").write_bytes(b"broken")
    images = {"c": folder / "c.png", "b": folder / "b.png", "d": None, "a": folder / "a.png", "x": folder / "a.png"}
    for _ in range(2):
        report = encode_images(images, colors, tmp_path, settings)
        values, present = read(tmp_path, "image")
        assert values[[1, 3, 4]].tolist() == [[7, 7, 7], [10, 20, 30], [10, 20, 30]]
        assert values[[0, 2]].tolist() == [values[[1, 3, 4]].mean(axis=0).tolist()] * 2
        assert present.tolist() == [False, True, False, True, True]
        assert report.warnings == {"c": ("broken image",), "b": ("colors converted",), "d": ("no image",)}
    assert colors.seen == 2


def test_no_image_at_all_is_a_modality_of_missing_ones(tmp_path, colors, settings):
    report = encode_images({"a": None}, colors, tmp_path, settings)
    assert (report.missing, read(tmp_path, "image")[1].tolist()) == (1, [False])


def test_an_encoder_that_gives_nonsense_is_refused_and_writes_nothing(tmp_path, lengths, settings, monkeypatch):
    monkeypatch.setattr(lengths, "encode", lambda texts: np.full((len(texts), 2), np.nan, dtype=np.float32))
    with pytest.raises(ValueError, match="not finite"):
        encode_texts(TEXTS, lengths, tmp_path, settings)
    assert not list(tmp_path.glob("*.npy"))


def test_progress_adds_up(tmp_path, lengths):
    heard = []
    with VectorCache(None) as store:
        texts = {str(number): f"text {number}" for number in range(600)}
        encode_texts(texts, lengths, tmp_path, EncodingSettings(store, on_items=heard.append))
    assert sum(heard) == 600
    assert len(heard) > 1


def test_the_report_names_every_item(tmp_path, lengths, settings):
    write_features_info(tmp_path, list(TEXTS), [encode_texts(TEXTS, lengths, tmp_path, settings)], Recipe())
    (summary,) = json.loads((tmp_path / "encoding.json").read_text())
    assert summary == {
        "modality": "text", "encoder": "lengths", "dim": 2, "items": 6, "missing": 2, "computed": 2,
        "warnings": {"empty": 2, "markup removed": 1, "long": 1},
    }  # fmt: skip
    lines = (tmp_path / "encoding.csv").read_text().splitlines()
    assert lines[0] == "modality,item,warning"
    assert "text,c,markup removed" in lines
    assert len(lines) == 5


def test_ids_in_the_report_are_no_formulas(tmp_path, lengths, settings):
    report = encode_texts({"=1+1": "", "-5": ""}, lengths, tmp_path, settings)
    write_features_info(tmp_path, ["=1+1", "-5"], [report], Recipe())
    lines = (tmp_path / "encoding.csv").read_text().splitlines()
    assert lines[1:] == ["text,'=1+1,empty", "text,-5,empty"]


SCRIPT = """
import sys, time
from pathlib import Path
from flatrec.content.encoders.encoding import EncodingSettings, encode_texts
from flatrec.content.encoders.vector_cache import VectorCache
from tests.content.encoders.conftest import Lengths

class Slow(Lengths):
    def encode(self, texts):
        time.sleep(0.02)
        with open("seen.txt", "a") as file:
            file.writelines(text + chr(10) for text in texts)
        return super().encode(texts)

if __name__ == "__main__":
    with VectorCache(Path("store")) as store:
        texts = {str(n): "word " * (n + 1) for n in range(200)}
        encode_texts(texts, Slow(), Path("."), EncodingSettings(store, batch_size=4))
"""


def test_a_kill_loses_one_batch_at_the_most_and_leaves_no_half_file(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *filter(None, sys.path)])}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment)
    seen = tmp_path / "seen.txt"
    for _ in range(600):
        if (seen.exists() and len(seen.read_text().splitlines()) >= 60) or process.poll() is not None:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "text_feat.npy").exists()
    before = len(seen.read_text().splitlines())
    assert 60 <= before < 200
    assert list(tmp_path.glob(".flatrec-*.tmp"))
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    assert not list(tmp_path.glob(".*"))
    assert len(seen.read_text().splitlines()) <= 200 + 4
    values, present = read(tmp_path)
    assert present.all()
    assert values[:, 1].tolist() == list(range(1, 201))
