"""What a run folder does with files that are damaged, gone, of another run, or in the way."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from flatrec import config
from flatrec.api import fit, load_run, run_experiment
from flatrec.config import Component, Evaluation, Experiment, Training
from flatrec.testing import block_dataset
from flatrec.training import checkpoint
from flatrec.training.checkpoint import Checkpoint
from flatrec.utils.integrity import COMMENT, MANIFEST, read_sealed, seal_text, update_manifest
from tests.training.kills import KillAt, Killed

DATA = block_dataset(blocks=3, users=8, items=6)
SHORT = Training(epochs=3, batch_size=32, loggers=(), monitor="ndcg@5")
BASE = Experiment(
    data="", model=Component("bpr", {"embedding_dim": 4}), strategy=Component("bsam", {}), training=SHORT, device="cpu"
)
FILES = ["experiment.toml", "data.json", "epochs.jsonl", "result.json", "checkpoint.safetensors", "checkpoint.json"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    run_experiment(BASE, DATA, out)
    return out


@pytest.fixture
def run(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def resume(out, experiment=BASE):
    return run_experiment(experiment, DATA, out, resume=True)


def flip(path, bit):
    content = bytearray(path.read_bytes())
    content[bit // 8 % len(content)] ^= 1 << (bit % 8)
    path.write_bytes(content)


def test_a_finished_run_is_taken_up_as_it_is(run):
    assert load_run(run, DATA).evaluate("test").metrics == read_sealed(run / "result.json", advice="")["test"]


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
@pytest.mark.parametrize("bit", [3, 1001, 4444])
def test_a_flipped_bit_in_any_file_of_a_finished_run_is_refused(run, name, bit):
    flip(run / name, bit)
    with pytest.raises(ValueError, match=rf"{name}.* is (damaged|truncated|not)") as error:
        load_run(run, DATA)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("name", ["experiment.toml", "data.json", "epochs.jsonl", "checkpoint.safetensors"])
@pytest.mark.parametrize("bit", [3, 1001, 4444])
def test_a_flipped_bit_is_refused_where_there_is_no_manifest_yet(run, name, bit):
    for path in (MANIFEST, "result.json"):
        (run / path).unlink()
    flip(run / name, bit)
    with pytest.raises(ValueError, match=name) as error:
        resume(run)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_a_finished_run_that_is_gone_is_missed(run, name):
    (run / name).unlink()
    with pytest.raises((ValueError, FileNotFoundError), match=name):
        load_run(run, DATA)


def files(run):
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path != run / MANIFEST}


@pytest.mark.parametrize("name", ["checkpoint.safetensors", "epochs.jsonl"])
def test_a_resume_says_what_is_gone_and_does_not_begin_again(run, name):
    (run / name).unlink()
    before = files(run)
    with pytest.raises(ValueError, match=rf"{name}.*put.*back.*or train again with --overwrite"):
        resume(run, BASE.replace(training=SHORT.replace(epochs=5)))
    assert files(run).keys() == before.keys()
    assert files(run)[run / "checkpoint.json"] == before[run / "checkpoint.json"]
    assert (run / "recommender").is_dir()


def test_lost_lines_of_the_record_are_missed_on_resume(run):
    lines = (run / "epochs.jsonl").read_text().splitlines(keepends=True)
    (run / "epochs.jsonl").write_text("".join(lines[:-1]))
    with pytest.raises(ValueError, match=r"epochs\.jsonl holds 2 epochs, but checkpoint\.safetensors .* is of epoch 3"):
        resume(run)


@pytest.mark.parametrize(("epoch", "step"), [(None, None), (1, 1)])
def test_a_run_that_was_killed_in_its_first_epoch_begins_with_a_resume(finished, tmp_path, epoch, step):
    class AtOnce(KillAt):
        def on_start(self, *_):
            if self.epoch is None:
                raise Killed

    with pytest.raises(Killed):
        run_experiment(BASE, DATA, tmp_path / "run", callbacks=[AtOnce(epoch, step)])
    resume(tmp_path / "run")
    content = (tmp_path / "run" / "checkpoint.safetensors").read_bytes()
    assert content == (finished / "checkpoint.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seed": 1}, "seed 1 instead of 0"),
        ({"strategy": Component("sam", {})}, "strategy 'sam' instead of 'bsam'"),
        ({"strategy": Component("bsam", {"rho": 0.2})}, "settings .* instead of"),
        ({"training": SHORT.replace(batch_size=16)}, "settings .* instead of"),
    ],
)
def test_a_checkpoint_of_another_run_is_taken_neither_to_score_nor_to_go_on(run, tmp_path, changes, says):
    run_experiment(BASE.replace(**changes), DATA, tmp_path / "other")
    (run / MANIFEST).unlink()
    shutil.copy(tmp_path / "other" / "checkpoint.safetensors", run)
    for take in (lambda: load_run(run, DATA), lambda: resume(run)):
        with pytest.raises(ValueError, match=rf"checkpoint\.safetensors belongs to another run \(.*{says}"):
            take()


@pytest.mark.parametrize("name", ["result.json", "epochs.jsonl"])
def test_other_files_of_another_run_are_refused(run, tmp_path, name):
    run_experiment(BASE.replace(seed=1), DATA, tmp_path / "other")
    (run / MANIFEST).unlink()
    shutil.copy(tmp_path / "other" / name, run)
    with pytest.raises(ValueError, match=rf"{name}.* belongs to another run"):
        load_run(run, DATA) if name == "result.json" else resume(run)


def crafted(run, change):
    """A checkpoint with a right digest and wrong content, as somebody who knows the format could write it."""
    (run / MANIFEST).unlink()
    saved = checkpoint.load(run / "checkpoint.safetensors")
    metadata = {key: value for key, value in saved.metadata.items() if key != "format"}
    tensors = {name: one.clone() for name, one in saved.tensors.items()}
    change(tensors, metadata)
    checkpoint.save(run / "checkpoint.safetensors", Checkpoint(tensors, metadata))


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_crafted_weight_that_is_not_finite_is_refused(run, value):
    def spoil(tensors, _metadata):
        for name, one in tensors.items():
            if name.startswith(("model.", "best.")):
                one.view(-1)[5] = value

    crafted(run, spoil)
    for take in (lambda: load_run(run, DATA), lambda: resume(run)):
        with pytest.raises(ValueError, match="holds a weight that is not finite"):
            take()


@pytest.mark.parametrize(
    ("name", "make", "says"),
    [
        ("optimizer.0.exp_avg", lambda _: torch.zeros(1, 4), r"0\.exp_avg is \(1, 4\)"),
        ("optimizer.0.exp_avg", lambda one: one.double(), "torch.float64 instead of"),
        ("optimizer.0.exp_avg", None, r"0\.exp_avg is missing"),
        ("model.nodes", lambda one: one[:-1], "instead of"),
        ("model.nodes", lambda one: one.double(), "torch.float64 instead of"),
    ],
)
def test_crafted_tensors_of_another_name_shape_or_type_are_refused(run, name, make, says):
    def spoil(tensors, _metadata):
        if make is None:
            del tensors[name]
        else:
            tensors[name] = make(tensors[name]).contiguous()

    crafted(run, spoil)
    with pytest.raises(ValueError, match=says):
        resume(run)


@pytest.mark.parametrize(
    "progress",
    [
        5,
        None,
        {"epoch": "3"},
        {"epoch": 3, "other": 1},
        {"epoch": 10**30},
        {"epoch": 3, "stopped": "yes"},
        {"epoch": -1},
        {"epoch": 3, "best_epoch": 99},
    ],
)
def test_crafted_progress_is_refused_in_one_line(run, progress):
    crafted(run, lambda _tensors, metadata: metadata.update(progress=progress))
    with pytest.raises(ValueError, match=r"checkpoint\.safetensors"):
        resume(run)


@pytest.mark.parametrize("name", ["data.json", MANIFEST])
def test_numbers_that_json_cannot_say_are_damage_like_any_other(run, name):
    (run / name).write_text('{"a": NaN, "digest": "x"}')
    with pytest.raises(ValueError, match=rf"{name} is damaged"):
        load_run(run, DATA)


def test_crafted_facts_of_an_optimizer_are_refused(run):
    crafted(run, lambda _tensors, metadata: metadata.update(optimizer=[1]))
    with pytest.raises(ValueError, match=r"checkpoint\.safetensors: it holds no metadata of its optimizer"):
        resume(run)


def test_runs_from_before_digests_are_refused_in_one_line(run):
    (run / MANIFEST).unlink()
    for name in ("result.json", "data.json"):
        values = json.loads((run / name).read_text())
        del values["digest"]
        (run / name).write_text(json.dumps(values))
    with pytest.raises(ValueError, match=r"has no digest: it was edited, or written by a flatrec from before digests"):
        load_run(run, DATA)


def test_settings_that_were_edited_in_the_folder_are_not_taken(run):
    (run / MANIFEST).unlink()
    path = run / "experiment.toml"
    path.write_text(path.read_text().replace("epochs = 3", "epochs = 4"))
    for take in (lambda: load_run(run, DATA), lambda: resume(run)):
        with pytest.raises(ValueError, match=r"experiment\.toml is damaged or was edited"):
            take()


def test_the_written_settings_still_run_elsewhere(run):
    assert run_experiment(config.read(run / "experiment.toml"), DATA).result["seed"] == 0


def test_a_result_written_before_a_kill_took_the_manifest_is_taken(run):
    (run / MANIFEST).unlink()
    assert load_run(run, DATA).result["test"]
    resume(run)
    assert (run / MANIFEST).exists()


def test_a_new_run_may_begin_with_the_weights_of_another_on_purpose(run):
    before = load_run(run, DATA)
    weights = before.model.nodes.detach().clone()
    after = fit(DATA, before.model, "plain", training=SHORT.replace(epochs=1), optimizer_settings={"lr": 1e-9})
    assert torch.allclose(after.model.nodes.detach(), weights, atol=1e-6)


@pytest.mark.parametrize("name", [*FILES, MANIFEST, ".lock", "tensorboard", "logs"])
def test_links_in_the_way_are_refused_and_not_followed(tmp_path, name):
    out, victim = tmp_path / "run", tmp_path / "victim"
    out.mkdir()
    victim.write_text("precious")
    (out / name).symlink_to(victim)
    with pytest.raises(OSError, match=rf"cannot write .*{name}: it is a symbolic link"):
        run_experiment(BASE, DATA, out)
    assert victim.read_text() == "precious"
    assert [path.name for path in out.iterdir()] == [name]


def test_a_link_to_the_folder_itself_is_fine(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    run_experiment(BASE, DATA, tmp_path / "run")
    assert load_run(tmp_path / "disk", DATA).result["test"]


def test_runs_that_were_recorded_before_metrics_could_be_chosen_have_the_same_settings():
    assert Evaluation().decisive == {"ks": (5, 10, 20), "mask": "train"}
    assert Evaluation(metrics=("recall",), unknown_users="exclude").decisive == {
        "ks": (5, 10, 20),
        "mask": "train",
        "metrics": ("recall",),
        "unknown_users": "exclude",
    }
    own = Evaluation(metrics=("recall", "some/mine.py:Mine@0123456789abcdef"))
    assert own.decisive["metrics"] == ("recall", "Mine@0123456789abcdef")


@pytest.mark.parametrize(("before", "now"), [("true", ("tensorboard",)), ("false", ())])
def test_a_run_that_recorded_the_former_name_of_loggers_is_taken_up_and_goes_on(run, before, now):
    text = (run / "experiment.toml").read_text(encoding="utf-8").partition(COMMENT)[0]
    assert "loggers = []" in text
    written = text.replace("loggers = []", f"tensorboard = {before}").replace("log_recommender = false\n", "")
    (run / "experiment.toml").write_text(seal_text(written), encoding="utf-8")
    update_manifest(run, ["experiment.toml"], advice="")

    assert load_run(run, DATA).result["test"]
    assert config.read(run / "experiment.toml").training.loggers == now
    longer = BASE.replace(training=SHORT.replace(epochs=4))
    assert resume(run, longer).result["epochs"] == 4
