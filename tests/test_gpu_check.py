"""The script that checks a GPU: what it compares, what it says of failures, and its table."""

from __future__ import annotations

import importlib
import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from flatrec.testing import block_dataset
from flatrec.utils import devices
from tests.models.reference.stored import FOLDER as FOLDER_OF_NUMBERS
from tests.models.reference.stored import Case, files

FOLDER = Path(__file__).parents[1] / "benchmarks"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def modules():
    """The scripts as modules, which find each other beside themselves."""
    sys.path.insert(0, str(FOLDER))
    names = ("gpu", "gpu_checks", "gpu_reference", "gpu_setting", "gpu_times")
    yield {name: importlib.import_module(name) for name in names}
    sys.path.remove(str(FOLDER))


def setting(modules, *, names=("bpr",), seconds=60.0, reference=Path("absent"), device=CPU):
    return modules["gpu_setting"].Setting(device, names, time.monotonic() + seconds, True, reference, None)


def test_every_model_is_checked_by_default(modules, monkeypatch, capsys):
    def record(rows, *_, **__):
        list(rows)

    parts = [part for part in modules["gpu"].PARTS if part.run.__name__ == "reference"]
    monkeypatch.setattr(modules["gpu"], "PARTS", parts)
    monkeypatch.setattr(modules["gpu"], "record", record)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", "--small", "--reference", "absent"])
    modules["gpu"].main()
    assert "| reference |  |  | skipped: no reference numbers in absent; name their folder" in capsys.readouterr().out


def test_a_failed_check_fails_the_command(modules, monkeypatch, capsys):
    def losses(_):
        yield {"model": "bpr", "loss": 0.5, "passed": False}

    def waits(_):
        yield {"model": "bpr", "waits": 1.0, "passed": True}
        raise RuntimeError("out of\nmemory")

    parts = [modules["gpu"].Part(part, 1) for part in (losses, waits)]
    monkeypatch.setattr(modules["gpu"], "PARTS", parts)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu"])
    with pytest.raises(SystemExit) as ended:
        modules["gpu"].main()
    assert ended.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert json.loads(lines[0]) == {"part": "losses", "model": "bpr", "loss": 0.5, "passed": False}
    assert "| losses | bpr | loss 0.5 | FAILED |" in lines
    assert "| waits | bpr | waits 1 | passed |" in lines
    assert "| waits |  |  | failed: RuntimeError: out of memory |" in lines


def test_a_part_that_does_not_fit_into_the_time_says_so(modules, monkeypatch):
    parts = [modules["gpu"].Part(lambda _: pytest.fail("it began"), 90)]
    monkeypatch.setattr(modules["gpu"], "PARTS", parts)
    (row,) = modules["gpu"].rows(setting(modules, seconds=-1))
    assert row["skipped"] == "0 seconds are left, and it takes 90"


def test_a_case_that_fails_does_not_end_the_others(modules):
    def measure(model):
        if model == "a":
            raise ValueError("no kernel")
        return {"passed": True}

    found = list(modules["gpu_setting"].each(setting(modules), [{"model": "a"}, {"model": "b"}], measure))
    assert found == [{"model": "a", "failed": "ValueError: no kernel"}, {"model": "b", "passed": True}]
    assert not list(modules["gpu_setting"].each(setting(modules, seconds=-1), [{"model": "b"}], measure))


def test_losses_that_differ_are_no_pass(modules, monkeypatch):
    (row,) = list(modules["gpu_checks"].losses(setting(modules)))[:1]
    assert row == {"model": "bpr", "strategy": "plain", "loss": 0.0, "parameters": 0.0, "passed": True}
    losses = modules["gpu_setting"].Trained.losses
    found = iter([1.0, 1.0002])
    monkeypatch.setattr(modules["gpu_setting"].Trained, "losses", lambda *_: [next(found)])
    (row,) = list(modules["gpu_checks"].losses(setting(modules)))[:1]
    assert row["passed"] is False
    monkeypatch.setattr(modules["gpu_setting"].Trained, "losses", losses)


def test_a_loss_that_is_no_number_is_no_pass(modules, monkeypatch):
    found = iter([[1.0, float("nan")], [1.0, 1.0]])
    monkeypatch.setattr(modules["gpu_setting"].Trained, "losses", lambda *_: next(found))
    (row,) = list(modules["gpu_checks"].losses(setting(modules)))[:1]
    assert row["passed"] is False


