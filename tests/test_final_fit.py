"""The final fit of a run: its settings and its number of epochs, on all interactions."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

import flatrec
from flatrec.api import load_run, run_experiment
from flatrec.config import Component, Evaluation, Experiment, SplitSettings, Training
from flatrec.data.formats import mmrec
from flatrec.data.loading import load_data
from flatrec.evaluation.metrics import Metric
from flatrec.final_fit import final_fit, refit
from flatrec.inference.cold_start import evaluate_cold_start
from flatrec.models import BPR
from flatrec.registry.naming import import_metrics
from flatrec.runs import run_dir
from flatrec.runs.origin import ORIGIN
from flatrec.testing import block_dataset
from flatrec.training.trainer import DivergedError
from flatrec.utils import user_classes
from flatrec.utils.integrity import seal
from flatrec.windows import run_windows
from tests.training.kills import KillAt, Killed

DATA = block_dataset(blocks=3, users=8, items=6)
SHORT = Training(epochs=4, batch_size=32, loggers=(), monitor="ndcg@20", patience=2)
LIGHTGCN = Component("lightgcn", {"embedding_dim": 4})


class Mine(BPR):
    """A model of the user's own."""


@pytest.fixture
def on_disk(tmp_path):
    mmrec.write(DATA, tmp_path / "blocks")
    return tmp_path / "blocks"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Data that no test changes, and a finished run on them."""
    folder = tmp_path_factory.mktemp("shared")
    mmrec.write(DATA, folder / "blocks")
    run_experiment(experiment(folder / "blocks"), out=folder / "run")
    return folder


def experiment(on_disk, **changes):
    made = Experiment(data=str(on_disk), model=LIGHTGCN, strategy=Component("bsam+"), training=SHORT, seed=3)
    return made.replace(**changes)


@pytest.fixture
def run(shared):
    return shared / "run"


def state(recommender):
    return recommender.state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_final_fit_is_the_run_on_all_interactions_for_the_epochs_that_it_chose(run, shared, tmp_path):
    chosen = load_run(run).result["best_epoch"]
    fitted = refit(run, tmp_path / "final")
    by_hand = run_experiment(
        experiment(
            shared / "blocks", training=SHORT.replace(epochs=chosen, select="last"), split=SplitSettings(method="none")
        )
    )
    assert same(state(fitted.model), state(by_hand.model))
    assert fitted.dataset.interactions.count("train") == len(DATA.interactions)
    loaded = load_run(tmp_path / "final")
    assert same(state(loaded.model), state(fitted.model))
    assert loaded.recommend("user 0", 5) == fitted.recommend("user 0", 5)
    assert loaded.similar("item 1", 5) == fitted.similar("item 1", 5)


def test_the_result_names_the_run_and_keeps_its_scores_apart(run, tmp_path):
    before = load_run(run).result
    result = refit(run, tmp_path / "final").result
    assert result.keys() == load_run(tmp_path / "final").result.keys()
    assert (result["valid"], result["test"], result["monitor"], result["selected"]) == ({}, {}, None, "last")
    assert result["epochs"] == result["best_epoch"] == before["best_epoch"]
    origin = result["refit"]
    assert (origin["run"], origin["epochs"], origin["selected"]) == (str(run), before["best_epoch"], "best")
    assert (origin["valid"], origin["test"]) == (before["valid"], before["test"])
    assert origin["data"]["fingerprint"] == DATA.fingerprint
    assert (origin["other_data"], origin["refit"], result["warnings"]) == (False, None, [])
    assert before["refit"] is None


def test_a_final_fit_has_nothing_to_score_and_says_so_in_one_line(run, tmp_path):
    fitted = refit(run, tmp_path / "final")
    for split in ("valid", "test"):
        with pytest.raises(ValueError, match=f"^a final fit .* no {split} split .*{re.escape(str(run))}[^\n]*$"):
            fitted.evaluate(split)


@pytest.mark.parametrize("select", ["best", "last"])
def test_the_epochs_are_those_of_the_kept_epoch(select, on_disk, tmp_path):
    training = SHORT.replace(select=select, epochs=3, evaluate_every=2)
    ended = run_experiment(experiment(on_disk, training=training), out=tmp_path / "run").result
    assert refit(tmp_path / "run").result["epochs"] == (3 if select == "last" else ended["best_epoch"])


@pytest.mark.parametrize("baseline", ["popularity", "item-knn"])
def test_baselines_are_fitted_to_everything_too(baseline, on_disk, tmp_path):
    run_experiment(experiment(on_disk, model=Component(baseline)), out=tmp_path / "run")
    fitted = refit(tmp_path / "run", tmp_path / "final")
    assert load_run(tmp_path / "final").recommend("user 1", 3) == fitted.recommend("user 1", 3)
    if baseline == "popularity":
        counts = np.bincount(DATA.interactions.items, minlength=DATA.n_items)
        assert fitted.scorer()(torch.tensor([0]))[0].tolist() == counts.tolist()
    assert (fitted.result["epochs"], fitted.result["selected"]) == (0, None)


@pytest.mark.parametrize("again", ["refit", "resume"])
def test_a_killed_final_fit_resumes_bit_for_bit(again, on_disk, tmp_path):
    run_experiment(experiment(on_disk, training=SHORT.replace(select="last")), out=tmp_path / "run")
    whole = refit(tmp_path / "run", tmp_path / "whole")
    with pytest.raises(Killed):
        refit(tmp_path / "run", tmp_path / "final", callbacks=[KillAt(epoch=3, step=1)])
    if again == "refit":
        resumed = refit(tmp_path / "run", tmp_path / "final", resume=True)
    else:  # the folder itself knows what it repeats
        settings = run_dir.read_experiment(tmp_path / "final")
        resumed = run_experiment(settings, out=tmp_path / "final", resume=True)
    assert same(state(whole.model), state(resumed.model))
    assert resumed.result["refit"] == whole.result["refit"]


def test_a_final_fit_of_another_run_is_not_resumed(run, on_disk, tmp_path):
    training = SHORT.replace(patience=3)  # another run, whose final fit has the same bits
    run_experiment(experiment(on_disk, training=training), out=tmp_path / "other")
    refit(run, tmp_path / "final")
    with pytest.raises(ValueError, match=f"{re.escape(str(tmp_path / 'final'))} holds"):
        refit(tmp_path / "other", tmp_path / "final", resume=True)
    settings, dataset, origin = final_fit(run)
    run_experiment(settings, dataset, tmp_path / "plain")
    with pytest.raises(ValueError, match="holds a run that is no final fit, not the final fit of"):
        run_experiment(settings, dataset, tmp_path / "plain", resume=True, origin=origin)
    moved = replace(origin, run="/elsewhere", identity="another")
    with pytest.raises(ValueError, match=f"holds the final fit of {re.escape(str(run))}, not the final fit of /else"):
        run_experiment(settings, dataset, tmp_path / "final", resume=True, origin=moved)


def test_overwriting_a_final_fit_by_a_plain_run_leaves_no_trace_of_it(run, on_disk, tmp_path):
    refit(run, tmp_path / "final")
    run_experiment(experiment(on_disk), out=tmp_path / "final", overwrite=True)
    assert load_run(tmp_path / "final").result["refit"] is None
    with pytest.raises(FileExistsError, match="already holds a run"):
        refit(run, tmp_path / "final")
    assert refit(run, tmp_path / "final", overwrite=True).result["refit"]["run"] == str(run)


@pytest.mark.parametrize("in_memory", [True, False])
def test_newer_data_of_the_same_shop_are_allowed_and_said(in_memory, run, tmp_path, caplog):
    newer = block_dataset(blocks=3, users=9, items=6)
    mmrec.write(newer, tmp_path / "newer")
    fitted = refit(run, tmp_path / "final", data=newer if in_memory else str(tmp_path / "newer"))
    assert fitted.dataset.interactions.count("train") == len(newer.interactions)
    said = (
        f"'{fitted.dataset.name}' now holds other data than {run} was trained on, whose number of epochs, "
        f"{fitted.result['epochs']}, is used all the same"
    )
    assert fitted.result["warnings"] == [said]
    assert [record.getMessage() for record in caplog.records].count(said) == 1
    assert fitted.result["refit"]["other_data"]


def test_the_same_data_at_another_path_are_not_other_data(on_disk, tmp_path):
    run = tmp_path / "run"
    run_experiment(experiment(on_disk), out=run)
    moved = on_disk.rename(tmp_path / "moved")
    with pytest.raises(FileNotFoundError):
        refit(run, tmp_path / "final")
    assert not refit(run, tmp_path / "final", data=str(moved)).result["refit"]["other_data"]


def test_data_that_changed_without_being_named_are_refused(on_disk, tmp_path):
    run = tmp_path / "run"
    run_experiment(experiment(on_disk), out=run)
    shutil.rmtree(on_disk)
    mmrec.write(block_dataset(blocks=3, users=9, items=6), on_disk)
    with pytest.raises(ValueError, match="trained on other data"):
        refit(run, tmp_path / "final")
    assert not (tmp_path / "final").exists()
    assert refit(run, tmp_path / "final", data=str(on_disk)).result["refit"]["other_data"]


def test_a_final_fit_can_be_repeated_and_remembers_the_first_run(run, tmp_path):
    first = refit(run, tmp_path / "first")
    second = refit(tmp_path / "first", tmp_path / "second")
    assert same(state(first.model), state(second.model))
    origin = second.result["refit"]
    assert (origin["run"], origin["test"]) == (str(tmp_path / "first"), {})
    assert origin["refit"] == first.result["refit"]


def test_what_cannot_be_refitted_is_one_line(run, on_disk, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no finished run"):
        refit(tmp_path / "nothing", tmp_path / "final")
    with pytest.raises(ValueError, match="is the run that is to be refitted; choose another folder"):
        refit(run, run, overwrite=True)
    with pytest.raises(Killed):
        run_experiment(experiment(on_disk), out=tmp_path / "killed", callbacks=[KillAt(epoch=2, step=1)])
    with pytest.raises(FileNotFoundError, match=r"killed holds no finished run \(no result.json\)"):
        refit(tmp_path / "killed", tmp_path / "final")
    diverging = experiment(on_disk, optimizer=Component("sgd", {"lr": 1e30}))
    with pytest.raises(DivergedError):
        run_experiment(diverging, out=tmp_path / "diverged")
    with pytest.raises(FileNotFoundError, match="diverged holds no finished run"):
        refit(tmp_path / "diverged", tmp_path / "final")
    assert not (tmp_path / "final").exists()


def test_runs_over_windows_are_refitted_one_by_one(tmp_path):
    rows = [f"u{user},i{(user + day) % 7},2024-01-{day + 1:02d}" for user in range(5) for day in range(6)]
    (tmp_path / "clicks.csv").write_text("\n".join(["user,item,time", *rows]) + "\n")
    (tmp_path / "dataset.toml").write_text(
        'interactions = "clicks.csv"\nuser_column = "user"\nitem_column = "item"\ntime_column = "time"\n'
        '[split]\nmethod = "time"\nvalid_from = 2024-01-03\ntest_from = 2024-01-05\nwindows = 2\n'
    )
    chosen = Experiment(data=str(tmp_path / "dataset.toml"), model=Component("popularity"))
    run_windows(chosen, load_data(tmp_path / "dataset.toml"), tmp_path / "windows")
    with pytest.raises(FileNotFoundError, match=r"holds runs over 2 windows; name one of them"):
        refit(tmp_path / "windows", tmp_path / "final")
    fitted = refit(tmp_path / "windows" / "window-2", tmp_path / "final")
    assert fitted.dataset.interactions.count("train") == 30
    assert fitted.scorer()(torch.tensor([0]))[0].sum() == 30


def test_a_damaged_record_of_the_origin_is_noticed(run, tmp_path):
    with pytest.raises(Killed):
        refit(run, tmp_path / "final", callbacks=[KillAt(epoch=1, step=1)])
    path = tmp_path / "final" / ORIGIN
    path.write_text(path.read_text().replace('"other_data": false', '"other_data": true'))
    with pytest.raises(ValueError, match="refit.json is damaged"):
        refit(run, tmp_path / "final", resume=True)
    path.write_text(seal({"run": "x"}) + "\n")
    with pytest.raises(ValueError, match=r"refit.json is damaged \(it holds other keys"):
        refit(run, tmp_path / "final", resume=True)


def test_a_run_of_data_in_memory_needs_them_again(tmp_path):
    flatrec.fit(DATA, Mine, "plain", training=SHORT, out=tmp_path / "run", model_settings={"embedding_dim": 4})
    with pytest.raises(ValueError, match="data in memory"):
        flatrec.refit(tmp_path / "run", tmp_path / "final", model=Mine)
    fitted = flatrec.refit(tmp_path / "run", tmp_path / "final", data=DATA, model=Mine)
    assert isinstance(fitted.model, Mine)
    assert load_run(tmp_path / "final", DATA, model=Mine).recommend("user 0", 3) == fitted.recommend("user 0", 3)


class FirstPlace(Metric):
    """A metric of the user's own: whether the first item of a list is a hit."""

    higher_is_better = True

    def compute(self, lists):
        return lists.hits[:, 0].double()


