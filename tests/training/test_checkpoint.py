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
    assert loaded.metadata["epoch"] == 4
    assert torch.equal(loaded.section("model")["b.c"], torch.ones(2, 2))
    assert set(loaded.section("model")) == {"a", "b.c"}


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


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("{", "is not a 'flatrec checkpoint 2' file"),
        ('{"format": "flatrec checkpoint 1"}', "was written by a version without digests.*train again"),
        ('{"format": "flatrec checkpoint 2"', "is damaged.*train again"),
        ('{"format": "flatrec checkpoint 2"}', "has no digest.*train again"),
    ],
)
def test_metadata_that_we_did_not_write_is_refused_in_one_line(tmp_path, metadata, message):
    path = tmp_path / "checkpoint.safetensors"
    save_file({"a": torch.ones(1)}, path, metadata={"flatrec": metadata})
    with pytest.raises(ValueError, match=rf"checkpoint\.safetensors.*{message}") as error:
        checkpoint.load(path)
    assert len(str(error.value)) < 500


def test_no_flipped_bit_is_taken_for_a_weight(tmp_path):
    path = saved(tmp_path)
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), 3):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"checkpoint\.safetensors") as error:
            checkpoint.load(path)
        assert len(str(error.value)) < 500


def test_equal_checkpoints_have_equal_bytes_and_facts_may_be_any(tmp_path):
    contents = set()
    for number in range(8):
        path = tmp_path / f"{number}.safetensors"
        checkpoint.save(path, Checkpoint({"b": torch.ones(2), "a": torch.zeros(())}, {"größe": [1, None, 0.1]}))
        contents.add(path.read_bytes())
    assert len(contents) == 1
    assert checkpoint.load(path).metadata["größe"] == [1, None, 0.1]


def weight(rows=3):
    return torch.nn.Parameter(torch.ones(rows, 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state | {"0.exp_avg": torch.zeros(1, 2)},
            r"0\.exp_avg is \(1, 2\) of torch\.float32 instead of",
        ),
        (lambda state: state | {"0.exp_avg_sq": torch.zeros(3, 2).double()}, "of torch.float64 instead of"),
        (lambda state: {name: one for name, one in state.items() if name != "0.step"}, r"0\.step is missing"),
        (lambda _state: {}, "is missing"),
        (lambda state: state | {"7.exp_avg": torch.zeros(3, 2)}, r"7\.exp_avg is unknown"),
    ],
)
def test_a_crafted_optimizer_state_is_refused_and_changes_nothing(change, message):
    parameter = weight()
    optimizer = torch.optim.Adam([parameter], fused=True)
    parameter.grad = torch.ones(3, 2)
    optimizer.step()
    tensors, metadata = checkpoint.optimizer_state(optimizer)
    fresh = weight()
    with pytest.raises(ValueError, match=message) as error:
        checkpoint.restore_optimizer(torch.optim.Adam([fresh], fused=True), change(dict(tensors)), metadata)
    assert "train again" in str(error.value)
    assert torch.equal(fresh, weight())
    assert fresh.grad is None


def test_numbers_of_an_optimizer_state_must_have_their_types():
    parameter = weight()
    optimizer = torch.optim.SGD([parameter], momentum=0.9)
    parameter.grad = torch.ones(3, 2)
    optimizer.step()
    tensors, metadata = checkpoint.optimizer_state(optimizer)
    with pytest.raises(ValueError, match="the optimizer's state lacks numbers or has others"):
        checkpoint.restore_optimizer(torch.optim.SGD([weight()], momentum=0.9), tensors, {**metadata, "0.other": "x"})


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_weights_that_are_not_finite_are_noticed(value):
    tensor = torch.ones(4, 4)
    checkpoint.check_finite({"w": tensor, "n": torch.arange(3), "none": torch.ones(0)}, "the checkpoint")
    tensor[2, 1] = value
    with pytest.raises(ValueError, match="the checkpoint holds a weight that is not finite, in w; train again"):
        checkpoint.check_finite({"w": tensor}, "the checkpoint")


@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop", "adagrad", "adamw", "nadam", "asgd", "rprop"])
def test_optimizer_state_survives_bit_for_bit(tmp_path, name):
    options = {"momentum": 0.9} if name == "sgd" else {}

    def steps(parameter, optimizer, numbers):
        for number in numbers:
            parameter.grad = torch.linspace(-1, number + 1, 5)
            optimizer.step()

    whole = torch.nn.Parameter(torch.ones(5))
    steps(whole, optimizers.make(name, [whole], optimizers.settings(name, options)), range(6))
    part = torch.nn.Parameter(torch.ones(5))
    before = optimizers.make(name, [part], optimizers.settings(name, options))
    steps(part, before, range(3))
    tensors, metadata = checkpoint.optimizer_state(before)
    checkpoint.save(tmp_path / "o.safetensors", Checkpoint(tensors, {"optimizer": metadata}))
    loaded = checkpoint.load(tmp_path / "o.safetensors")
    after = optimizers.make(name, [part], optimizers.settings(name, options))
    checkpoint.restore_optimizer(after, loaded.tensors, loaded.metadata["optimizer"])
    steps(part, after, range(3, 6))
    assert torch.equal(part, whole)
