"""All shards at the same time, by processes that may die, on this machine or on a Ray cluster."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flatrec.cli.encode import encode_job
from flatrec.content import shards
from flatrec.content.encoders import encoding
from flatrec.research.execution import Lost
from tests.cli.test_errors import one_line

N_ITEMS, N_SHARDS, BLOCK = 30, 3, 4


class Means:
    """An image becomes its mean color, and how many were encoded with it; the first process to encode twice dies."""

    dim, identity = 4, "means"

    def __init__(self, mark):
        self.mark = mark
        self.calls = 0

    def prepare(self, image):
        return np.asarray(image.resize((4, 4)), dtype=np.float32)

    def encode(self, prepared):
        self.calls += 1
        if self.calls == 2 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return np.column_stack([prepared.mean(axis=(1, 2)), np.full(len(prepared), len(prepared), np.float32)])


def with_quick_encoder(patch, mark):
    for module in (shards, encoding):
        patch.setattr(module, "ITEMS_PER_BLOCK", BLOCK)
    patch.setattr("flatrec.content.encoders.image_encoder", lambda *_, **__: Means(mark))


def encode_quickly(job):
    """Encode one shard in a worker, which has the encoders of flatrec."""
    with pytest.MonkeyPatch.context() as patch:
        with_quick_encoder(patch, job.out.parent / "killed")
        return encode_job(job)


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """A folder of items and images."""
    with_quick_encoder(monkeypatch, tmp_path / "killed")
    monkeypatch.setattr("flatrec.cli.encode.encode_job", encode_quickly)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    (tmp_path / "images").mkdir()
    (tmp_path / "items.csv").write_text("sku\n" + "".join(f"s{n}\n" for n in range(N_ITEMS)))
    for n in range(1, N_ITEMS):
        Image.new("RGB", (8, 8), (n, 2 * n, 3 * n)).save(tmp_path / "images" / f"s{n}.png")
    here = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(here), *sys.path[1:]]))  # where workers find this module
    monkeypatch.chdir(tmp_path)  # workers find relative paths too
    return tmp_path


WORDS = ("encode", "items.csv", "--image-dir", "images", "--json", "--out")


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".npy", ".csv")}


@pytest.mark.parametrize("backend", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_shards_of_which_one_is_killed_give_the_files_of_one_run(flatrec, raw, monkeypatch, backend):
    if backend == "ray":
        pytest.importorskip("ray", reason="ray is not installed")
    mark = raw / "killed"
    mark.touch()
    monkeypatch.setenv("FLATREC_CACHE", str(raw / "cache of one run"))
    assert flatrec(*WORDS, "one").code == 0
    mark.unlink()
    monkeypatch.setenv("FLATREC_CACHE", str(raw / "cache of workers"))
    outcome = flatrec(*WORDS, "parts", "--shards", N_SHARDS, "--backend", backend)
    assert outcome.code == 0, outcome.err
    assert mark.exists()
    assert files(Path("parts")) == files(Path("one"))
    assert len(files(Path("parts"))) == 4
    told = json.loads(outcome.out)
    assert [one["computed"] for one in told["features"]] == [0]
    assert 0 < told["computed_in_shards"] <= N_ITEMS - 1


def test_a_single_shard_is_named_in_the_singular(flatrec, raw, monkeypatch):
    (raw / "killed").touch()
    monkeypatch.setenv("FLATREC_CACHE", "off")
    outcome = flatrec(*(word for word in WORDS if word != "--json"), "parts", "--shards", 1)
    assert f"{N_ITEMS - 1} vectors computed in 1 shard\n" in outcome.out, outcome.err


def test_a_shard_whose_workers_always_die_is_one_line(flatrec, raw, monkeypatch):
    def lose(_task, jobs, _workers, on_done):
        on_done(jobs[0], None)
        for job in jobs[1:]:
            on_done(job, Lost())

    monkeypatch.setattr("flatrec.research.execution.execute", lose)
    one_line(
        flatrec(*WORDS, "parts", "--shards", N_SHARDS), 1,
        "2 shards of 3 could not be finished, since its worker died", "The same command continues",
    )  # fmt: skip
    assert not (raw / "parts" / "image_feat.npy").exists()


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        (("--shards", "0"), ("--shards must lie between 1 and 99999",)),
        (("--shards", "2", "--shard", "1/2"), ("give one of the two",)),
        (("--backend", "ray"), ("give their number by --shards",)),
        (("--shards", "2", "--backend", "spark"), ("local, ray, dask", "'spark'")),
        (("--shards", "2", "--device", "tpu"), ("device", "'tpu'")),
    ],
)
@pytest.mark.usefixtures("raw")
def test_bad_usage_is_one_line(flatrec, more, parts):
    one_line(flatrec(*WORDS, "parts", *more), 2, *parts)


def test_an_export_in_shards_has_the_rows_of_the_file(flatrec, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    words = ("export", trained, "-k", "3", "--out")
    assert flatrec(*words, tmp_path / "whole.csv").code == 0
    outcome = flatrec(*words, tmp_path / "recs.csv", "--shards", "2", "--json")
    assert outcome.code == 0, outcome.err
    written = [tmp_path / f"recs-0000{number}-of-00002.csv" for number in (1, 2)]
    assert b"".join(path.read_bytes() for path in written) == (tmp_path / "whole.csv").read_bytes()
    assert [one["shard"] for one in json.loads(outcome.out)["shards"]] == ["1/2", "2/2"]
    assert "there already" in flatrec(*words, tmp_path / "recs.csv", "--shards", "2").out


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        (("--out", "recs.csv", "--shards", "2", "--shard", "1/2"), ("give one of the two",)),
        (("--to", "sqlite:///x.db", "--table", "t", "--shards", "2"), ("--to names a database", "leave --shards out")),
        (("--out", "v", "--what", "vectors", "--shards", "2"), ("--shards does not go with --what vectors",)),
    ],
)
def test_an_export_that_has_no_shards_is_refused_in_one_line(flatrec, trained, more, parts):
    one_line(flatrec("export", trained, *more), 2, *parts)
