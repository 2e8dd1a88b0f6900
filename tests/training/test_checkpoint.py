"""Checkpoints are whole, ours, and free of pickle."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from flatrec.training import checkpoint, optimizers
from flatrec.training.checkpoint import Checkpoint


def saved(folder):
    path = folder / "checkpoint.safetensors"
    checkpoint.save(path, Checkpoint({"model.a": torch.arange(3.0), "model.b.c": torch.ones(2, 2)}, {"epoch": 4}))
    return path


def test_round_trip(tmp_path):
    loaded = checkpoint.load(saved(tmp_path))
    assert loaded.facts["epoch"] == 4
    assert torch.equal(checkpoint.part(loaded, "model")["b.c"], torch.ones(2, 2))
    assert set(checkpoint.part(loaded, "model")) == {"a", "b.c"}


def test_what_is_read_begins_where_fresh_tensors_do(tmp_path):
    tensors = {str(size): torch.arange(size, dtype=torch.float32) for size in (1, 3, 5, 17)}
    checkpoint.save(tmp_path / "c.safetensors", Checkpoint(tensors, {}))
    read = checkpoint.load(tmp_path / "c.safetensors").tensors
    assert {one.data_ptr() % 64 for one in (*tensors.values(), *read.values())} == {0}


def test_the_json_beside_it_holds_the_facts_for_people(tmp_path):
    saved(tmp_path)
    assert json.loads((tmp_path / "checkpoint.json").read_text())["epoch"] == 4


def test_files_are_as_readable_as_any_other(tmp_path):
    other = tmp_path / "other"
    other.write_text("")
    assert saved(tmp_path).stat().st_mode == other.stat().st_mode


def test_a_view_and_its_base_can_be_saved_together(tmp_path):
    base = torch.arange(6.0)
    path = tmp_path / "checkpoint.safetensors"
    checkpoint.save(path, Checkpoint({"base": base, "view": base.view(2, 3).T}, {}))
    assert torch.equal(checkpoint.load(path).tensors["view"], base.view(2, 3).T)


def test_a_missing_checkpoint_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="train first"):
        checkpoint.load(tmp_path / "checkpoint.safetensors")


@pytest.mark.parametrize("size", [0, 4, 50, -1])
def test_a_truncated_checkpoint_is_refused(tmp_path, size):
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match="truncated"):
        checkpoint.load(path)


def test_a_pickle_is_refused_and_not_run(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    touched = tmp_path / "touched"

    class Hostile:
        def __reduce__(self):
            return (open, (str(touched), "w"))

    path.write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(ValueError, match="not a safetensors file"):
        checkpoint.load(path)
    assert not touched.exists()


@pytest.mark.parametrize("metadata", [None, {"flatrec": "[]"}, {"flatrec": '{"format": "other"}'}])
def test_a_foreign_safetensors_file_is_refused(tmp_path, metadata):
    path = tmp_path / "checkpoint.safetensors"
    save_file({"a": torch.ones(1)}, path, metadata=metadata)
    with pytest.raises(ValueError, match="a run that flatrec wrote"):
        checkpoint.load(path)


def test_metadata_that_is_not_json_is_refused(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_file({"a": torch.ones(1)}, path, metadata={"flatrec": "{"})
    with pytest.raises(ValueError, match="train again"):
        checkpoint.load(path)


@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop", "adagrad", "adamw", "nadam", "asgd", "rprop"])
def test_optimizer_state_survives_bit_for_bit(tmp_path, name):
    options = {"momentum": 0.9} if name == "sgd" else {}

    def steps(parameter, optimizer, numbers):
        for number in numbers:
            parameter.grad = torch.linspace(-1, number + 1, 5)
            optimizer.step()

    whole = torch.nn.Parameter(torch.ones(5))
    steps(whole, optimizers.make(name, [whole], options), range(6))
    part = torch.nn.Parameter(torch.ones(5))
    before = optimizers.make(name, [part], options)
    steps(part, before, range(3))
    tensors, facts = checkpoint.optimizer_tensors(before)
    checkpoint.save(tmp_path / "o.safetensors", Checkpoint(tensors, {"optimizer": facts}))
    loaded = checkpoint.load(tmp_path / "o.safetensors")
    after = optimizers.make(name, [part], options)
    checkpoint.restore_optimizer(after, loaded.tensors, loaded.facts["optimizer"])
    steps(part, after, range(3, 6))
    assert torch.equal(part, whole)
