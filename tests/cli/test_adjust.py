"""flatrec adjust, and the study that scores on what it makes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.cli.conftest import SMALL
from tests.cli.test_errors import one_line
from tests.content.encoders.conftest import Colors, Lengths
from tests.content.llm.server import COMMAND_LINE, stand_in

ITEMS = 24


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """A folder with clicks, an items table with captions, and images; encoders that are quick."""
    monkeypatch.setenv("FLATREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("flatrec.content.encoders.text_encoder", lambda _name, device: Lengths(f"lengths {device}"))
    monkeypatch.setattr("flatrec.content.encoders.image_encoder", lambda _name, device: Colors())  # noqa: ARG005
    folder = tmp_path / "raw"
    (folder / "images").mkdir(parents=True)
    rows = [{"sku": f"s{n}", "text": "word " * (n % 5 + 1), "caption": f"a thing number {n}"} for n in range(ITEMS)]
    pl.DataFrame(rows).write_csv(folder / "items.csv")
    for n in range(ITEMS):
        Image.new("RGB", (32, 32), (10 * n, 5 * n, 3 * n)).save(folder / "images" / f"s{n}.png")
    clicks = [f"u{u},s{(u * 3 + k) % ITEMS}" for u in range(24) for k in range(10)]
    (folder / "clicks.csv").write_text("user,sku\n" + "\n".join(clicks) + "\n")
    (folder / "dataset.toml").write_text(
        'interactions = "clicks.csv"\nuser_column = "user"\nitem_column = "sku"\n'
        '[items]\nfile = "items.csv"\nid_column = "sku"\n'
        '[features.text]\nfile = "features/text_feat.npy"\n'
        '[features.image]\nfile = "features/image_feat.npy"\n'
    )
    return folder


def adjusting(raw, out, *more):
    given = ("--text-column", "text", "--image-dir", raw / "images", "--out", raw / out)
    return ("adjust", raw / "items.csv", *given, *more)


def encoding(raw, out):
    given = ("--text-column", "adjusted_text", "--image-column", "adjusted_image", "--out", raw / out)
    return ("encode", raw / out / "items.csv", *given)


def test_from_raw_items_to_the_study(flatrec, raw, tmp_path):
    words = ("--text-column", "text", "--image-dir", raw / "images", "--out", raw / "features")
    assert flatrec("encode", raw / "items.csv", *words).code == 0
    for name, probability, seed in (("low", 0.2, 0), ("high", 0.6, 0), ("other", 0.6, 1), ("none", 0.0, 0)):
        more = ("--caption-column", "caption", "--probability", probability, "--seed", seed)
        outcome = flatrec(*adjusting(raw, name, *more))
        assert outcome.code == 0, outcome.err
        assert f"--image-column adjusted_image --out {raw / name}" in outcome.out
        outcome = flatrec(*encoding(raw, name))
        assert outcome.code == 0, outcome.err
    items = json.loads((raw / "high" / "adjustment.json").read_text())["items"]
    before, after = (np.load(raw / name / "text_feat.npy") for name in ("features", "high"))
    changed = [f"s{n}" for n in np.flatnonzero((before != after).any(axis=1))]
    assert changed == items  # every caption is longer than the text, and the others are as they were
    folders = json.dumps([str(raw / name) for name in ("low", "high", "other", "none")])
    outcome = flatrec(
        "study", "adjustment", "--data", raw / "dataset.toml", "--models", "vbpr", "--strategies", "plain,bsam",
        "--seeds", "2", *SMALL, "--set", f"study.features={folders}", "--out", tmp_path / "study", "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    study = json.loads(outcome.out)
    assert study["findings"][0] == "Texts and images themselves were edited and re-encoded."
    assert [row[2:5] for row in study["tables"][0]["rows"]][::2] == [
        ["texts and images", "0", "plain"],
        ["texts and images", "0.2", "plain"],
        ["texts and images", "0.6", "plain"],
    ]
    untouched = study["tables"][0]["rows"][0]
    assert untouched[6] == untouched[7]  # the score before is that after, where nothing was adjusted
    assert untouched[8] == 0
    (measured, *_) = (tmp_path / "study" / "runs").glob("*/adjusted-items-*.json")
    scores = json.loads(measured.read_text())["texts and images"]
    assert {level: len(draws) for level, draws in scores.items()} == {"0": 1, "0.2": 1, "0.6": 2}
    assert scores["0.6"][0] != scores["0"][0]


def test_features_of_another_encoder_are_refused(flatrec, raw, tmp_path, monkeypatch):
    words = ("--text-column", "text", "--image-dir", raw / "images", "--out", raw / "features")
    assert flatrec("encode", raw / "items.csv", *words).code == 0
    assert flatrec(*adjusting(raw, "low", "--caption-column", "caption", "--probability", "0.2")).code == 0
    arguments = (
        "study", "adjustment", "--data", raw / "dataset.toml", "--models", "vbpr", "--strategies", "plain,bsam",
        "--seeds", "2", *SMALL, "--set", f'study.features=["{raw / "low"}"]', "--out", tmp_path / "study",
    )  # fmt: skip
    one_line(flatrec(*arguments), 2, "encoded_items.csv", "flatrec encode")

    class Others(Colors):
        identity = "others"

        def encode(self, prepared):
            return super().encode(prepared)[:, ::-1].copy()

    monkeypatch.setattr("flatrec.content.encoders.image_encoder", lambda _name, device: Others())  # noqa: ARG005
    assert flatrec(*encoding(raw, "low")).code == 0
    one_line(flatrec(*arguments), 2, "that were not adjusted have other features", "the same encoder")
    assert not list((tmp_path / "study").rglob("result.json"))  # noticed before anything was trained


def test_a_folder_that_holds_an_adjustment_is_not_overwritten_by_chance(flatrec, raw):
    words = adjusting(raw, "low", "--caption-column", "caption", "--probability")
    assert flatrec(*words, "0.2").code == 0
    before = (raw / "low" / "adjustment.json").read_bytes()
    one_line(flatrec(*words, "0.5"), 2, "holds items already", "--overwrite")
    assert (raw / "low" / "adjustment.json").read_bytes() == before
    assert flatrec(*words, "0.5", "--overwrite").code == 0
    assert (raw / "low" / "adjustment.json").read_bytes() != before


@pytest.mark.parametrize("more", [(), ("--overwrite",)])
def test_what_is_read_is_never_overwritten(flatrec, raw, more):
    words = ("--caption-column", "caption", "--probability", "1", *more)
    before = (raw / "items.csv").read_bytes()
    one_line(flatrec(*adjusting(raw, ".", *words)), 2, "holds what is read")
    assert (raw / "items.csv").read_bytes() == before
    assert flatrec(*adjusting(raw, "low", "--caption-column", "caption", "--probability", "1")).code == 0
    again = ("adjust", raw / "low" / "items.csv", "--image-column", "adjusted_image", "--out", raw / "low")
    one_line(flatrec(*again, *words), 2, "holds what is read")
    assert len(list((raw / "low" / "adjusted_images").iterdir())) == ITEMS


def test_a_foreign_table_is_not_overwritten_by_chance(flatrec, raw):
    (raw / "low").mkdir()
    (raw / "low" / "items.csv").write_text("precious")
    outcome = flatrec(*adjusting(raw, "low", "--caption-column", "caption", "--probability", "1"))
    one_line(outcome, 2, "holds items already", "--overwrite")
    assert (raw / "low" / "items.csv").read_text() == "precious"


def test_features_of_an_earlier_adjustment_are_not_scored_as_those_of_a_later_one(flatrec, raw, tmp_path):
    words = ("--text-column", "text", "--image-dir", raw / "images", "--out", raw / "features")
    assert flatrec("encode", raw / "items.csv", *words).code == 0
    given = ("--caption-column", "caption", "--probability")
    assert flatrec(*adjusting(raw, "low", *given, "0.1")).code == 0
    assert flatrec(*encoding(raw, "low")).code == 0
    assert flatrec(*adjusting(raw, "low", *given, "0.9", "--overwrite")).code == 0
    study = (
        "study", "adjustment", "--data", raw / "dataset.toml", "--models", "vbpr", "--strategies", "plain,bsam",
        "--seeds", "2", *SMALL, "--set", f'study.features=["{raw / "low"}"]', "--out", tmp_path / "study",
    )  # fmt: skip
    one_line(flatrec(*study), 2, "not a folder of encoded items", "flatrec encode")
    wrong = ("--text-column", "text", "--image-dir", raw / "images", "--out", raw / "low")
    assert flatrec("encode", raw / "low" / "items.csv", *wrong).code == 0
    one_line(flatrec(*study), 2, "were adjusted, too", "adjusted_text and adjusted_image")


def test_through_a_link_images_are_found(flatrec, raw, tmp_path):
    (tmp_path / "far" / "away").mkdir(parents=True)
    (raw / "low").symlink_to(tmp_path / "far" / "away")
    assert flatrec(*adjusting(raw, "low", "--caption-column", "caption", "--probability", "0.5")).code == 0
    outcome = flatrec(*encoding(raw, "low"))
    assert "image_feat.npy: 24 rows of 3 numbers, 24 computed now, 0 items without" in outcome.out


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        (("--probability", "1.5", "--caption-column", "caption"), ("[0, 1]",)),
        (("--probability", "0.5"), ("--caption-column, or --endpoint and --model",)),
        (("--probability", "0.5", "--endpoint", "http://x/v1"), ("both --endpoint and --model",)),
        (("--probability", "0.5", "--caption-column", "c"), ("no column 'c'",)),
        (("--probability", "0.5", "--caption-column", "caption", "--font", "gone.ttf"), ("gone.ttf does not exist",)),
    ],
)
def test_bad_usage_is_one_line(flatrec, raw, more, parts):
    one_line(flatrec(*adjusting(raw, "low", *more)), 2, *parts)
    assert not (raw / "low").exists()


def test_captions_need_images(flatrec, raw):
    asked = ("--probability", "0.5", "--endpoint", "http://x/v1", "--model", "m")
    one_line(flatrec("adjust", raw / "items.csv", "--out", raw / "low", *asked), 2, "--image-dir")


def test_captions_of_a_model_survive_a_kill(flatrec, raw, monkeypatch):
    pytest.importorskip("openai", reason="the extra llm is not installed")
    monkeypatch.setattr("flatrec.content.llm.chat_client.ChatClient.__init__.__defaults__", (None, 0.01))
    wrongs = ("429", "500", "half", "no JSON", "wrong JSON", "silence")
    with stand_in() as server:
        server.misbehave = lambda _prompt, before: wrongs[len(server.requests) // 6 % 6] if not before else None
        server.answer = lambda _prompt, image: f"seen {hash(image) % 1000}" if image else "short"
        server.delay = 0.05
        words = adjusting(
            raw, "low", "--probability", "0.9", "--endpoint", server.url, "--model", "m", "--timeout", "0.5"
        )
        command = [sys.executable, "-c", COMMAND_LINE, *map(str, words)]
        process = subprocess.Popen(command, env=os.environ, stderr=subprocess.DEVNULL)
        for _ in range(1200):
            if server.answered.total() >= 8 or process.poll() is not None:
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        before = server.answered.total()
        assert 8 <= before < 2 * ITEMS
        assert not (raw / "low").exists()
        outcome = flatrec(*words)
        assert outcome.code == 0, outcome.err
        assert "cached" in outcome.out
        facts = json.loads((raw / "low" / "adjustment.json").read_text())
        assert len(facts["items"]) == len(set(facts["items"])) == facts["selected"] > ITEMS / 2
        assert facts["usage"]["cached_requests"] >= before - 8
        assert server.answered.total() - before == facts["usage"]["requests"]
        table = pl.read_csv(raw / "low" / "items.csv")
        assert table["sku"].to_list() == [f"s{n}" for n in range(ITEMS)]
        adjusted = table.filter(pl.col("adjusted_text").str.starts_with("seen "))
        assert adjusted["sku"].to_list() == facts["items"]
        assert len(list((raw / "low" / "adjusted_images").iterdir())) == facts["selected"]
