"""flatrec train --refit."""

from __future__ import annotations

import json
import re

import pytest

from tests.cli.conftest import SMALL


@pytest.fixture
def fitted(flatrec, trained, tmp_path):
    outcome = flatrec("train", "--refit", trained, "--out", tmp_path / "final")
    assert outcome.code == 0, outcome.err
    return outcome


def test_what_was_fitted_is_said_without_a_score(fitted, trained):
    epochs = json.loads((trained / "result.json").read_text())["best_epoch"]
    words = " ".join(fitted.out.split())
    assert f"lightgcn is fitted to all 144 interactions of blocks, for {epochs} epoch" in words
    assert "recall" not in words


@pytest.mark.usefixtures("fitted")
def test_the_commands_of_a_run_work_on_a_final_fit_and_evaluate_says_why_it_cannot(flatrec, tmp_path):
    for words in (
        ("recommend", tmp_path / "final", "--user", "user 0"),
        ("similar", tmp_path / "final", "--item", "item 1"),
    ):
        outcome = flatrec(*words)
        assert (outcome.code, outcome.err) == (0, "")
    outcome = flatrec("evaluate", tmp_path / "final")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert outcome.err.startswith("flatrec: a final fit is trained on all interactions, so that it has no test split")


@pytest.mark.usefixtures("fitted")
def test_resuming_a_final_fit_needs_no_word_of_the_run(flatrec, trained, tmp_path):
    outcome = flatrec("train", "--resume", "--out", tmp_path / "final", "--json")
    assert json.loads(outcome.out)["refit"]["run"] == str(trained)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--seed", "0"), "--refit repeats all settings of a run, so that --seed does not go with it"),
        (("--set", "training.epochs=9"), "so that --set does not go with it"),
        (("--config", "x.toml"), "so that --config does not go with it"),
        (("--model", "bpr"), "the run was made with model lightgcn, not with bpr"),
        (("--strategy", "sam"), "the run was made with strategy bsam+, not with sam"),
        (("--data", "nowhere"), "nowhere does not exist"),
    ],
)
def test_options_that_would_change_the_settings_are_one_line(words, said, flatrec, trained, tmp_path):
    outcome = flatrec("train", "--refit", trained, "--out", tmp_path / "final", *words)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert said in outcome.err
    assert not (tmp_path / "final").exists()


def test_a_folder_without_a_finished_run_is_one_line(flatrec, tmp_path):
    outcome = flatrec("train", "--refit", tmp_path / "none", "--out", tmp_path / "final")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert re.search("holds no finished run", outcome.err)


def test_all_interactions_are_trained_on_by_settings_alone(flatrec, blocks, tmp_path):
    settings = ("--set", "split.method=none", "--set", "training.select=last")
    outcome = flatrec("train", "--data", blocks, "--model", "lightgcn", *SMALL, *settings, "--out", tmp_path / "run")
    assert outcome.code == 0
    assert "there is neither a validation nor a test split to score" in outcome.out
    assert flatrec("recommend", tmp_path / "run", "--user", "user 0").code == 0
