"""Damaged runs, data sets and caches: flipped bits, truncations, files that are gone, links in the way.

What is taken for good must say what the whole one says; everything else is refused in one line.
"""

from __future__ import annotations

import json
import random
import shutil

import pytest

from flatrec.inference.storage import FOLDER as RECOMMENDER
from tests.hostile.processes import check_line, leftovers

pytestmark = pytest.mark.slow

FLIPS = 200
RESUMED, FOR_PEOPLE = "without result", "checkpoint.json"
TINY = (
    "--set",
    "model.embedding_dim=4",
    "--set",
    "training.epochs=3",
    "--set",
    "training.batch_size=32",
    "--device",
    "cpu",
)
TINY += ("--set", "training.monitor=ndcg@5")


@pytest.fixture(scope="module")
def finished(run, tmp_path_factory, blocks):
    folder = tmp_path_factory.mktemp("runs")
    words = ["train", "--data", blocks, "--model", "lightgcn", "--strategy", "bsam+", *TINY, "--out", folder / "run"]
    assert run(*words, logs=folder / "logs").code == 0
    return folder / "run"


@pytest.fixture(scope="module")
def scores(run, finished, tmp_path_factory):
    return _evaluated(run, finished, tmp_path_factory.mktemp("scores"))


def _evaluated(run, folder, logs):
    ended = run("evaluate", folder, "--json", logs=logs)
    assert ended.code == 0, ended.err
    return json.loads(ended.out)["metrics"]


def _files(folder):
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and not {"tensorboard", "logs"} & set(path.parts)
    )


def _flipped(path, bit):
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(content)


@pytest.mark.parametrize("state", ["finished", RESUMED])
def test_no_flipped_bit_of_a_run_is_taken_for_good(run, finished, scores, tmp_path, state):
    draw = random.Random(20)
    taken, refused = [], 0
    for number in range(FLIPS):
        copy = tmp_path / f"{number}"
        shutil.copytree(finished, copy)
        if state == RESUMED:
            (copy / "result.json").unlink()
            (copy / "flatrec-manifest.json").unlink()
        # Only people read checkpoint.json, which is none of a resume's business.
        # Neither command reads the recommender, which has digests of its own.
        read = [
            path
            for path in _files(copy)
            if path.stat().st_size and (state, path.name) != (RESUMED, FOR_PEOPLE) and path.parent.name != RECOMMENDER
        ]
        path = draw.choice(read)
        bit = draw.randrange(8 * path.stat().st_size)
        _flipped(path, bit)
        words = ["train", "--resume", "--out", copy] if state == RESUMED else ["evaluate", copy, "--json"]
        ended = run(*words, logs=tmp_path / "logs")
        check_line(ended, 0, 2)
        refused += ended.code == 2
        if ended.code == 0 and _evaluated(run, copy, tmp_path / "logs") != scores:
            taken.append((path.name, bit))
        shutil.rmtree(copy)
    assert taken == []
    assert refused >= 0.97 * FLIPS  # the others changed no value: the e of an exponent, the end of a last line


@pytest.mark.parametrize(
    "name", ["checkpoint.safetensors", "epochs.jsonl", "experiment.toml", "data.json", "result.json"]
)
def test_no_truncated_file_of_a_run_is_taken_for_good(run, finished, scores, tmp_path, name):
    size = (finished / name).stat().st_size
    for number in range(11):
        copy = tmp_path / f"{number}"
        shutil.copytree(finished, copy)
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content[: size * number // 11] if number else content + b"x")
        ended = run("evaluate", copy, "--json", logs=tmp_path / "logs")
        check_line(ended, 2)
        (copy / "flatrec-manifest.json").unlink()
        ended = run("train", "--resume", "--out", copy, logs=tmp_path / "logs")
        check_line(ended, 0, 2)
        if ended.code == 0:  # result.json is written again, and a cut last line of epochs.jsonl is what a kill leaves
            assert _evaluated(run, copy, tmp_path / "logs") == scores


def test_a_run_is_whole_again_after_overwriting_whatever_was_damaged(run, finished, scores, blocks, tmp_path):
    for name in ("checkpoint.safetensors", "epochs.jsonl", "experiment.toml", "data.json", "result.json"):
        copy = tmp_path / name
        shutil.copytree(finished, copy)
        _flipped(copy / name, 100)
        words = ["train", "--data", blocks, "--model", "lightgcn", "--strategy", "bsam+", *TINY]
        ended = run(*words, "--out", copy, "--overwrite", logs=tmp_path / "logs")
        check_line(ended, 0)
        assert _evaluated(run, copy, tmp_path / "logs") == scores
        assert leftovers(copy) == []


def test_no_flipped_bit_of_a_prepared_data_set_is_taken_for_good(run, tmp_path):
    whole = tmp_path / "whole"
    shop = run("data", "shop", whole, "--users", "60", "--items", "30", logs=tmp_path / "logs")
    check_line(shop, 0)
    info = run("data", "info", whole, "--json", logs=tmp_path / "logs")
    draw, taken, refused = random.Random(21), [], 0
    for number in range(FLIPS):
        copy = tmp_path / f"{number}"
        shutil.copytree(whole, copy)
        files = [path for path in copy.iterdir() if path.is_file() and path.stat().st_size]
        path = draw.choice(files)
        bit = draw.randrange(8 * path.stat().st_size)
        _flipped(path, bit)
        ended = run("data", "info", copy, "--json", logs=tmp_path / "logs")
        check_line(ended, 0, 2)
        refused += ended.code == 2
        same = (
            {**json.loads(ended.out), "name": ""} == {**json.loads(info.out), "name": ""} if ended.code == 0 else True
        )
        if not same:
            taken.append((path.name, bit))
        shutil.rmtree(copy)
    assert taken == []
    assert refused >= 0.85 * FLIPS


def test_damaged_caches_cost_time_and_nothing_else(run, raw, tmp_path):
    others = {"logs": tmp_path / "logs", "environment": {"FLATREC_CACHE": str(tmp_path / "cache")}}
    words = ["encode", raw / "items.csv", "--text-column", "text", "--image-column", "image"]
    check_line(run(*words, "--out", tmp_path / "whole", **others), 0)
    wanted = {path.name: path.read_bytes() for path in (tmp_path / "whole").glob("*.npy")}
    whole = {path: path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert len(wanted) == 4
    assert whole
    draw, ends = random.Random(22), []
    for number in range(60):
        path = draw.choice(sorted(whole))
        for one, content in whole.items():
            one.write_bytes(content)
        _flipped(path, draw.randrange(8 * len(whole[path])))
        ended = run(*words, "--out", tmp_path / f"{number}", **others)
        check_line(ended, 0, 1)
        ends.append(ended.code)
        if ended.code == 0:
            assert {one.name: one.read_bytes() for one in (tmp_path / f"{number}").glob("*.npy")} == wanted
    assert 0 in ends
    assert leftovers(tmp_path) == []
