"""Metrics of the user's own, in every command that trains or scores; and that no run folder runs their code."""

from __future__ import annotations

import json
import sys

import pytest

from flatrec.api import fit, load_run
from flatrec.config import Evaluation, Training
from flatrec.testing import block_dataset
from flatrec.utils import user_classes

MINE = """
from pathlib import Path
from flatrec.evaluation import Metric

Path("executed").touch()

class Rank(Metric):
    title = "Mean index"
    higher_is_better = False

    def compute(self, lists):
        return lists.items.double().mean(dim=1)

class Undirected(Metric):
    def compute(self, lists):
        return 0.0
"""
CHOSEN = ("--set", 'evaluation.metrics=["recall", "ndcg", "mine.py:Rank"]')
TRAIN = (
    *("train", "--data", "blocks", "--model", "bpr", "--strategy", "plain", "--set", "model.embedding_dim=4"),
    *("--set", "training.loggers=none", "--set", "training.monitor=Rank@5"),
)


def forget(folder):
    """As in a new process."""
    user_classes._loaded.clear()
    for name in [name for name in sys.modules if name.startswith("flatrec_user_")]:
        del sys.modules[name]
    (folder / "executed").unlink(missing_ok=True)


@pytest.fixture
def own(tmp_path, monkeypatch, blocks):  # noqa: ARG001 - in the folder
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(user_classes, "_loaded", [])
    yield tmp_path
    forget(tmp_path)


@pytest.fixture
def run(flatrec, own):
    outcome = flatrec(*TRAIN, *CHOSEN, "--set", "training.epochs=3", "--out", "run")
    assert outcome.code == 0, outcome.err
    assert "Rank@5" in outcome.out
    forget(own)
    return own / "run"


def test_a_metric_of_ones_own_chooses_the_epoch_in_its_direction(run):
    result = json.loads((run / "result.json").read_text())
    assert result["monitor"] == "Rank@5"
    lines = [json.loads(line) for line in (run / "epochs.jsonl").read_text().splitlines()]
    scores = [line["valid"]["Rank@5"] for line in lines]
    assert result["best_epoch"] == 1 + scores.index(min(scores))
    assert result["valid"]["Rank@5"] == min(scores)
    (recorded,) = result["settings"]["evaluation"]["metrics"][2:]
    assert recorded.startswith("mine.py:Rank@")


def test_a_run_is_scored_by_its_own_metric_only_where_it_is_named(flatrec, run, own, caplog):
    scored = flatrec("evaluate", "run", "--json")
    assert scored.code == 0
    assert "Rank@5" not in json.loads(scored.out)["metrics"]
    assert "the metric mine.py:Rank is a class of your own" in caplog.text + scored.err
    assert not (own / "executed").exists()
    named = json.loads(flatrec("evaluate", "run", "--metric", "mine.py:Rank", "--json").out)
    assert named["metrics"]["Rank@5"] == json.loads((run / "result.json").read_text())["test"]["Rank@5"]
    assert named["differing"] == []


def test_a_run_recommends_without_its_own_metric(flatrec, run, own):  # noqa: ARG001 - in the folder
    told = flatrec("recommend", "run", "--user", "user 0")
    assert told.code == 0
    assert "metric" not in told.err
    assert not (own / "executed").exists()


def test_a_run_goes_on_where_its_metric_is_named_again(flatrec, run, own):  # noqa: ARG001 - in the folder
    longer = ("--set", "training.epochs=4", "--out", "run", "--resume")
    unnamed = flatrec("train", *longer)
    assert unnamed.code != 0
    assert "metric mine.py:Rank is a class of your own" in unnamed.err
    assert not (own / "executed").exists()
    assert flatrec("train", *CHOSEN, *longer).code == 0


def test_a_metric_that_has_changed_since_is_refused(flatrec, run, own):  # noqa: ARG001 - in the folder
    (own / "mine.py").write_text(MINE + "# changed\n")
    refused = flatrec("evaluate", "run", "--metric", "mine.py:Rank")
    assert refused.code != 0
    assert "the file of mine.py:Rank has changed since" in refused.err


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ("mine.py:Undirected", "Undirected must say whether higher is better"),
        ("mine.py:Path", "Path must be a subclass of flatrec.evaluation.Metric"),
        ("mine.py:Gone", "unknown class 'Gone'"),
        ("gone.py:Rank", "there is no file gone.py"),
        ("recal", "unknown metric 'recal'"),
    ],
)
def test_what_is_no_metric_is_one_line_and_leaves_nothing(flatrec, own, metrics, message):
    refused = flatrec(*TRAIN, "--set", f'evaluation.metrics=["recall", "{metrics}"]', "--out", "run")
    assert refused.code != 0
    assert message in refused.err
    assert not (own / "run").exists()


def test_a_metric_that_the_run_does_not_have_is_refused(flatrec, run, own):  # noqa: ARG001 - in the folder
    (own / "other.py").write_text(MINE.replace("Rank", "Other"))
    refused = flatrec("evaluate", "run", "--metric", "other.py:Other")
    assert "the run was made without the metric other.py:Other" in refused.err


def test_a_file_of_settings_names_a_metric_and_strategies_are_compared_by_it(flatrec, own):
    (own / "mine.toml").write_text('[evaluation]\nmetrics = ["recall", "ndcg", "mine.py:Rank"]\nks = [5]\n')
    words = ("--config", "mine.toml", "--data", "blocks", "--model", "bpr", "--strategies", "plain,sam", "--seeds", "2")
    short = ("--set", "training.epochs=2", "--set", "training.monitor=Rank@5", "--set", "training.loggers=none")
    outcome = flatrec("compare", *words, *short, "--out", "compared")
    assert outcome.code == 0, outcome.err
    strategies = json.loads((own / "compared" / "compare.json").read_text())["strategies"]
    plain, sam = (strategies[name]["Rank@5"] for name in ("plain", "sam"))
    assert sam["gain"] == pytest.approx(1 - sam["mean"] / plain["mean"])
    assert "Lower is better in Rank" in outcome.out


def test_classes_are_given_in_python(own):
    sys.path.insert(0, str(own))
    try:
        from mine import Rank
    finally:
        sys.path.remove(str(own))
    data, short = block_dataset(blocks=3, users=8, items=6), Training(epochs=1, loggers=(), monitor="Rank@5")
    run = fit(data, "bpr", "plain", evaluation=Evaluation(metrics=["recall", Rank]), training=short, out=own / "run")
    forget(own)
    again = load_run(own / "run", data, metrics=[Rank])
    assert again.evaluate("test").metrics == run.result["test"]
    del sys.modules["mine"]
