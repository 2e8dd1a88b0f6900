"""flatrec data prepare amazon, through to a trained model."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import SMALL
from tests.cli.test_errors import one_line
from tests.content.encoders.conftest import Lengths
from tests.data.amazon.files import image_features, interactions, meta_2014, reviews_2014


@pytest.fixture
def files(tmp_path):
    image_features(tmp_path / "i.b")
    reviews, meta = reviews_2014(tmp_path / "r.json.gz"), meta_2014(tmp_path / "m.json.gz")
    return ("--reviews", reviews, "--meta", meta, "--image-features", tmp_path / "i.b")


def test_amazons_files_become_a_trained_model_with_texts_and_images(flatrec, files, tmp_path, monkeypatch):
    monkeypatch.setenv("FLATREC_CACHE", "off")
    monkeypatch.setattr("flatrec.content.encoders.text_encoder", lambda _name, device: Lengths(device))
    outcome = flatrec("data", "prepare", "amazon", *files, "--out", tmp_path / "baby")
    assert outcome.code == 0, outcome.err
    next_words = outcome.out.splitlines()[-1].removeprefix("Next: flatrec ").split()
    assert flatrec(*next_words).code == 0
    info = json.loads(flatrec("data", "info", tmp_path / "baby", "--json").out)
    assert {name: one["missing"] for name, one in info["features"].items()} == {"image": 1, "text": 2}
    trained = flatrec("train", "--data", tmp_path / "baby", "--model", "freedom", *SMALL,
                      "--set", "model.n_neighbors=3", "--out", tmp_path / "run")  # fmt: skip
    assert trained.code == 0, trained.err


def test_the_counts_come_as_json(flatrec, files, tmp_path):
    found = json.loads(flatrec("data", "prepare", "amazon", *files, "--out", tmp_path / "baby", "--json").out)
    assert (found["users"], found["items"], found["name"], found["without image"]) == (30, 12, "baby", 1)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--reviews", "NOWHERE"), ("NOWHERE is not a file",)),
        (("--k-core", "50"), ("no 50-core", "--k-core")),
        (("--k-core", "-1"), ("k_core must be 0 or more",)),
    ],
)
def test_bad_usage_is_one_line(flatrec, files, tmp_path, words, parts):
    one_line(flatrec("data", "prepare", "amazon", *files, "--out", tmp_path / "baby", *words), 2, *parts)
    assert not (tmp_path / "baby").exists()


def test_info_shows_what_preparation_removed_in_numbers_and_sentences(flatrec, tmp_path):
    repeated = [*interactions(), *interactions()[:4], ("A_once", "B000000001")]
    path = reviews_2014(tmp_path / "r.json", repeated)
    path.write_text(path.read_text() + "x\n")
    prepared = flatrec("data", "prepare", "amazon", "--reviews", path, "--out", tmp_path / "baby")
    shown = flatrec("data", "info", tmp_path / "baby").out
    for sentence in (
        "- r.json: preparation left out 1 line (1 malformed)",
        "- preparation joined 4 repeated interactions to earlier ones",
        "- the 5-core filter removed 1 user, 0 items and 1 interaction",
    ):
        assert sentence in prepared.out
        assert sentence in shown
    rows = {tuple(cell.strip() for cell in row.split("│")[1:-1]) for row in shown.splitlines()}
    assert {("repeated interactions that preparation joined", "4"), ("users removed by the k-core filter", "1")} <= rows
