"""flatrec robustness."""

from __future__ import annotations

import json

import numpy as np
import pytest

from flatrec.api import load_run
from flatrec.inference.run import user_item_embeddings
from tests.cli.conftest import SMALL
from tests.cli.test_errors import one_line

VECTOR_KINDS = {"items", "vectors"}


@pytest.fixture
def vectors(trained, tmp_path):
    """Files of the vectors of the run."""
    for name, rows in zip(("U", "I"), user_item_embeddings(load_run(trained).model), strict=True):
        np.save(tmp_path / f"{name}.npy", rows.numpy())
    return ("--users", tmp_path / "U.npy", "--items", tmp_path / "I.npy")


def test_vectors_in_files_get_the_numbers_of_their_run(flatrec, trained, vectors, blocks, tmp_path):
    common = ("--draws", 2, "--json", "--no-page")
    of_run = flatrec("robustness", trained, *common)
    assert of_run.code == 0, of_run.err
    of_files = flatrec("robustness", *vectors, "--data", blocks, "--out", tmp_path / "card", *common)
    assert of_files.code == 0, of_files.err
    one, other = (json.loads(outcome.out) for outcome in (of_run, of_files))
    assert one["undisturbed"] == other["undisturbed"] == json.loads((trained / "result.json").read_text())["test"]
    assert [level for level in one["levels"] if level["kind"] in VECTOR_KINDS] == other["levels"]
    assert len(other["levels"]) == 8
    assert one == json.loads((trained / "robustness" / "robustness.json").read_text())
    assert not (trained / "robustness" / "robustness.html").exists()


def test_the_card_is_shown_and_written_as_a_page(flatrec, trained):
    outcome = flatrec("robustness", trained, "--draws", 1)
    assert outcome.code == 0, outcome.err
    assert "undisturbed" in outcome.out
    page = (trained / "robustness" / "robustness.html").read_text()
    assert "Robustness of lightgcn" in page
    assert "vectors at 50 %" in page


@pytest.mark.parametrize(("drop", "code"), [("100%", 0), ("0.001%", 3)])
def test_a_gate_decides_the_exit_code(flatrec, blocks, tmp_path, drop, code):
    words = ("--set", "model.embedding_dim=8", "--set", "optimizer.lr=0.05", "--set", "training.epochs=20", *SMALL[4:])
    made = flatrec("train", "--data", blocks, "--model", "lightgcn", *words, "--out", tmp_path / "run")
    assert made.code == 0, made.err
    # On this data noise of three times the length leaves little of what was learned.
    gates = ("--fail-if", "recall@10 drops 100% under items=1%", "--fail-if", f"ndcg@5 drops {drop} under vectors=300%")
    outcome = flatrec("robustness", tmp_path / "run", "--draws", 3, "--json", "--no-page", *gates)
    assert outcome.code == code, outcome.err
    card = json.loads(outcome.out)
    assert [one["fails"] for one in card["gates"]] == [False, code == 3]
    (level,) = [one for one in card["levels"] if (one["kind"], one["level"]) == ("vectors", 3.0)]
    assert card["gates"][1]["drop"] == level["metrics"]["ndcg@5"]["drop"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--fail-if", "recall drops"), "must read as"),
        (("--fail-if", "recall@7 drops 5% under items=20%"), "unknown metric"),
        (("--draws", 0), "--draws must lie"),
        (("--users", "U.npy"), "or --users, --items and --data together"),
    ],
)
def test_what_cannot_be_measured_is_one_line(flatrec, trained, words, said):
    outcome = flatrec("robustness", trained, *words)
    one_line(outcome, 2)
    assert said in outcome.err
    assert not (trained / "robustness").exists()


def test_vectors_of_other_data_are_refused(flatrec, vectors, blocks, tmp_path):
    np.save(tmp_path / "U.npy", np.ones((3, 4)))
    outcome = flatrec("robustness", *vectors, "--data", blocks)
    one_line(outcome, 2)
    assert "expected 24 vectors of users" in outcome.err


def test_a_baseline_without_vectors_says_what_does_not_apply(flatrec, blocks, tmp_path):
    made = flatrec("train", "--data", blocks, "--model", "popularity", *SMALL[2:], "--out", tmp_path / "popular")
    assert made.code == 0, made.err
    outcome = flatrec("robustness", tmp_path / "popular", "--json", "--no-page")
    assert outcome.code == 0, outcome.err
    card = json.loads(outcome.out)
    assert card["levels"] == []
    assert card["left_out"]["items"] == "it does not score by vectors of users and items"
    gate = ("--fail-if", "recall@10 drops 5% under items=20%")
    outcome = flatrec("robustness", tmp_path / "popular", *gate)
    one_line(outcome, 2)
    assert "items cannot be measured" in outcome.err


def test_a_run_is_trained_again_where_that_is_asked_for(flatrec, trained):
    gate = ("--fail-if", "recall@10 drops 100% under false-interactions=30%")
    outcome = flatrec("robustness", trained, *gate)
    one_line(outcome, 2)
    assert "--retrain" in outcome.err
    outcome = flatrec("robustness", trained, "--draws", 1, "--retrain", "--json", "--no-page", *gate)
    assert outcome.code == 0, outcome.err
    kinds = {one["kind"] for one in json.loads(outcome.out)["levels"]}
    assert kinds == {*VECTOR_KINDS, "false-interactions", "random-shilling", "bandwagon-shilling"}
