"""Kills and interrupts at random moments of every command that writes: what is begun again ends as if never stopped."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time

import pytest

from tests.hostile.commands import NAMES, TINY, content, words_of
from tests.hostile.processes import check_line, leftovers

pytestmark = pytest.mark.slow

CAMPAIGNS = 20


@pytest.mark.parametrize("number", range(CAMPAIGNS))
def test_a_training_killed_at_random_ends_with_the_bytes_of_one_that_was_not(run, begin, blocks, tmp_path, number):
    draw = random.Random(number)
    model = draw.choice(["bpr", "lightgcn", "freedom", "bm3", "layergcn"])
    strategy = draw.choice(["plain", "sam", "bsam", "bsam+", "looksam", "ssam", "vasso+", "mg"])
    words = ["train", "--data", blocks, "--model", model, "--strategy", strategy, *TINY]
    words += ["--set", "training.epochs=30", "--set", f"training.checkpoint_every={draw.choice([1, 1, 3])}"]
    words += ["--set", "training.loggers=" + draw.choice(["tensorboard", "csv", "none"])]
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
    assert results[0]["diagnostics"] == results[1]["diagnostics"]
    assert leftovers(killed) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_command_stopped_at_random_can_be_called_again(run, begin, blocks, raw, tmp_path, name, how):
    others = {"logs": tmp_path / "logs", "environment": {"FLATREC_CACHE": str(tmp_path / "cache")}}
    whole = run(*words_of(name, blocks, raw, tmp_path / "whole" / "data"), **others)
    check_line(whole, 0)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    words, draw = words_of(name, blocks, raw, tmp_path / "out" / "data"), random.Random(name)
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
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert leftovers(tmp_path / "out", tmp_path / "cache" if (tmp_path / "cache").exists() else tmp_path / "out") == []
