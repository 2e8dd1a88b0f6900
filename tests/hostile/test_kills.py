"""Kills and interrupts at random moments of every command that writes: what is begun again ends as if never stopped."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time

import pytest

from flatrec.data.formats import mmrec
from flatrec.testing import block_dataset
from tests.hostile.processes import check_line, leftovers

pytestmark = pytest.mark.slow

CAMPAIGNS = 20
TINY = ("--set", "model.dim=4", "--set", "training.batch_size=16", "--device", "cpu")
TINY += ("--set", "training.monitor=ndcg@5")
SHORT = (*TINY, "--set", "training.epochs=2", "--set", "training.tensorboard=false")


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "blocks"
    mmrec.write(block_dataset(blocks=3, users=8, items=6), folder)
    return folder


@pytest.mark.parametrize("number", range(CAMPAIGNS))
def test_a_training_killed_at_random_ends_with_the_bytes_of_one_that_was_not(run, begin, blocks, tmp_path, number):
    draw = random.Random(number)
    model = draw.choice(["bpr", "lightgcn", "freedom", "bm3", "layergcn"])
    strategy = draw.choice(["plain", "sam", "bsam", "bsam+", "looksam", "ssam", "vasso+", "mg"])
    words = ["train", "--data", blocks, "--model", model, "--strategy", strategy, *TINY]
    words += ["--set", "training.epochs=30", "--set", f"training.checkpoint_every={draw.choice([1, 1, 3])}"]
    words += ["--set", "training.tensorboard=" + draw.choice(["true", "false"])]
    whole = run(*words, "--out", tmp_path / "whole", logs=tmp_path / "logs")
    check_line(whole, 0)
    kills, killed = 0, tmp_path / "killed"
    for _ in range(12):
        command = begin(*words, "--out", killed, "--resume", logs=tmp_path / "logs")
        time.sleep(draw.uniform(0.02, whole.seconds / 3))
        command.send(signal.SIGKILL)
        ended = command.ended()
        assert ended.code in (0, -signal.SIGKILL), ended.err
        kills += ended.code != 0
    check_line(run(*words, "--out", killed, "--resume", logs=tmp_path / "logs"), 0)
    assert kills >= 3
    for name in ("checkpoint.safetensors", "checkpoint.json", "experiment.toml", "data.json"):
        assert (killed / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    results = [json.loads((folder / "result.json").read_text()) for folder in (killed, tmp_path / "whole")]
    assert results[0]["test"] == results[1]["test"]
    assert results[0]["trace"] == results[1]["trace"]
    assert leftovers(killed) == []


def _commands(blocks, raw, out):
    """Every command that writes files, by name, and whether calling it again goes on (else it replaces)."""
    amazon = ["--reviews", raw / "r.json.gz", "--meta", raw / "m.json.gz", "--image-features", raw / "i.b"]
    trained = ["--data", blocks, "--model", "bpr", *SHORT]
    space = raw / "space.toml"
    space.write_text("[strategy]\nrho = [0.05, 0.1]\n")
    return {
        "compare": ["compare", *trained, "--strategies", "plain,sam", "--seeds", "2", "--out", out],
        "sweep": ["sweep", *trained, "--strategy", "sam", "--space", space, "--trials", "2", "--seeds", "1",
                  "--sampler", "grid", "--out", out],
        "study": ["study", "overall", *trained[:2], "--models", "bpr", "--seeds", "2", *SHORT, "--out", out],
        "shop": ["data", "shop", out, "--users", "60", "--items", "30", "--overwrite"],
        "prepare": ["data", "prepare", "amazon", *amazon, "--out", out],
        "encode": ["encode", raw / "items.csv", "--text-column", "text", "--picture-column", "picture", "--out", out],
        "adjust": ["adjust", raw / "items.csv", "--text-column", "text", "--picture-column", "picture",
                   "--probability", "0.5", "--caption-column", "text", "--out", out, "--overwrite"],
    }  # fmt: skip


NAMES = ["compare", "sweep", "study", "shop", "prepare", "encode", "adjust"]


def _content(folder):
    """What matters of the files in a folder: not times, and not how often trials of a sweep were begun."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if (
            path.is_file()
            and path.stem != "trials"
            and path.suffix in (".npy", ".inter", ".csv", ".safetensors", ".png", ".parquet")
        ):
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_command_stopped_at_random_can_be_called_again(run, begin, blocks, raw, tmp_path, name, how):
    others = {"logs": tmp_path / "logs", "environment": {"FLATREC_CACHE": str(tmp_path / "cache")}}
    whole = run(*_commands(blocks, raw, tmp_path / "whole" / "data")[name], **others)
    check_line(whole, 0)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    words, draw = _commands(blocks, raw, tmp_path / "out" / "data")[name], random.Random(name)
    for _ in range(8):
        command = begin(*words, **others)
        time.sleep(draw.uniform(0.0, whole.seconds))
        command.send(how)
        ended = command.ended()
        if how is signal.SIGINT and ended.code != 0:
            check_line(ended, 130)
            assert "interrupted" in ended.said[0]
        else:
            assert ended.code in (0, -signal.SIGKILL), ended.err
    check_line(run(*words, **others), 0)
    assert _content(tmp_path / "out") == _content(tmp_path / "whole")
    assert leftovers(tmp_path / "out", tmp_path / "cache" if (tmp_path / "cache").exists() else tmp_path / "out") == []