@pytest.mark.parametrize(("metrics", "stay"), [(["ndcg"], ("ndcg",)), ([], Evaluation().metrics)])
def test_metrics_of_ones_own_fall_away_as_nothing_is_scored(metrics, stay, on_disk, tmp_path, monkeypatch):
    monkeypatch.setattr(user_classes, "_loaded", [])
    evaluation = Evaluation(metrics=import_metrics([FirstPlace, *metrics]))
    training = SHORT.replace(monitor="FirstPlace@5")
    run_experiment(experiment(on_disk, evaluation=evaluation, training=training), out=tmp_path / "run")
    user_classes._loaded.clear()  # as in a new process, in which the class is not named
    fitted = refit(tmp_path / "run", tmp_path / "final")
    assert tuple(fitted.result["settings"]["evaluation"]["metrics"]) == stay
    assert "FirstPlace@5" in fitted.result["refit"]["valid"]


def test_new_items_are_held_out_of_a_final_fit_as_of_any_run(on_disk, tmp_path):
    vbpr = Component("vbpr", {"embedding_dim": 4})
    run_experiment(experiment(on_disk, model=vbpr), out=tmp_path / "run")
    refit(tmp_path / "run", tmp_path / "final")
    loaded, settings = load_run(tmp_path / "final"), run_dir.read_experiment(tmp_path / "final")
    result = evaluate_cold_start(loaded, settings, tmp_path / "final" / "cold", fraction=0.2)
    assert result.n_items == round(0.2 * DATA.n_items)


