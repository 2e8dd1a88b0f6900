"""Checkpoints that are written while training goes on: the same files, the same guarantees."""

from __future__ import annotations

import threading

import pytest
import torch

from flatrec.training import checkpoint, checkpoint_writer
from flatrec.training.checkpoint import Checkpoint
from flatrec.training.checkpoint_writer import CheckpointWriter, writes_meanwhile
from flatrec.utils.messages import message
from tests.training.kills import KillAt, Killed
from tests.training.test_trainer import _made, _stable, _tensors, bits, equal, trainer_of, with_norm

CPU = torch.device("cpu")
PATIENCE = 60  # seconds until a test that hangs fails


@pytest.fixture
def meanwhile(monkeypatch):
    """The CPU writes as a GPU does."""
    monkeypatch.setattr(checkpoint_writer, "writes_meanwhile", lambda _: True)


class Gate:
    """Saves that stand still until they are let go on."""

    def __init__(self, monkeypatch):
        self.begun, self.open = threading.Event(), threading.Event()
        self.save = checkpoint.save
        monkeypatch.setattr(checkpoint, "save", self)

    def __call__(self, path, content):
        self.begun.set()
        assert self.open.wait(PATIENCE)
        self.save(path, content)


def content(value):
    return Checkpoint({"model.a": value}, {"epoch": 1})


def read(path):
    return checkpoint.load(path).section("model")["a"]


def test_only_a_gpu_goes_on_while_its_checkpoint_is_written():
    assert [writes_meanwhile(torch.device(name)) for name in ("cpu", "cuda", "cuda:1", "mps")] == [
        False,
        True,
        True,
        False,
    ]


def test_on_the_cpu_a_checkpoint_is_there_at_once(tmp_path):
    threads = threading.active_count()
    with CheckpointWriter(CPU) as writer:
        writer.write(tmp_path / "a.safetensors", content(torch.ones(3)))
        assert read(tmp_path / "a.safetensors").tolist() == [1, 1, 1]
        assert threading.active_count() == threads


@pytest.mark.usefixtures("meanwhile")
def test_what_is_written_is_what_the_tensors_were(tmp_path, monkeypatch):
    gate, value = Gate(monkeypatch), torch.ones(3)
    with CheckpointWriter(CPU) as writer:
        writer.write(tmp_path / "a.safetensors", content(value))
        assert gate.begun.wait(PATIENCE)
        value.zero_()
        assert not (tmp_path / "a.safetensors").exists()
        gate.open.set()
    assert read(tmp_path / "a.safetensors").tolist() == [1, 1, 1]


@pytest.mark.usefixtures("meanwhile")
def test_the_last_of_several_is_what_is_there(tmp_path):
    with CheckpointWriter(CPU) as writer:
        for number in range(5):
            writer.write(tmp_path / "a.safetensors", content(torch.full((3,), float(number))))
    assert read(tmp_path / "a.safetensors").tolist() == [4, 4, 4]
    for number in (7.0, 8.0):  # the same object serves again
        with writer:
            writer.write(tmp_path / "a.safetensors", content(torch.full((1,), number)))
        assert read(tmp_path / "a.safetensors").tolist() == [number]


@pytest.mark.usefixtures("meanwhile")
def test_training_goes_on_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    whole = trainer_of(folder=_made(tmp_path / "whole"), validate=with_norm)
    whole.run()
    trainer = trainer_of(folder=_made(tmp_path / "run"), validate=with_norm)
    gate, heard = Gate(monkeypatch), []

    class Listener(KillAt):
        def on_step(self, epoch, step):
            heard.append((epoch, step, gate.begun.is_set(), gate.open.is_set()))
            if (epoch, step) == (2, 3):
                gate.open.set()  # the checkpoint of epoch 1 stood still until here

    trainer.callbacks = (Listener(),)
    gate.open.set()
    trainer._write_checkpoint({}, {})
    trainer.writer.wait()
    gate.begun.clear()
    gate.open.clear()
    monkeypatch.setattr(trainer, "_write_checkpoint", skipping_first(trainer._write_checkpoint))
    trainer.run()
    assert [known for *at, known, _ in heard if tuple(at) == (1, 1)] == [False]
    assert [still for *at, _, still in heard if tuple(at) == (2, 2)] == [False]
    assert equal(bits(trainer), bits(whole))
    assert _tensors(tmp_path / "run") == _tensors(tmp_path / "whole")
    assert _stable(tmp_path / "run") == _stable(tmp_path / "whole")