def test_a_device_that_is_not_there_is_one_line(modules, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cuda"])
    with pytest.raises(SystemExit) as ended:
        modules["gpu"].main()
    assert ended.value.code == 2
    assert "device is cuda, but this torch sees no CUDA device" in capsys.readouterr().err


def test_both_devices_see_the_batches_and_masks_of_the_cpu(modules):
    """``meta`` stands for a device with random numbers of its own, which are not used."""
    meta = torch.device("meta")
    trained = modules["gpu_setting"].Trained("freedom", "plain", block_dataset(), CPU)
    again = modules["gpu_setting"].Trained("freedom", "plain", block_dataset(), CPU)
    assert all(map(torch.equal, trained.model.buffers(), again.model.buffers()))
    batches = [one.next_batches()[0] for one in (trained, again)]
    assert all(torch.equal(*pair) for pair in zip(*(one.indices for one in batches), strict=True))
    assert {one.device for one in modules["gpu_setting"].moved(batches[0], meta).indices} == {meta}
    with devices.forked_generators(CPU):
        torch.manual_seed(0)
        state = torch.get_rng_state()
        with modules["gpu_setting"].DrawnOnTheCPU():
            drawn = [torch.rand(3, device=meta), torch.randn(3, device=meta), torch.randperm(3, device=meta)]
        assert {one.device for one in drawn} == {meta}
        assert not torch.equal(torch.get_rng_state(), state)


def test_stored_noise_follows_the_tensors_that_it_is_added_to(modules):
    there, noise = torch.ones(3, device="meta", requires_grad=True), torch.ones(3)
    with modules["gpu_reference"].InputsFollow():
        assert (there + noise).device.type == (noise * there).device.type == "meta"
        assert (noise + noise).device.type == "cpu"
        torch.autograd.grad((there * noise).sum(), there)
    with pytest.raises(RuntimeError):
        there + noise


def test_times_are_taken_of_models_and_large_data(modules):
    found = list(modules["gpu_times"].steps(setting(modules, names=("bpr", "aligngroup"))))
    assert [row["model"] for row in found] == ["bpr", "bpr"]
    assert all(row["step ms"] > 0 and row["peak MB"] is None for row in found)
    (row,) = modules["gpu_times"].incumbent(setting(modules))
    assert row == {"skipped": "no clone of MMRec; name it by --mmrec"}


@pytest.mark.skipif(not files("lgmrec"), reason=f"no reference numbers in {FOLDER_OF_NUMBERS}; set FLATREC_REFERENCE")
class TestReference:
    """What models compute against stored numbers."""

    def test_equal_numbers_pass_and_others_do_not(self, modules, monkeypatch):
        checked = setting(modules, names=("lgmrec", "aligngroup"), reference=FOLDER_OF_NUMBERS)
        rows = list(modules["gpu_reference"].reference(checked))
        assert {row["model"]: row["passed"] for row in rows} == {"lgmrec": True, "aligngroup": True}
        assert {row["variant"] for row in rows} >= {"main", "gumbel", "dot", "user", "userdot"}
        monkeypatch.setattr("flatrec.models.lgmrec.l2_normalize", lambda rows: rows * 1.001)
        rows = list(
            modules["gpu_reference"].reference(setting(modules, names=("lgmrec",), reference=FOLDER_OF_NUMBERS))
        )
        assert [row["passed"] for row in rows] == [False, False]

    @pytest.mark.parametrize(("name", "prefix"), [("lgmrec", "gumbel/"), ("mentor", "noisy/"), ("lattice", "")])
    def test_inputs_follow_the_model_to_another_device(self, modules, monkeypatch, name, prefix):
        adapters = importlib.import_module("tests.models.reference.test_every_model").ADAPTERS
        case = Case(files(name)[0], adapters[name])
        case.adapter.prepare(case, prefix, monkeypatch)
        monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # there is none for meta
        meta = torch.device("meta")
        found = modules["gpu_reference"].computed(case.model.to(meta), modules["gpu_setting"].moved(case.batch, meta))
        assert {one.device for one in found[-1].values()} == {meta}
