"""A league that is killed goes on where it was, and comes to what it would have come to."""

from __future__ import annotations

import time

from flatrec.research.league.read import read_league
from flatrec.research.league.season import RUNS, read_season
from tests.processes import Process
from tests.research.league.test_season import comparable

LEAGUE = """
n_trials = 2
final_seeds = [1, 2]
[data]
blocks = "{data}"
[settings]
model = {{ name = "lightgcn", embedding_dim = 4 }}
strategy.name = "plain"
regularization.kind = "squared"
training = {{ epochs = 30, batch_size = 32, monitor = "recall@5", loggers = [], patience = 30 }}
[cells.blocks]
data = "blocks"
[methods.plain.space]
optimizer.lr = [0.001, 0.01]
regularization.weight = [0.0, 0.01]
"""
LIMIT = 60  # seconds


def wait_for(condition, process):
    end = time.monotonic() + LIMIT
    while not condition():
        assert process.runs, "the command ended too early"
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_league_that_is_killed_twice_comes_to_the_same_records(blocks, tmp_path):
    file = tmp_path / "league.toml"
    file.write_text(LEAGUE.format(data=blocks))
    words = ("league", file, "--out")
    whole = Process(*words, "whole", folder=tmp_path, logs=tmp_path / "logs whole")
    killed = tmp_path / "killed"
    first = Process(*words, killed, folder=tmp_path, logs=tmp_path / "logs first")
    wait_for(lambda: any((killed / RUNS).glob("*/checkpoint*")), first)  # in the middle of its first run
    first.kill()
    assert not (killed / "trials.jsonl").exists()
    second = Process(*words, killed, folder=tmp_path, logs=tmp_path / "logs second")
    trials = killed / "trials.jsonl"
    wait_for(lambda: trials.exists() and trials.read_bytes().count(b"\n"), second)  # between two runs, or within one
    second.kill()
    with trials.open("ab") as unfinished:
        unfinished.write(b'{"kind": "trial", "cell": "blo')  # as a kill within the write leaves it
    last = Process(*words, killed, folder=tmp_path, logs=tmp_path / "logs last")
    assert (last.ended().code, whole.ended().code) == (0, 0)
    league = read_league(file)
    one, two = read_season(league, tmp_path / "whole"), read_season(league, killed)
    assert comparable(one.trials) == comparable(two.trials)
    assert comparable(one.finals) == comparable(two.finals)
    assert len(two.finals) == 2
    assert not (killed / RUNS).exists()