def skipping_first(write):
    calls = iter(range(100))
    return lambda *given: next(calls) and write(*given)


@pytest.mark.usefixtures("meanwhile")
@pytest.mark.parametrize("at", [(1, 2), (2, None), (3, 4), (5, None)])
def test_resume_after_a_kill_equals_an_uninterrupted_run(tmp_path, at):
    whole = trainer_of(folder=_made(tmp_path / "whole"), validate=with_norm)
    whole.run()
    folder = _made(tmp_path / "killed")
    with pytest.raises(Killed):
        trainer_of(folder=folder, callbacks=[KillAt(*at)], validate=with_norm).run()
    again = trainer_of(folder=folder, validate=with_norm)
    again.resume()
    again.run()
    assert equal(bits(again), bits(whole))
    assert _stable(folder) == _stable(tmp_path / "whole")
    assert _tensors(folder) == _tensors(tmp_path / "whole")


@pytest.mark.usefixtures("meanwhile")
def test_lines_may_be_ahead_of_a_checkpoint_that_was_never_finished(tmp_path, monkeypatch):
    """A process that is killed while a checkpoint is written leaves the one before, and the lines of later epochs."""
    whole = trainer_of(folder=_made(tmp_path / "whole"), validate=with_norm)
    whole.run()
    folder = _made(tmp_path / "killed")
    save, calls = checkpoint.save, iter(range(100))

    def save_first(path, given):
        if next(calls) < 3:  # the empty one, and those of two epochs
            save(path, given)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save", save_first)
        with pytest.raises(Killed):
            trainer_of(folder=folder, callbacks=[KillAt(4, 2)], validate=with_norm).run()
    assert len(_stable(folder)) == 3
    again = trainer_of(folder=folder, validate=with_norm)
    again.resume()
    assert again.progress.epoch == 2
    again.run()
    assert equal(bits(again), bits(whole))
    assert _stable(folder) == _stable(tmp_path / "whole")


@pytest.mark.usefixtures("meanwhile")
@pytest.mark.parametrize("failing", [0, 1, 5])
def test_a_full_disk_reaches_the_user_and_leaves_the_checkpoint_before(tmp_path, monkeypatch, failing):
    folder = _made(tmp_path / "run")
    save, calls = checkpoint.save, iter(range(100))

    def full(path, given):
        if next(calls) >= failing:
            raise OSError(f"cannot write {path}: the disk is full; free some space or choose another folder")
        save(path, given)

    trainer = trainer_of(folder=folder, validate=with_norm)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save", full)
        with pytest.raises(OSError, match="the disk is full; free some space") as refused:
            trainer.run()
    assert "\n" not in message(refused.value)
    if failing == 0:
        assert not list(folder.iterdir())
        return
    again = trainer_of(folder=folder, validate=with_norm)
    again.resume()
    assert again.progress.epoch == failing - 1
    again.run()
    whole = trainer_of(folder=_made(tmp_path / "whole"), validate=with_norm)
    whole.run()
    assert equal(bits(again), bits(whole))


@pytest.mark.usefixtures("meanwhile")
def test_an_error_of_training_is_not_hidden_by_one_of_writing(tmp_path, monkeypatch, caplog):
    def full(*_):
        raise OSError("cannot write: the disk is full")

    def train():
        with CheckpointWriter(CPU) as writer:
            writer.write(tmp_path / "a.safetensors", content(torch.ones(1)))
            raise Killed

    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(Killed):
        train()
    assert caplog.messages == ["cannot write: the disk is full"]
