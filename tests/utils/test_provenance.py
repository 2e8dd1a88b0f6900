"""What a result says of where it was made."""

from __future__ import annotations

import platform

import pytest
import torch

from flatrec.api import fit
from flatrec.config import Training
from flatrec.ops.matmul import onednn_pays
from flatrec.testing import block_dataset
from flatrec.utils import provenance

CPU = torch.device("cpu")


def test_a_result_names_the_device_that_was_used_and_not_the_one_asked_for():
    data = block_dataset(blocks=3, users=8, items=6)
    training = Training(epochs=1, batch_size=64, loggers=())
    result = fit(data, "bpr", "plain", training=training, device="cpu").result
    assert result["machine"] == {
        "device": "cpu",
        "gpu": None,
        "cpu": provenance.machine(CPU, onednn=False, deterministic=False).cpu,
        "onednn": onednn_pays(),
        "deterministic": False,
    }
    assert result["peak_memory_mb"] > 10
    assert result["peak_gpu_memory_mb"] is None
    automatic = fit(data, "bpr", "plain", training=training).result
    assert automatic["settings"]["device"] == "auto"
    assert automatic["machine"]["device"] == ("cuda:0" if torch.cuda.is_available() else "cpu")


def test_deterministic_algorithms_are_told_of():
    torch.use_deterministic_algorithms(True)
    try:
        assert provenance.machine(CPU, onednn=True, deterministic=False).deterministic
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.skipif(platform.system() != "Linux" or platform.machine() != "x86_64", reason="others list it elsewhere")
def test_the_processor_has_a_name():
    assert len(provenance.machine(CPU, onednn=False, deterministic=False).cpu) > 5
    assert "\n" not in provenance.machine(CPU, onednn=False, deterministic=False).cpu


def test_a_gpu_is_named_and_its_memory_is_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Some GPU")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 3 * 2**20)
    gpu = torch.device("cuda")
    made = provenance.machine(gpu, onednn=False, deterministic=False)
    assert (made.device, made.gpu) == ("cuda:1", "Some GPU")
    assert provenance.device_name(torch.device("cuda:0")) == "cuda:0"
    assert provenance.peak_gpu_memory_mb(gpu) == 3.0
    assert provenance.peak_gpu_memory_mb(CPU) is None