def test_all_interactions_can_be_trained_on_without_a_run_to_repeat(on_disk, tmp_path):
    chosen = experiment(on_disk, training=SHORT.replace(select="last"), split=SplitSettings(method="none"))
    trained = run_experiment(chosen, out=tmp_path / "run")
    assert (trained.result["valid"], trained.result["test"], trained.result["refit"]) == ({}, {}, None)
    loaded = load_run(tmp_path / "run")
    assert loaded.recommend("user 0", 3) == trained.recommend("user 0", 3)
    with pytest.raises(ValueError, match="the test split has no interaction"):
        loaded.evaluate("test")


@pytest.mark.parametrize("kind", ["ema", "aswa"])
def test_the_average_of_a_run_is_kept_and_its_final_fit_averages_without_validation(on_disk, tmp_path, kind):
    chosen = run_experiment(
        experiment(on_disk, training=SHORT.replace(average=kind, average_start=1)), out=tmp_path / "run"
    )
    again = load_run(tmp_path / "run")
    assert again.evaluate("valid").metrics == chosen.result["valid"]
    final = refit(tmp_path / "run", tmp_path / "final")
    assert final.result["epochs"] == chosen.result["best_epoch"] > 1
    assert final.result["settings"]["training"]["average"] == {"ema": "ema", "aswa": "swa"}[kind]
