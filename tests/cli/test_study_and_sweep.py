"""flatrec study and flatrec sweep: what they print and write, and what they refuse."""

from __future__ import annotations

import json
import re

import pytest

from tests.cli.conftest import SMALL
from tests.cli.test_errors import one_line

STUDY = ("study", "overall", "--models", "lightgcn", "--strategies", "plain,sam", "--seeds", "2", *SMALL)
SWEEP = ("sweep", "--model", "lightgcn", "--strategy", "sam", "--trials", "2", "--seeds", "2", *SMALL)


def test_a_study_prints_its_table_and_says_how_it_goes(flatrec, blocks, tmp_path):
    outcome = flatrec(*STUDY, "--set", "training.monitor=recall@20", "--data", blocks, "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    lines = outcome.err.splitlines()
    assert sum(" finished in " in line for line in lines) == sum(line.endswith(" begins") for line in lines) == 4
    assert sum("monitored instead" in line for line in lines) == 1  # once for all runs, and before the first
    assert lines[-9] == "study overall: 4 runs to make"
    assert re.fullmatch(
        r"lightgcn sam seed 1 finished in (less than a|\d+) seconds? \(0 left\)", lines[-1].partition(" ")[2]
    )
    for part in ("Overall comparison", "plain", "sam", "Recall@10", "flatrec report"):
        assert part in outcome.out
    assert (tmp_path / "out" / "tables" / "overall.csv").exists()
    assert (tmp_path / "out" / "figures" / "overall.svg").exists()


def test_a_study_as_json_is_what_its_folder_holds(flatrec, blocks, tmp_path):
    printed = flatrec(*STUDY, "--data", blocks, "--out", tmp_path / "out", "--json")
    said = json.loads(printed.out)
    written = json.loads((tmp_path / "out" / "study.json").read_text(encoding="utf-8"))
    assert (said["study"], said["findings"]) == (written["study"], written["findings"])
    assert said["settings"]["model.embedding_dim"] == "4"
    assert (said["settings"]["models"], said["settings"]["seeds"]) == ("lightgcn", "0, 1")


def test_settings_of_a_study_itself(flatrec, blocks, tmp_path):
    words = ("study", "batch-size", *STUDY[2:], "--data", blocks, "--set", "study.sizes=[16, 32]")
    printed = flatrec(*words, "--set", "evaluation.ks=[10, 20]", "--out", tmp_path / "out", "--json")
    found = json.loads(printed.out)
    assert {row[2] for row in found["tables"][0]["rows"]} == {"16", "32"}
    assert found["settings"]["study.sizes"] == "(16, 32)"
    assert found["settings"]["evaluation.ks"] == "(10, 20)"


def test_studies_may_share_runs(flatrec, blocks, tmp_path):
    given = ("--data", blocks, "--runs", tmp_path / "runs")
    assert flatrec(*STUDY, *given, "--out", tmp_path / "one").code == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/result.json")}
    second = flatrec("study", "convergence", *STUDY[2:], *given, "--out", tmp_path / "two")
    assert second.err.splitlines()[-1] == "study convergence: 0 runs to make; 4 runs of an earlier call are used"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/result.json")} == before
    assert len(before) == 4


def test_a_study_says_what_failed_and_goes_on(flatrec, blocks, tmp_path):
    words = ("study", "overall", "--models", "lightgcn,freedom", *STUDY[4:], "--set", "model.n_neighbors=1000")
    outcome = flatrec(*words, "--data", blocks, "--out", tmp_path / "out")
    assert outcome.code == 0
    assert outcome.out.count("failed: ") == 4
    assert "neighbors" in outcome.err


def test_a_sweep_prints_its_trials_and_the_winner(flatrec, blocks, tmp_path):
    outcome = flatrec(*SWEEP, "--data", blocks, "--sampler", "random", "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    lines = outcome.err.splitlines()
    assert lines[:2] == ["sweep: 6 runs to make", "trial 0 begins"]
    assert [line.partition(" finished in ")[0] for line in lines if " finished in " in line][:2] == [
        "trial 0",
        "trial 1",
    ]
    assert lines[-1].endswith("(0 left)")
    for part in ("Trials, best first", "Chosen on validation", "strategy.rho"):
        assert part in outcome.out


def test_a_sweep_of_a_file_as_json(flatrec, blocks, tmp_path):
    (tmp_path / "space.toml").write_text("[strategy]\nrho = [0.05, 0.5]\n")
    words = (*SWEEP, "--data", blocks, "--sampler", "grid", "--space", tmp_path / "space.toml")
    found = json.loads(flatrec(*words, "--out", tmp_path / "out", "--json").out)
    assert {row[3] for row in found["tables"][0]["rows"]} == {"0.05", "0.5"}
    assert found["failures"] == []


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("study", "overal"), ("unknown study 'overal'", "did you mean overall")),
        (("study", "noise", "--set", "study.drawz=3"), ("unknown setting 'drawz'", "did you mean draws")),
        (("study", "noise", "--set", "study.draws=0"), ("draws at least 1",)),
        (("study", "noise", "--set", "study=3"), ("study.KEY=VALUE",)),
        (("study", "overall", "--seeds", "1"), ("needs at least 2 different ones", "--seeds")),
        (("study", "overall", "--models", "freedum"), ("freedum", "did you mean freedom")),
        (("study", "overall", "--strategies", "plain,bsma"), ("bsma", "did you mean bsam")),
        (("study", "overall", "--set", "model.layer=3"), ("layer", "did you mean n_layers")),
        (("study", "overall", "--workers", "0"), ("workers must be at least 1",)),
        (("study", "overall", "--backend", "spark"), ("local, ray, dask", "'spark'")),
        (("study", "interval", "--strategies", "plain"), ("has an interval",)),
        (("study", "parameters", "--strategies", "plain"), ("rho, lam, kappa or distance",)),
        (("study", "overall", "--data", "NOWHERE"), ("NOWHERE", "does not exist")),
        (("sweep", "--model", "lightgcn", "--space", "NOWHERE.toml"), ("NOWHERE.toml",)),
        (("sweep", "--model", "lightgcn", "--sampler", "cmaes"), ("grid, random or tpe", "'cmaes'")),
        (("sweep", "--model", "lightgcn", "--trials", "0"), ("trials must lie between 1 and",)),
        (("sweep", "--model", "lightgcn", "--storage", "sqlite:////no/where/x.db"), ("cannot be reached", "--storage")),
    ],
)
def test_bad_usage_is_one_line(flatrec, blocks, tmp_path, monkeypatch, words, parts):
    monkeypatch.chdir(tmp_path)
    given = () if "--data" in words else ("--data", blocks)
    outcome = flatrec(*words, *given, "--out", tmp_path / "out", *SMALL[2:])
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    last = outcome.err.strip().splitlines()[-1]
    assert outcome.code in (1, 2)
    assert last.startswith("flatrec: ")
    assert all(part in last for part in parts), last


def test_a_model_that_needs_what_the_data_lack_is_one_line(flatrec, blocks, tmp_path):
    words = ("study", "overall", "--models", "mmgcn", "--strategies", "plain,sam", "--seeds", "2", *SMALL)
    for path in blocks.glob("*.npy"):
        path.unlink()
    outcome = flatrec(*words, "--data", blocks, "--out", tmp_path / "out")
    assert outcome.code in (1, 2)
    assert "flatrec: no run of the study could be finished" in outcome.err.splitlines()[-1]
    assert "feature" in outcome.err.splitlines()[-1]


def test_an_unknown_option_is_one_line(flatrec, tmp_path):
    one_line(flatrec("study", "overall", "--strategie", "plain", "--out", tmp_path / "out"), 2, "--strategie")
