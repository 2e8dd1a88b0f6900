"""What is finished is never done twice, what fails is said, and what is asked for amiss is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from flatrec.research.execution import Workers
from flatrec.research.reporting import study_result
from flatrec.research.studies import STUDIES, run_study
from flatrec.research.studies.base import FinishedRun
from flatrec.research.studies.runner import Job, run_job
from flatrec.utils.integrity import seal, unseal
from flatrec.utils.locks import lock_folder
from tests.research.studies.conftest import QUICK


def stamps(folder):
    """When each run's result was written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("runs/*/result.json")}


def test_a_second_time_trains_nothing_and_says_the_same(request_for, tmp_path):
    first = run_study(STUDIES["overall"](), tmp_path, request_for())
    before = stamps(tmp_path)
    assert len(before) == 4
    assert run_study(STUDIES["overall"](), tmp_path, request_for()) == first
    assert stamps(tmp_path) == before


def test_where_a_run_is_logged_makes_no_other_run_of_it(request_for, tmp_path):
    def folders(**training):
        return [run.folder for run in STUDIES["overall"]().plan(request_for(training=QUICK["training"] | training))]

    assert folders(loggers=["csv"]) == folders() == folders(log_recommender=True)
    assert folders(epochs=3) != folders()
    run_study(STUDIES["overall"](), tmp_path, request_for())
    assert sorted(stamps(tmp_path)) == sorted(folders())


def test_two_at_once_come_to_the_same_as_one_after_the_other(request_for, tmp_path):
    one = run_study(STUDIES["overall"](), tmp_path / "one", request_for())
    two = run_study(STUDIES["overall"](), tmp_path / "two", request_for(), workers=Workers(2))
    assert one.tables == two.tables


def test_a_run_that_fails_is_a_row_and_the_others_go_on(request_for, tmp_path):
    asked = request_for(models=("lightgcn", "freedom"), model={"embedding_dim": 8, "n_neighbors": 1000})
    found = run_study(STUDIES["overall"](), tmp_path, asked)
    assert len(found.failures) == 4
    assert all("freedom" in one.run and "neighbors" in one.error for one in found.failures)
    assert {row[1] for row in found.tables[0].rows} == {"lightgcn"}


def test_a_corrupt_run_folder_is_a_row_and_the_others_go_on(request_for, tmp_path):
    run_study(STUDIES["overall"](), tmp_path, request_for())
    broken = sorted(tmp_path.glob("runs/*/result.json"))[0]
    broken.write_text("{")
    found = run_study(STUDIES["overall"](), tmp_path, request_for())
    (failure,) = found.failures
    assert "damaged" in failure.error


def test_nothing_is_concluded_from_no_run(request_for, tmp_path):
    with pytest.raises(ValueError, match=r"no run of the study could be finished; the first, .*neighbors"):
        run_study(STUDIES["overall"](), tmp_path, request_for(model={"n_neighbors": 1000}))
    assert not (tmp_path / study_result.STUDY_FILE).exists()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"seeds": (0,)}, r"at least 2 different ones, but got 1 \(0\)"),
        ({"seeds": (1, 1)}, r"at least 2 different ones, but got 1 \(1, 1\)"),
        ({"strategies": ("plain", "bsan")}, "unknown strategy 'bsan'; did you mean bsam"),
        ({"models": ("freedoom",)}, "unknown model 'freedoom'; did you mean freedom"),
        ({"strategies": ("plain", "plain")}, "none twice, but got plain, plain"),
        ({"strategy": {"name": "bsam", "rhoo": 1}}, "unknown setting 'rhoo'"),
        ({"model": {"name": "freedom", "layer": 1}}, "unknown setting 'layer'"),
    ],
)
def test_a_request_that_cannot_be_carried_out_is_refused(request_for, tmp_path, asked, said):
    with pytest.raises(ValueError, match=said):
        run_study(STUDIES["overall"](), tmp_path, request_for(**asked))


def test_a_measurement_is_made_once(request_for, tmp_path):
    study = STUDIES["noise"](variances=(0.1,), draws=1)
    run_study(study, tmp_path, request_for())
    measured = {path: path.read_text() for path in tmp_path.glob("runs/*/noise-*.json")}
    assert len(measured) == 4
    marked = next(iter(measured))
    marked.write_text(seal({"embeddings": {}, "features": {}}))
    run_study(study, tmp_path, request_for())
    assert unseal(marked.read_text(), marked, advice="") == {"embeddings": {}, "features": {}}
    marked.write_text(json.dumps({"embeddings": {}, "features": {}}))  # without a digest nothing tells what it is
    run_study(study, tmp_path, request_for())
    assert marked.read_text() == measured[marked]
    marked.write_text("{")  # what a torn disk left is made again
    run_study(study, tmp_path, request_for())
    assert marked.read_text() == measured[marked]


