"""Devices by name, their generators, and how they compute."""

from __future__ import annotations

import os

import pytest
import torch

import flatrec
from flatrec.config import Experiment, Training, validate
from flatrec.runs.session import choose_device
from flatrec.testing import block_dataset
from flatrec.utils import devices
from flatrec.utils.device_names import check_name
from flatrec.utils.messages import message


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:0", "cuda:13", "mps"])
def test_names_of_devices(name):
    assert check_name(name) == name
    assert validate(Experiment, {"device": name}, "experiment").device == name


@pytest.mark.parametrize("name", ["tpu", "", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "CUDA", "cuda:0\n", "cuda:1234"])
def test_other_names_are_refused_in_one_line(name):
    with pytest.raises(ValueError, match="device must be auto, cpu, cuda, cuda:1"):
        validate(Experiment, {"device": name}, "experiment")


def seen(monkeypatch, n_gpus):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)


def test_auto_is_a_gpu_if_there_is_one(monkeypatch):
    seen(monkeypatch, 0)
    assert choose_device(Experiment()) == torch.device("cpu")
    seen(monkeypatch, 2)
    assert choose_device(Experiment()) == torch.device("cuda")
    assert choose_device(Experiment(device="cuda:1")) == torch.device("cuda:1")
    assert choose_device(Experiment(device="cpu")) == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "n_gpus", "said"),
    [("cuda", 0, "no CUDA device"), ("cuda:2", 2, "2 of them, the first is cuda:0"), ("mps", 0, "no such device")],
)
def test_a_device_that_is_not_there_is_refused(monkeypatch, name, n_gpus, said):
    seen(monkeypatch, n_gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=said):
        devices.choose(name)


def test_a_gpu_draws_its_own_batches_and_no_other_device_does():
    found = [devices.drawing(device) for device in (None, *map(torch.device, ("cpu", "meta", "mps", "cuda:1")))]
    assert [str(one) for one in found] == ["cpu", "cpu", "cpu", "cpu", "cuda:1"]


def test_the_generator_of_a_device_follows_from_the_given_one(monkeypatch):
    monkeypatch.setattr(devices, "Generator", lambda _: torch.Generator())  # there is no other one here

    def state(seed):
        return devices.generator_on(torch.device("cuda"), torch.Generator().manual_seed(seed)).get_state()

    assert torch.equal(state(1), state(1))
    assert not torch.equal(state(1), state(2))
    own = torch.Generator()
    assert devices.generator_on(torch.device("cpu"), own) is own


def test_only_the_generators_of_the_device_are_seeded_and_restored(monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda _: pytest.fail("all GPUs were seeded"))
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda *_: pytest.fail("a GPU was asked"))
    device, before = torch.device("cpu"), torch.get_rng_state()
    with devices.forked_generators(device):
        devices.seed(device, 7)
        drawn = torch.rand(3)
        assert not torch.equal(torch.get_rng_state(), before)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng(()):
        torch.default_generator.manual_seed(7)
        assert torch.equal(torch.rand(3), drawn)


def test_how_a_device_computes_is_as_before_afterward(monkeypatch):
    monkeypatch.delenv(devices.CUBLAS, raising=False)
    tf32 = torch.backends.cuda.matmul.allow_tf32
    with devices.numerics(torch.device("cuda"), tf32=not tf32, deterministic=True):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cuda.matmul.allow_tf32 is not tf32
        assert os.environ[devices.CUBLAS] == ":4096:8"
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cuda.matmul.allow_tf32 is tf32
    monkeypatch.delenv(devices.CUBLAS)


def test_warnings_of_algorithms_stay_warnings_afterward():
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with devices.numerics(torch.device("cpu"), deterministic=True):
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_newer_setting_of_torch_for_tf32_is_no_error(device):
    """Once it is set, torch refuses to read the older one."""
    matmul = torch.backends.cuda.matmul
    if getattr(torch._C, "_get_fp32_precision_getter", None) is None:
        pytest.skip("this torch has the older setting alone")
    before = matmul.fp32_precision
    matmul.fp32_precision = "tf32"
    try:
        with devices.numerics(torch.device(device)):
            assert matmul.fp32_precision == ("tf32" if device == "cpu" else "ieee")
        assert matmul.fp32_precision == "tf32"
    finally:
        matmul.fp32_precision = before


@pytest.mark.parametrize("settings", [{"deterministic": True}, {"precision": "tf32"}])
def test_on_a_cpu_the_result_is_the_same(settings):
    def scores(**changed):
        return flatrec.fit(block_dataset(), "lightgcn", training=Training(epochs=2, **changed), device="cpu").result

    expected, found = scores(), scores(**settings)
    assert found["test"] == expected["test"]
    assert found["machine"]["deterministic"] is settings.get("deterministic", False)


def test_a_gpu_without_memory_names_the_settings_that_help():
    error = torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 8 GiB"
    )
    said = message(error)
    assert said.startswith("out of memory on the GPU (2.50 GiB at once); raise training.grad_accumulation_steps")
    assert "\n" not in said


@pytest.mark.parametrize(("n_gpus", "chosen"), [(0, []), (1, []), (2, [0, 1, 0, 1])])
def test_jobs_take_turns_on_several_gpus(monkeypatch, n_gpus, chosen):
    seen(monkeypatch, n_gpus)
    found = []
    monkeypatch.setattr(torch.cuda, "set_device", found.append)
    for number in range(4):
        devices.take_turns(number)
    assert found == chosen


def test_a_copy_to_no_gpu_is_an_ordinary_one():
    tensor = torch.arange(3)
    assert devices.moved(tensor, None) is tensor
    assert devices.moved(tensor, torch.device("meta")).device.type == "meta"
    assert devices.free_memory(torch.device("cpu")) is None
