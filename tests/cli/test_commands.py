"""What every command prints, and its exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import flatrec as package
from flatrec.data.formats import mmrec
from flatrec.evaluation.metrics import METRICS
from flatrec.models import BASELINES, MODELS
from flatrec.models.registry import ENTRIES, FAMILIES
from flatrec.runs.run_dir import read_result
from flatrec.testing import block_dataset
from tests.cli.conftest import SMALL

COMMANDS = [
    (), ("train",), ("evaluate",), ("compare",), ("recommend",), ("similar",), ("export",), ("demo",), ("data",),
    ("data", "info"), ("data", "shop"), ("check-model",),
    ("list",), ("list", "models"), ("list", "strategies"), ("list", "optimizers"), ("list", "schedules"),
    ("list", "metrics"),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_every_final_one_an_example(flatrec, command):
    outcome = flatrec(*command, "--help")
    assert outcome.code == 0
    assert "Usage: flatrec" in outcome.out
    if command not in [(), ("data",), ("list",)]:
        assert "Example:" in outcome.out


def test_version(flatrec):
    assert flatrec("--version").out.strip() == package.__version__


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("models", {"bpr", "lightgcn", "freedom", "popularity", "item-knn"}),
        ("strategies", {"plain", "plain+", "sam", "sam+", "bsam", "bsam+"}),
        ("optimizers", {"adam", "rmsprop", "adagrad", "sgd"}),
    ],
)
def test_list_names_everything_with_its_settings(flatrec, kind, names):
    listed = json.loads(flatrec("list", kind, "--json").out)[kind]
    assert {one["name"] for one in listed} >= names
    assert all(one["about"] for one in listed)
    shown = flatrec("list", kind)
    assert shown.code == 0
    assert all(name in shown.out for name in names)


def test_list_metrics_shows_title_direction_and_definition(flatrec):
    listed = {one["name"]: one for one in json.loads(flatrec("list", "metrics", "--json").out)["metrics"]}
    assert set(listed) == set(METRICS)
    assert (listed["gini"]["title"], listed["gini"]["higher_is_better"]) == ("Gini index", False)
    assert listed["mrr"]["definition"] == "1 / rank of the first hit, 0 without a hit in the list."
    shown = flatrec("list", "metrics").out
    assert all(name in shown for name in METRICS)


def test_the_page_of_metrics_has_a_row_of_each():
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{name}` | {one.title} | {'higher' if one.higher_is_better else 'lower'} | {one.definition} |"
        for name, one in METRICS.items()
    ]


def test_what_the_scores_are_not_of_is_said_in_a_sentence(flatrec, tmp_path):
    data = block_dataset(blocks=3, users=8, items=6)
    splits = data.interactions.splits.copy()
    splits[(data.interactions.users == 0) & (splits == 0)] = 2  # nothing in training
    mmrec.write(replace(data, interactions=replace(data.interactions, splits=splits)), tmp_path / "few")
    metrics = 'evaluation.metrics=["recall", "recall_high_activity"]'
    words = ("train", "--data", str(tmp_path / "few"), "--model", "popularity", "--set", metrics)
    shown = flatrec(*words, "--set", "evaluation.unknown_users=exclude", "--out", str(tmp_path / "run"))
    assert shown.code == 0, shown.err
    again = flatrec("evaluate", str(tmp_path / "run"))
    for out in (" ".join(shown.out.split()), " ".join(again.out.split())):
        assert (
            "test: users without a training interaction, who are not scored (evaluation.unknown_users): 1; "
            "interactions with items without one: 0"
        ) in out
        assert "left out of its mean: recall_high_activity 23" in out


def test_list_shows_defaults(flatrec):
    listed = json.loads(flatrec("list", "strategies", "--json").out)["strategies"]
    settings = next(one["settings"] for one in listed if one["name"] == "bsam+")
    assert (settings["rho"], settings["lam"], settings["kappa"], settings["distance"]) == (0.1, 0.6, 0.6, "manhattan")


def test_list_models_says_what_they_are_and_where_they_come_from(flatrec):
    listed = {one["name"]: one for one in json.loads(flatrec("list", "models", "--json").out)["models"]}
    assert set(listed) == {*MODELS, *BASELINES}
    freedom = listed["freedom"]
    assert freedom["about"].startswith("A frozen item graph from features")
    assert freedom["modalities"] == "one or more"
    assert freedom["reference"] == {
        "authors": "Zhou & Shen",
        "venue": "ACM MM",
        "year": 2023,
        "link": "https://arxiv.org/abs/2211.06924",
    }
    assert freedom["search_space"]["model.edge_dropout"] == [0.8, 0.9]
    neighbors = freedom["settings"]["n_neighbors"]
    assert (neighbors["type"], neighbors["default"], neighbors["tried"]) == ("int", 10, [])
    assert neighbors["meaning"].startswith("number of neighbors per item")
    assert freedom["settings"]["edge_dropout"]["tried"] == [0.8, 0.9]
    assert listed["slmrec"]["settings"]["missing_modality"]["default"] == "mean"
    assert listed["bpr"]["about"].startswith("Matrix factorization with the BPR loss: ")
    assert (listed["popularity"]["modalities"], listed["popularity"]["reference"]) == ("none", None)
    assert {name: one["family"] for name, one in listed.items()} == {
        name: entry.family for name, entry in ENTRIES.items()
    }
    shown = flatrec("list", "models").out
    places = [shown.index(title) for title in FAMILIES.values()]
    assert places == sorted(places)
    for name, entry in ENTRIES.items():  # each under the title of its family
        row = shown.index(f"\u2502 {name} ")
        assert list(FAMILIES)[sum(place < row for place in places) - 1] == entry.family
    assert "Zhou & Shen, ACM MM 2023" in shown
    assert "https://arxiv.org/abs/2211.06924" in shown
    assert max(map(len, shown.splitlines())) <= 140


def test_list_models_with_names_shows_their_settings_alone(flatrec):
    outcome = flatrec("list", "models", "freedom", "item-knn")
    assert outcome.code == 0
    assert all(
        part in outcome.out for part in ("model.edge_dropout", "0.8, 0.9", "model.shrinkage", "'trained' or 'frozen'")
    )
    assert "lightgcn" not in outcome.out
    assert "``" not in flatrec("list", "models", *MODELS).out
    only = json.loads(flatrec("list", "models", "freedom", "--json").out)["models"]
    assert [one["name"] for one in only] == ["freedom"]
    assert "did you mean freedom?" in flatrec("list", "models", "freedm").err


def test_info_counts(flatrec, blocks):
    counted = json.loads(flatrec("data", "info", blocks, "--json").out)
    assert (counted["users"], counted["items"], counted["interactions"]) == (24, 18, 144)
    shown = flatrec("data", "info", blocks)
    assert "items without a training interaction" in shown.out
    assert "no warnings" in shown.out


def test_train_prints_one_json_object_and_nothing_else(flatrec, blocks, tmp_path):
    outcome = flatrec("train", "--data", blocks, "--model", "freedom", "--strategy", "bsam+", "--json", *SMALL,
                      "--set", "model.n_neighbors=3", "--seed", 4, "--out", tmp_path / "run")  # fmt: skip
    result = json.loads(outcome.out)
    assert outcome.code == 0
    assert (result["model"], result["strategy"], result["seed"]) == ("freedom", "bsam+", 4)
    assert result == read_result(tmp_path / "run")


def test_train_with_adversarial_noise_records_it(flatrec, blocks, tmp_path):
    outcome = flatrec("train", "--data", blocks, "--model", "vbpr", "--strategy", "bsam+", "--json", *SMALL,
                      "--set", "training.amr.epsilon=0.1", "--out", tmp_path / "run")  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["settings"]["training"]["amr"] == {"epsilon": 0.1, "weight": 1.0}
    assert "[training.amr]\nepsilon = 0.1\nweight = 1.0" in (tmp_path / "run" / "experiment.toml").read_text()
    again = flatrec("train", "--resume", "--set", "training.epochs=3", "--json", "--out", tmp_path / "run")
    assert json.loads(again.out)["epochs"] == 3


def test_options_win_over_the_experiment_file_and_set_wins_over_both(flatrec, blocks, tmp_path):
    file = tmp_path / "experiment.toml"
    file.write_text(
        f'data = "{blocks}"\nseed = 1\n[model]\nname = "lightgcn"\nn_layers = 1\nembedding_dim = 4\n'
        '[training]\nepochs = 1\nloggers = []\n[strategy]\nname = "sam"\n'
    )
    outcome = flatrec("train", "--config", file, "--seed", 2, "--set", "model.n_layers=2", "--set", "seed=3",
                      "--strategy", "plain", "--json", "--out", tmp_path / "run")  # fmt: skip
    result = json.loads(outcome.out)
    assert (result["seed"], result["strategy"], result["settings"]["model"]["options"]["n_layers"]) == (3, "plain", 2)


def test_evaluate_gives_the_scores_of_training(flatrec, trained):
    result = json.loads((trained / "result.json").read_text())
    for part in ("valid", "test"):
        outcome = flatrec("evaluate", trained, "--split", part, "--json")
        assert json.loads(outcome.out)["metrics"] == result[part]
    assert "recall@10" in flatrec("evaluate", trained).out


def test_resume_takes_its_settings_from_the_folder(flatrec, trained):
    outcome = flatrec("train", "--resume", "--set", "training.epochs=3", "--json", "--out", trained)
    assert json.loads(outcome.out)["epochs"] == 3


def test_compare_prints_the_table_and_writes_it(flatrec, blocks, tmp_path):
    words = ("compare", "--data", blocks, "--model", "lightgcn", "--strategies", "plain,plain+", "--seeds", 2, *SMALL)
    printed = json.loads(flatrec(*words, "--out", tmp_path / "out", "--json").out)
    assert printed == json.loads((tmp_path / "out" / "compare.json").read_text())
    shown = flatrec(*words, "--out", tmp_path / "out")
    assert "Fewer than 5 seeds are not a result." in shown.out
    assert "plain+" in shown.out


def test_recommend_and_similar(flatrec, trained):
    found = json.loads(flatrec("recommend", trained, "--user", "user 0", "--user", "user 9", "-k", 3, "--json").out)
    assert [one["user"] for one in found["recommendations"]] == ["user 0", "user 9"]
    assert all(len(one["items"]) == 3 for one in found["recommendations"])
    similar = json.loads(flatrec("similar", trained, "--item", "item 4", "-k", 2, "--json").out)
    assert len(similar["similar"]) == 2
    assert "For user 0" in flatrec("recommend", trained, "--user", "user 0").out
    assert "Similar to item 4" in flatrec("similar", trained, "--item", "item 4").out


def test_shop_is_written_and_can_be_trained_on(flatrec, tmp_path):
    outcome = flatrec("data", "shop", tmp_path / "shop", "--users", 60, "--items", 40, "--json")
    printed = json.loads(outcome.out)
    assert printed["users"] == 60
    assert printed["events"] == len(pl.read_parquet(tmp_path / "shop" / "events.parquet")) > 5 * 540
    assert len(list((tmp_path / "shop" / "images").iterdir())) == 40
    assert (
        flatrec("train", "--data", tmp_path / "shop", "--model", "freedom", *SMALL, "--out", tmp_path / "run").code == 0
    )


def test_shop_is_split_in_time(flatrec, tmp_path):
    shop = tmp_path / "shop"
    assert "purchases" in flatrec("data", "shop", shop, "--users", 60, "--items", 40).out
    in_time = ("--set", "split.method=time", "--out", tmp_path / "run")
    assert flatrec("train", "--data", shop, "--model", "popularity", *in_time).code == 0


def test_data_without_a_validation_part_are_trained_as_the_message_says(flatrec, tmp_path):
    rows = [f"u{user},i{item},{'test' if user == item else 'train'}" for user in range(5) for item in range(5)]
    rows = [row for row in rows if not row.startswith("u4,i1,")]  # an item that is left to rank
    (tmp_path / "clicks.csv").write_text("\n".join(["customer,sku,part", *rows]) + "\n")
    names = 'user_column = "customer"\nitem_column = "sku"\nsplit_column = "part"\n'
    (tmp_path / "dataset.toml").write_text(f'interactions = "clicks.csv"\n{names}')
    words = ("train", "--data", tmp_path / "dataset.toml", "--model", "bpr", *SMALL, "--out", tmp_path / "run")
    refused = flatrec(*words)
    assert refused.code == 2
    assert "--set training.select=last --set training.epochs=N" in refused.err
    assert len(refused.err.splitlines()) == 1
    outcome = flatrec(*words, "--set", "training.select=last")
    assert outcome.code == 0, outcome.err
    assert "the last of 2 epochs is kept" in outcome.out.replace("\n", " ")
    resumed = flatrec("train", "--resume", "--set", "training.epochs=3", "--out", tmp_path / "run", "--json")
    assert json.loads(resumed.out)["best_epoch"] == 3
    assert flatrec("evaluate", tmp_path / "run").code == 0
    assert flatrec("recommend", tmp_path / "run", "--user", "u4").code == 0


def test_training_says_which_metric_chose_the_epoch(flatrec, blocks, tmp_path):
    outcome = flatrec("train", "--data", blocks, "--model", "bpr", *SMALL, "--set", "training.monitor=recall@20",
                      "--out", tmp_path / "run")  # fmt: skip
    assert "of 2 by recall@5; the run is in" in outcome.out.replace("\n", " ")
    assert outcome.err.count("monitored instead") == 1
    assert "recall@5 0." in outcome.err  # in the lines of progress too


@pytest.mark.parametrize("setting", ["strategy.rho=3e38", "training.amr.epsilon=3e38", "model.reg_weight=3e38"])
def test_a_run_of_which_every_step_is_skipped_fails(flatrec, blocks, tmp_path, setting):
    words = ("train", "--data", blocks, "--model", "vbpr", "--strategy", "sam", *SMALL, "--set", setting)
    outcome = flatrec(*words, "--out", tmp_path / "run")
    assert outcome.code == 1, outcome.out
    assert "no step had a finite loss or gradient (1 skipped)" in outcome.err.splitlines()[-1]
    assert not (tmp_path / "run" / "result.json").exists()
