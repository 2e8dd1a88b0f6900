"""flatrec recommend --new-items and flatrec cold-start."""

from __future__ import annotations

import json

import numpy as np
import pytest

from flatrec.data.encoded_items import write_ids
from flatrec.data.formats import mmrec
from flatrec.testing import block_dataset
from flatrec.training import Trainer
from tests.cli.test_errors import one_line

SET = (
    "--set",
    "model.embedding_dim=8",
    "--set",
    "training.epochs=30",
    "--set",
    "optimizer.lr=0.05",
    "--set",
    "training.loggers=none",
)
WIDTHS = {"image": 4, "text": 5}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Finished runs on block data, by model."""
    from flatrec.cli import main

    root = tmp_path_factory.mktemp("cold")
    mmrec.write(block_dataset(users=8, items=12), root / "data")
    for name in ("lightgcn", "vbpr", "popularity"):
        small = SET if name != "popularity" else SET[2:]
        with pytest.raises(SystemExit) as stop:
            main(
                [
                    "train",
                    "--data",
                    str(root / "data"),
                    "--model",
                    name,
                    "--strategy",
                    "plain",
                    *small,
                    "--out",
                    str(root / name),
                ]
            )
        assert stop.value.code == 0
    return root


def write(folder, blocks, *, names=None, widths=WIDTHS, lacking=()):
    """What ``flatrec encode`` writes: one item for each block index; ``lacking`` have no modality."""
    folder.mkdir()
    noise = np.random.default_rng(1)
    present = np.array([place not in lacking for place in range(len(blocks))])
    for name, width in widths.items():
        values = np.eye(3, width)[list(blocks)] + 0.1 * noise.standard_normal((len(blocks), width))
        np.save(folder / f"{name}_feat.npy", np.where(present[:, None], values, 0).astype(np.float32))
        np.save(folder / f"{name}_mask.npy", present)
    write_ids(folder, names or [f"new-{place}" for place in range(len(blocks))])
    return folder


@pytest.mark.parametrize(("model", "method"), [("lightgcn", "nearest"), ("vbpr", "features")])
def test_new_items_are_recommended_and_what_is_left_out_is_told(flatrec, runs, tmp_path, model, method):
    names = ["a", "b", "item 3", "c", "d"]
    folder = write(tmp_path / "new", (2, 0, 0, 1, 1), names=names, lacking=(4,))
    words = ("recommend", runs / model, "--user", "user 0", "--user", "user 16", "--new-items", folder)
    outcome = flatrec(*words, "-k", 2, "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["new_items"].pop("scale") > 0
    assert found["new_items"] == {
        "method": method, "scored": 3, "ids": ["a", "b", "c"], "already_known": ["item 3"],
        "without_features": ["d"], "n_neighbors": 10, "include_known": False,
    }  # fmt: skip
    lists = [[one["item"] for one in user["items"]] for user in found["recommendations"]]
    assert [len(one) for one in lists] == [2, 2]
    assert [one[0] for one in lists] == ["b", "a"]
    shown = flatrec(*words).out
    assert "3 new items scored, embedded by" in shown
    assert f"({method})" in shown
    assert "not new, as the data set has them, and left out: 1 (item 3)" in shown
    assert "without any modality, so that they cannot be scored: 1 (d)" in shown


def test_known_items_are_listed_too_and_the_new_ones_are_marked(flatrec, runs, tmp_path):
    folder = write(tmp_path / "new", (0, 1))
    words = ("recommend", runs / "lightgcn", "--user", "user 0", "--new-items", folder, "--include-known", "-k", 100)
    items = [one["item"] for one in json.loads(flatrec(*words, "--json").out)["recommendations"][0]["items"]]
    assert len(items) == 36 + 2 - 12
    assert {f"item {number}" for number in range(12)}.isdisjoint(items)
    assert items[0] == "new-0"
    lines = [line for line in flatrec(*words).out.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    assert sorted(one[1] for one in cells if one[4] == "new") == ["new-0", "new-1"]
    assert len(cells) == len(items)


def test_some_of_the_modalities_are_enough(flatrec, runs, tmp_path):
    folder = write(tmp_path / "new", (1, 0), widths={"text": 5})
    outcome = flatrec(
        "recommend", runs / "vbpr", "--user", "user 0", "--new-items", folder, "--json", "--n-neighbors", 3
    )
    assert json.loads(outcome.out)["recommendations"][0]["items"][0]["item"] == "new-1"


def test_a_table_is_to_be_encoded_first(flatrec, runs, tmp_path):
    (tmp_path / "items.csv").write_text("item,text\na,b\n")
    outcome = flatrec("recommend", runs / "vbpr", "--user", "user 0", "--new-items", tmp_path / "items.csv")
    one_line(outcome, 2, "is a table", "encode it first", "flatrec encode")


@pytest.mark.parametrize(
    ("model", "blocks", "options", "parts"),
    [
        ("vbpr", (0,), {"widths": {"text": 7}}, ("(text 7)", "(image 4, text 5)", "same encoders")),
        ("lightgcn", (0,), {"widths": {"sound": 5}}, ("(sound 5)", "(image 4, text 5)")),
        ("popularity", (0,), {}, ("Popularity has no vectors of items", "vbpr or freedom")),
        ("vbpr", (0,), {"names": ["item 3"]}, ("no new item", "all of its 1 ids")),
        ("vbpr", (0, 1), {"lacking": (0, 1)}, ("none of the 2 new items", "none can be scored")),
    ],
)
def test_what_does_not_fit_is_one_line(flatrec, runs, tmp_path, model, blocks, options, parts):  # noqa: PLR0913
    folder = write(tmp_path / "new", blocks, **options)
    one_line(flatrec("recommend", runs / model, "--user", "user 0", "--new-items", folder), 2, *parts)


def test_other_mistakes_are_one_line(flatrec, runs, tmp_path):
    recommend = ("recommend", runs / "vbpr", "--user", "user 0")
    folder = write(tmp_path / "new", (0,))
    one_line(flatrec(*recommend, "--include-known"), 2, "give --new-items too")
    one_line(flatrec(*recommend, "--n-neighbors", 3), 2, "give --new-items too")
    one_line(flatrec(*recommend, "--method", "nearest"), 2, "give --new-items too")
    one_line(
        flatrec(*recommend, "--new-items", folder, "--method", "best"),
        2,
        "method must be features or nearest",
        "'best'",
    )
    one_line(flatrec(*recommend, "--new-items", folder, "--n-neighbors", 0), 2, "n_neighbors must be at least 1")
    one_line(flatrec(*recommend, "--new-items", tmp_path / "nowhere"), 2, "not a folder of encoded items")
    cold_start = ("cold-start", runs / "vbpr")
    one_line(flatrec(*cold_start, "--method", "best"), 2, "method must be features or nearest")
    one_line(flatrec(*cold_start, "--fraction", "0.6"), 2, "fraction must lie between 0 and 0.5")
    one_line(flatrec(*cold_start, "--seed", 9, "--n-neighbors", 0), 2, "n_neighbors must be at least 1")
    other = ("cold-start", runs / "lightgcn", "--seed", 9, "--method", "features")
    one_line(flatrec(*other), 2, "LightGCN does not embed an item by its own features alone", "choose method nearest")
    assert not [*runs.glob("*/cold-fraction0.1-seed9")]  # refused before anything is trained
    twice = write(tmp_path / "twice", (0, 1), names=["n", "n"])
    one_line(flatrec(*recommend, "--new-items", twice), 2, str(twice), "must be unique")
    one_line(flatrec(*cold_start, "--split", "train"), 2, "--split must be valid or test")
    one_line(flatrec("cold-start", runs / "popularity"), 2, "has no vectors of items")
    assert not list((runs / "popularity").glob("cold-*"))


def test_data_without_features_have_no_cold_start(flatrec, tmp_path):
    mmrec.write(block_dataset(users=8, items=6, modalities=()), tmp_path / "bare")
    settings = ("--set", "training.epochs=1", "--set", "training.loggers=none")
    trained = flatrec("train", "--data", tmp_path / "bare", "--model", "bpr", *settings, "--out", tmp_path / "run")
    assert trained.code == 0, trained.err
    one_line(flatrec("cold-start", tmp_path / "run"), 2, "new items are embedded by their features", "has none")


def test_held_out_items_are_evaluated_once_trained_and_never_again(flatrec, runs, monkeypatch):
    words = ("cold-start", runs / "vbpr", "--fraction", "0.2", "--seed", "1", "--json")
    first = json.loads(flatrec(*words).out)
    assert first["cold_run"] == str(runs / "vbpr" / "cold-fraction0.2-seed1")
    assert (first["method"], first["n_items"], first["n_users"], first["n_interactions"]) == ("features", 7, 24, 56)
    assert first["among_held_out"]["model"]["hit_rate@5"] == 1
    assert set(first["among_all"]["random"]) < set(first["among_all"]["model"]) == set(first["among_all"]["content"])
    assert first["among_held_out"]["random"]["recall@5"] == pytest.approx(5 / 7)
    monkeypatch.setattr(Trainer, "run", lambda _: pytest.fail("it trains again"))
    assert json.loads(flatrec(*words).out) == first
    valid = json.loads(flatrec(*words, "--split", "valid").out)
    assert valid["split"] == "valid"
    assert valid["among_held_out"]["model"] != first["among_held_out"]["model"]
    nearest = json.loads(flatrec(*words, "--method", "nearest").out)
    assert nearest["method"] == "nearest"
    assert nearest["among_held_out"]["content"] == first["among_held_out"]["content"]
    one = json.loads(flatrec(*words, "--n-neighbors", "1").out)
    assert (one["n_neighbors"], first["n_neighbors"], first["mask"]) == (1, 10, "train")
    assert one["among_all"]["model"] != first["among_all"]["model"]
    assert json.loads(flatrec(*words, "--device", "cpu").out) == first  # what is finished is read on any device
    shown = flatrec(*words[:-1]).out
    assert "Among the 7 held-out items" in shown
    assert "Among all items" in shown
    assert "model (features)" in shown


def test_a_cold_run_that_was_killed_goes_on_to_the_same_result(flatrec, runs, monkeypatch):
    words = ("cold-start", runs / "lightgcn", "--fraction", "0.2", "--seed", "2", "--json")
    uninterrupted = json.loads(flatrec(*words).out)
    folder = runs / "lightgcn" / "cold-fraction0.2-seed2"
    for path in folder.iterdir():
        path.unlink()
    stopped, whole = [], Trainer._epoch

    def killed(self, epoch):
        if epoch == 4:
            stopped.append(epoch)
            raise KeyboardInterrupt
        return whole(self, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_epoch", killed)
        assert flatrec(*words).code == 130
    assert stopped == [4]
    assert not (folder / "result.json").exists()
    assert json.loads(flatrec(*words).out) == uninterrupted


def test_evaluate_gives_the_scores_of_training(flatrec, runs):
    stored = json.loads((runs / "vbpr" / "result.json").read_text())
    found = json.loads(flatrec("evaluate", runs / "vbpr", "--json").out)
    assert set(found) == {"run", "split", "metrics", "differing"}
    assert found["differing"] == []
    assert found["metrics"] == pytest.approx(stored["test"], abs=1e-6)


def test_filters_histories_and_reasons_hold_for_new_items_too(flatrec, runs, tmp_path):
    folder = write(tmp_path / "new", (0, 1, 2))
    words = ("recommend", runs / "vbpr", "--user", "user 0", "--new-items", folder, "--json")

    def listed(*more):
        outcome = flatrec(*words, *more)
        assert outcome.code == 0, outcome.err
        return [[item["item"] for item in answer["items"]] for answer in json.loads(outcome.out)["recommendations"]]

    ((first, second, *rest),) = listed()
    assert listed("--exclude", first) == [[second, *rest]]
    assert listed("--items", f"{second},item 0") == [[second]]
    assert listed("--where", "new = false") == [[]]
    assert listed("--pin", second, "-k", 2) == [[second, first]]
    outcome = flatrec(*words[:2], "--history", "item 0,item 1", *words[4:], "--explain")
    (answer,) = json.loads(outcome.out)["recommendations"]
    assert (answer["user"], answer["path"], len(answer["items"])) == (None, "cold-item", 2 + len(rest))
    assert any(item["reasons"] for item in answer["items"])
