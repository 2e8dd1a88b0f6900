"""Runs that start from an earlier one: what they begin with, what they say, and that a kill loses nothing."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import pytest
import torch

import flatrec
from flatrec.api import load_run, run_experiment
from flatrec.config import Component, Experiment, SplitSettings, Training
from flatrec.data.formats import mmrec
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.storage import FOLDER
from flatrec.models import BPR
from flatrec.runs import run_dir, warm_start
from flatrec.runs.transfer import take_parameters
from flatrec.testing import block_dataset
from tests.training.kills import KillAt, Killed

SHORT = Training(epochs=3, batch_size=32, loggers=(), monitor="ndcg@20")
SETTINGS = {"embedding_dim": 4}
DATA = block_dataset(blocks=3, users=8, items=6)


def renamed(dataset, users, items):
    return replace(dataset, users=Vocabulary("user", users), items=Vocabulary("item", items), features={})


# Two users and two items are new, two are gone, and all stand elsewhere.
LATER = renamed(
    DATA,
    [*(f"user {number}" for number in reversed(range(2, 24))), "new a", "new b"],
    ["new c", "new d", *(f"item {number}" for number in reversed(range(2, 18)))],
)


def fit(data, out, **options):
    return flatrec.fit(data, "lightgcn", "bsam+", training=SHORT, model_settings=SETTINGS, seed=3, out=out, **options)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """A finished run whose data are gone."""
    folder = tmp_path_factory.mktemp("earlier") / "run"
    fit(DATA, folder)
    return folder


@pytest.fixture(scope="module")
def warm(earlier, tmp_path_factory):
    """A run on other data that started from it."""
    folder = tmp_path_factory.mktemp("warm") / "run"
    return fit(LATER, folder, init_from=earlier), folder


def unread(*_):
    raise AssertionError("the data of the earlier run are not needed")


def parameters(run):
    return run.model.state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_training_begins_with_the_rows_of_the_earlier_run(earlier):
    trained = load_run(earlier, DATA).model.nodes.detach()
    model, untouched = (flatrec.models.LightGCN(LATER, flatrec.models.LightGCN.Config(**SETTINGS)) for _ in range(2))
    untouched.load_state_dict(model.state_dict())
    take_parameters(earlier, None, model, LATER, resume=False, load=unread)
    for row, user in enumerate(LATER.users):
        known = user in DATA.users
        assert torch.equal(model.nodes[row], trained[DATA.users.index_of(user)] if known else untouched.nodes[row])
    for row, item in enumerate(LATER.items, start=24):
        known = item in DATA.items
        assert torch.equal(model.nodes[row], trained[24 + DATA.items.index_of(item)] if known else untouched.nodes[row])


def test_the_result_and_a_line_say_what_was_taken(earlier, warm, caplog, tmp_path):
    run, folder = warm
    said = run.result["init_from"]
    assert (said["run"], said["identity"]) == (str(earlier), run_dir.recorded_identity(earlier))
    assert said["users"] == {"taken": 22, "new": 2, "dropped": 2}
    assert said["items"] == {"taken": 16, "new": 2, "dropped": 2}
    assert said["initial"] == ()
    assert json.loads((folder / "result.json").read_text())["init_from"]["users"] == said["users"]
    fit(LATER, tmp_path / "run", init_from=earlier)
    line = (
        f"training starts from the parameters of {earlier} for 22 of 24 users (2 new, 2 gone) and 16 of 18 items "
        "(2 new, 2 gone); the optimizer starts fresh"
    )
    assert [record.getMessage() for record in caplog.records].count(line) == 1
    assert load_run(earlier, DATA).result["init_from"] is None


def test_a_warm_run_is_another_run_than_a_cold_one_and_can_be_loaded(warm, tmp_path):
    run, folder = warm
    cold = fit(LATER, tmp_path / "cold")
    assert run_dir.recorded_identity(folder) != run_dir.recorded_identity(tmp_path / "cold")
    assert not same(parameters(run), parameters(cold))
    assert same(parameters(load_run(folder, LATER)), parameters(run))
    shutil.copy(tmp_path / "cold" / "checkpoint.safetensors", folder.parent / "other")
    with pytest.raises(ValueError, match="holds a run that began with initial parameters, not with those of"):
        fit(LATER, tmp_path / "cold", resume=True, init_from=folder)


def test_the_earlier_run_needs_neither_its_data_nor_its_class(tmp_path):
    source = tmp_path / "mine.py"
    source.write_text("from flatrec.models import BPR\n\n\nclass Mine(BPR):\n    pass\n")
    mmrec.write(DATA, tmp_path / "data")
    first = Experiment(data=str(tmp_path / "data"), model=Component(f"{source}:Mine", SETTINGS), training=SHORT)
    flatrec.fit(DATA, f"{source}:Mine", "plain", training=SHORT, model_settings=SETTINGS, out=tmp_path / "run")
    assert first.model.name.endswith("Mine")
    source.unlink()
    (tmp_path / "later").mkdir()
    later = tmp_path / "later" / "mine.py"
    later.write_text("from flatrec.models import BPR\n\n\nclass Mine(BPR):\n    '''Edited.'''\n")
    run = flatrec.fit(
        LATER, f"{later}:Mine", "plain", training=SHORT, model_settings=SETTINGS, init_from=tmp_path / "run"
    )
    assert run.result["init_from"]["users"]["taken"] == 22


def test_without_a_recommender_the_data_are_read_and_must_be_the_same(tmp_path):
    mmrec.write(DATA, tmp_path / "data")
    experiment = Experiment(data=str(tmp_path / "data"), model=Component("bpr", SETTINGS), training=SHORT)
    run_experiment(experiment, out=tmp_path / "run", save_recommender=False)
    assert not (tmp_path / "run" / FOLDER).exists()
    run = run_experiment(experiment.replace(seed=1), init_from=tmp_path / "run")
    assert run.result["init_from"]["users"] == {"taken": 24, "new": 0, "dropped": 0}
    shutil.rmtree(tmp_path / "data")
    mmrec.write(block_dataset(blocks=3, users=9, items=6), tmp_path / "data")
    with pytest.raises(ValueError, match="was trained on other data"):
        run_experiment(experiment, init_from=tmp_path / "run")


WRITES = [
    warm_start.VALUES,
    warm_start.RECORD,
    run_dir.DATA,
    run_dir.EXPERIMENT,
    "checkpoint.safetensors",
    "result.json",
]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", WRITES)
def test_a_kill_at_any_file_is_resumed_bit_for_bit(name, moment, earlier, warm, tmp_path, monkeypatch):
    """The first time that a file is written, the process ends before or right after it; the earlier run then goes."""
    copy, out = tmp_path / "earlier", tmp_path / "run"
    shutil.copytree(earlier, copy)
    from flatrec.utils import atomic_write

    replaced = atomic_write.Path.replace

    def killing(path, target):
        if target.name == name and moment == "before":
            raise Killed
        replaced(path, target)
        if target.name == name:
            raise Killed

    monkeypatch.setattr(atomic_write.Path, "replace", killing)
    with pytest.raises(Killed):
        fit(LATER, out, init_from=copy)
    monkeypatch.undo()
    if run_dir.has_run(out):
        shutil.rmtree(copy)
        resumed = fit(LATER, out, resume=True)
        assert resumed.result["init_from"]["identity"] == warm[0].result["init_from"]["identity"]
    else:
        resumed = fit(LATER, out, init_from=copy)
    assert same(parameters(resumed), parameters(warm[0]))
    assert run_dir.recorded_identity(out) == run_dir.recorded_identity(warm[1])
    assert not (out / warm_start.VALUES).exists()


@pytest.mark.parametrize("step", [1, None])
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_kill_at_any_epoch_is_resumed_bit_for_bit(epoch, step, earlier, warm, tmp_path):
    copy, out = tmp_path / "earlier", tmp_path / "run"
    shutil.copytree(earlier, copy)
    with pytest.raises(Killed):
        fit(LATER, out, init_from=copy, callbacks=[KillAt(epoch=epoch, step=step)])
    shutil.rmtree(copy)
    assert same(parameters(fit(LATER, out, resume=True)), parameters(warm[0]))


def test_a_resumed_run_may_be_told_again_where_it_started_from_and_nothing_else(earlier, tmp_path):
    out, copy, other = tmp_path / "run", tmp_path / "copy", tmp_path / "other"
    shutil.copytree(earlier, copy)
    flatrec.fit(DATA, "lightgcn", "plain", training=SHORT, model_settings=SETTINGS, out=other)
    with pytest.raises(Killed):
        fit(LATER, out, init_from=earlier, callbacks=[KillAt(epoch=2, step=1)])
    message = f"{re.escape(str(out))} holds a run that began with the parameters of {re.escape(str(earlier))}, not with"
    with pytest.raises(ValueError, match=message):
        fit(LATER, out, init_from=other, resume=True)
    with pytest.raises(ValueError, match=message):
        fit(LATER, out, init_from=tmp_path / "gone", resume=True)
    fit(LATER, out, init_from=copy, resume=True)  # the same run, moved
    fit(LATER, out, init_from=earlier, resume=True)


def test_an_overwritten_run_may_be_the_one_to_start_from(earlier, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(earlier, out)
    with pytest.raises(Killed):
        fit(LATER, out, init_from=out, overwrite=True, callbacks=[KillAt(epoch=1, step=1)])
    fit(LATER, out, resume=True)
    cold = fit(LATER, out, overwrite=True)
    assert cold.result["init_from"] is None
    assert not (out / warm_start.RECORD).exists()


def test_damage_is_noticed(earlier, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(Killed):
        fit(LATER, out, init_from=earlier, callbacks=[KillAt(epoch=1, step=1)])
    record, values = out / warm_start.RECORD, out / warm_start.VALUES
    text, content = record.read_text(), values.read_bytes()
    record.write_text(text.replace('"taken": 22', '"taken": 23'))
    with pytest.raises(ValueError, match="init-from.json is damaged"):
        fit(LATER, out, resume=True)
    record.write_text(text)
    values.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match="init-from.safetensors is damaged"):
        fit(LATER, out, resume=True)
    values.unlink()
    with pytest.raises(FileNotFoundError, match="init-from.safetensors"):
        fit(LATER, out, resume=True)


@pytest.mark.parametrize("model", ["popularity", "item-knn"])
def test_baselines_neither_start_from_a_run_nor_are_started_from(model, earlier, tmp_path):
    with pytest.raises(ValueError, match="^a baseline has no parameters, so that it cannot start from [^\n]*$"):
        flatrec.fit(LATER, model, init_from=earlier)
    flatrec.fit(DATA, model, out=tmp_path / "run")
    with pytest.raises(ValueError, match=f"is a run of {model}, which has no parameters to start from$"):
        fit(LATER, None, init_from=tmp_path / "run")


def test_what_is_no_finished_run_is_one_line_and_leaves_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no finished run"):
        fit(LATER, tmp_path / "run", init_from=tmp_path / "nothing")
    with pytest.raises(Killed):
        fit(DATA, tmp_path / "killed", callbacks=[KillAt(epoch=2, step=1)])
    with pytest.raises(FileNotFoundError, match="killed holds no finished run"):
        fit(LATER, tmp_path / "run", init_from=tmp_path / "killed")
    assert not (tmp_path / "run").exists()


def test_a_model_object_starts_from_a_run_too(earlier, tmp_path):
    flatrec.fit(DATA, BPR, "plain", training=SHORT, model_settings=SETTINGS, out=tmp_path / "run")
    model = BPR(LATER, BPR.Config(**SETTINGS))
    run = flatrec.fit(LATER, model, "plain", training=SHORT, init_from=tmp_path / "run")
    assert run.result["init_from"]["items"]["taken"] == 16
    with pytest.raises(ValueError, match="is a run of lightgcn, whose parameters bpr cannot start from"):
        flatrec.fit(LATER, model, "plain", training=SHORT, init_from=earlier)


def test_a_final_fit_starts_from_the_last_final_fit(earlier, warm, tmp_path):
    first = flatrec.refit(earlier, tmp_path / "first", data=DATA)
    second = flatrec.refit(warm[1], tmp_path / "second", data=LATER, init_from=tmp_path / "first")
    assert (second.result["init_from"]["run"], second.result["refit"]["run"]) == (
        str(tmp_path / "first"),
        str(warm[1]),
    )
    assert first.result["init_from"] is None
    by_hand = run_experiment(
        run_dir.read_experiment(tmp_path / "second"),
        LATER.split_again(SplitSettings(method="none")),
        init_from=tmp_path / "first",
    )
    assert same(parameters(second), parameters(by_hand))


def test_a_final_fit_of_a_warm_run_does_not_start_cold(warm, tmp_path):
    with pytest.raises(ValueError, match=r"its number of epochs is right for such a beginning alone; name a run"):
        flatrec.refit(warm[1], tmp_path / "final", data=LATER)
    assert not (tmp_path / "final").exists()
    with pytest.raises(Killed):
        flatrec.refit(warm[1], tmp_path / "final", data=LATER, init_from=warm[1], callbacks=[KillAt(epoch=1, step=1)])
    assert flatrec.refit(warm[1], tmp_path / "final", data=LATER, resume=True).result["init_from"]["run"] == str(
        warm[1]
    )