SCRIPT = """
import sys
from pathlib import Path
from flatrec import config
from flatrec.config import Experiment
from flatrec.research.execution import Workers
from flatrec.utils.locks import lock_folder
from flatrec.research.studies import STUDIES, Request, run_study


def study(shop, out, workers):
    base = config.changed(Experiment(), {
        "training": {"epochs": 12, "batch_size": 64, "loggers": []},
        "model": {"embedding_dim": 8},
    })
    request = Request((shop,), ("freedom",), ("plain", "bsam"), (0, 1), base)
    run_study(STUDIES["overall"](), Path(out), request, workers=Workers(workers))

if __name__ == "__main__":
    study(*sys.argv[1:], 2)
"""


def test_a_study_killed_in_the_middle_is_completed_and_no_run_is_done_twice(shop, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), str(shop)]
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    process = subprocess.Popen([*command, str(torn)], start_new_session=True)
    try:
        for _ in range(2400):
            if len(stamps(torn)) >= 1 or process.poll() is not None:
                break
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    before = stamps(torn)
    assert 1 <= len(before) < 4
    assert not (torn / study_result.STUDY_FILE).exists()
    names = {"__name__": "script"}
    exec(compile(SCRIPT, "script.py", "exec"), names)  # noqa: S102
    names["study"](str(shop), str(torn), 2)
    names["study"](str(shop), str(whole), 1)
    after = stamps(torn)
    assert len(after) == 4
    assert {name: after[name] for name in before} == before
    assert study_result.read_study_result(torn).tables == study_result.read_study_result(whole).tables


def test_what_is_not_trained_cannot_be_measured_and_says_so(request_for, tmp_path):
    asked = request_for(models=("popularity",))
    (first, *_) = STUDIES["noise"](draws=1).plan(asked)
    assert "is not trained" in run_job(Job(first, tmp_path)).error


@pytest.mark.skipif(sys.platform == "win32", reason="there are no locks")
def test_a_folder_in_which_another_study_goes_on_is_refused_and_keeps_what_it_has(request_for, tmp_path):
    asked = request_for()
    (tmp_path / study_result.STUDY_FILE).write_text("of the other")
    with (
        lock_folder(tmp_path, "runs a study or sweep"),
        pytest.raises(FileExistsError, match="another process runs a study or sweep in .*; wait for it"),
    ):
        run_study(STUDIES["overall"](), tmp_path, asked)
    assert (tmp_path / study_result.STUDY_FILE).read_text() == "of the other"
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there are no locks")
def test_a_run_that_another_process_trains_is_waited_for(request_for, tmp_path, monkeypatch, caplog):
    (first, *_) = STUDIES["overall"]().plan(request_for())
    job = Job(first, tmp_path)
    (tmp_path / first.folder).mkdir()
    lock = lock_folder(tmp_path / first.folder, "trains")
    lock.__enter__()
    naps = []

    def nap(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            lock.__exit__(None, None, None)

    monkeypatch.setattr("flatrec.research.studies.runner.time.sleep", nap)
    done = run_job(job)
    assert isinstance(done, FinishedRun)
    assert len(naps) == 3
    assert caplog.text.count("waiting for another process that trains in") == 1


@pytest.mark.parametrize(
    ("study", "expected"), [("overall", [("time", None)]), ("generalization", [("random", 0), ("random", 1)])]
)
def test_a_study_takes_the_split_that_is_asked_for_unless_it_draws_its_own(request_for, tmp_path, study, expected):
    asked = request_for(models=("bpr",), strategies=("plain",), split={"method": "time"}, training={"epochs": 1})
    planned = STUDIES[study]().plan(asked)
    splits = []
    for run in planned:
        finished = run_job(Job(run, tmp_path))
        assert isinstance(finished, FinishedRun), finished
        splits.append(finished.result["data"]["split"])
    assert sorted({(split["method"], split.get("seed")) for split in splits}) == expected


def test_a_study_does_not_train_on_one_of_several_windows(request_for, tmp_path):
    asked = request_for(split={"method": "time", "windows": 2})
    with pytest.raises(ValueError, match="split.windows is 2, which needs one run for each window"):
        run_study(STUDIES["overall"](), tmp_path, asked)
