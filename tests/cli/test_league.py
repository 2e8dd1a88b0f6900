"""flatrec league: reports at the end, from the records alone, and where runs fail."""

from __future__ import annotations

import json
import shutil

import pytest

from flatrec.research.league import season as seasons
from flatrec.research.league.job import Failed
from tests.cli.test_errors import one_line

FILE = """
title = "A small season"
n_trials = 1
final_seeds = [1, 2]
disturbances = { vectors = [0.5] }

[data]
blocks = "BLOCKS"

[settings]
model = { name = "lightgcn", embedding_dim = 4 }
strategy.name = "plain"
training = { epochs = 1, batch_size = 32, monitor = "ndcg@20", loggers = [] }

[cells.blocks]
data = "blocks"

[cells.flat]
data = "blocks"
settings = { model.n_layers = 1 }

[methods.plain.space]
optimizer.lr = [0.01, 0.1]
model.reg_weight = [0.0, 0.01]

[methods.sam.settings]
strategy.name = "sam"
[methods.sam.space]
optimizer.lr = [0.01, 0.1]
model.reg_weight = [0.0, 0.01]

[[comparisons]]
method = "sam"
baseline = "plain"
metric = "ndcg@20"
claim = "SAM is better"
"""
REPORTS = ("league.html", "league.json", "league.md")


@pytest.fixture
def file(blocks, tmp_path):
    path = tmp_path / "league.toml"
    path.write_text(FILE.replace("BLOCKS", str(blocks)))
    return path


def test_the_records_alone_give_the_reports_of_the_run(flatrec, file, blocks, tmp_path):
    out = tmp_path / "out"
    first = flatrec("league", file, "--out", out, "--cells", "flat")
    assert first.code == 0, first.err
    assert first.out.startswith("blocks: sam against plain, NDCG@20: open\nflat: sam against plain, NDCG@20: ")
    ran = flatrec("league", file, "--out", out, "--cells", "blocks")  # beside what is recorded of the other
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0].startswith("blocks: sam against plain, NDCG@20: ")
    assert lines[1].startswith("flat: sam against plain, NDCG@20: ")
    assert lines[-1] == f"The report is in {out / 'league.html'}, {out / 'league.md'} and {out / 'league.json'}"
    tree = json.loads((out / "league.json").read_text())
    assert [len(method["finals"]) for cell in tree["cells"] for method in cell["methods"]] == [2, 2, 2, 2]
    assert tree["cells"][0]["methods"][0]["left"]["vectors=0.5"]["n"] == 2
    before = {name: (out / name).read_bytes() for name in REPORTS}
    for name in REPORTS:
        (out / name).unlink()
    shutil.rmtree(blocks)
    again = flatrec("league", file, "--out", out, "--report-only")
    assert (again.code, again.out) == (0, ran.out), again.err
    assert {name: (out / name).read_bytes() for name in REPORTS} == before


def test_runs_that_fail_are_reported_and_end_in_exit_code_1(flatrec, file, tmp_path, monkeypatch):
    real = seasons.run_job

    def failing(job):
        return Failed("the disk is full") if (job.cell, job.method) == ("flat", "sam") else real(job)

    monkeypatch.setattr(seasons, "run_job", failing)
    out = tmp_path / "out"
    outcome = flatrec("league", file, "--out", out)
    assert outcome.code == 1
    assert outcome.err.rstrip().endswith("1 run failed; the same command tries again")
    assert "flat: sam against plain, NDCG@20: open" in outcome.out
    assert "sam: 0 of 1 trials" in (out / "league.md").read_text()
    failed = {name: (out / name).read_bytes() for name in REPORTS}
    assert flatrec("league", file, "--out", out, "--report-only").code == 0
    assert {name: (out / name).read_bytes() for name in REPORTS} == failed


def test_reports_need_a_folder_of_records(flatrec, file, tmp_path):
    nowhere = flatrec("league", file, "--out", tmp_path / "nowhere", "--report-only")
    one_line(nowhere, 2, "nowhere with the records of a league; run it first")
    one_line(flatrec("league", file, "--out", tmp_path, "--report-only", "--cells", "flat"), 2, "leave out --cells")
