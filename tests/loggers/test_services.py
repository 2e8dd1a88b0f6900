"""What the environment says of W&B and MLflow counts; without it they write offline, and nothing is asked for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from flatrec import Training, fit
from flatrec.loggers.wandb import _mode
from tests.loggers.runs import wandb_records

SHORT = Training(epochs=2, batch_size=32, monitor="ndcg@5")
PROCESS = """
import sys
from pathlib import Path
from flatrec import Training, fit
from flatrec.testing import block_dataset

training = Training(epochs=5, batch_size=32, monitor="ndcg@5", loggers="mlflow")
data = block_dataset(blocks=3, users=8, items=6)
fit(data, "bpr", model_settings={"embedding_dim": 4}, training=training, out=Path(sys.argv[1]))
"""


def test_wandb_is_offline_without_a_key_and_as_the_user_says(monkeypatch, tmp_path):
    assert _mode() == "offline"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert _mode() == "disabled"
    monkeypatch.setenv("WANDB_MODE", "online")
    assert _mode() == "offline"
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine wandb.example login user password secret\n")
    assert _mode() == "offline"
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example/path")
    assert _mode() == "online"
    (tmp_path / "netrc").write_text("neither\n")
    assert _mode() == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    assert _mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert _mode() == "offline"


def test_project_and_experiment_are_those_of_the_environment(run, dataset, monkeypatch, tmp_path):
    from mlflow.tracking import MlflowClient

    store = f"sqlite:///{shutil.copy(run[0].parent / 'mlflow.db', tmp_path / 'elsewhere.db')}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "named")
    monkeypatch.setenv("WANDB_PROJECT", "called")
    monkeypatch.setenv("WANDB_NAME", "first")
    monkeypatch.chdir(tmp_path)  # where MLflow puts artifacts of a store that is named
    fit(dataset, "bpr", training=SHORT.replace(loggers=("wandb", "mlflow")), out=tmp_path / "run")
    client = MlflowClient(store)
    (logged,) = client.search_runs([client.get_experiment_by_name("named").experiment_id])
    assert logged.info.run_name == "run"
    assert logged.data.tags["model"] == "bpr"
    assert not (tmp_path / "mlflow.db").exists()
    _, lines = wandb_records(tmp_path / "run")
    (begun,) = [line["run"] for line in lines if line["type"] == "run"]
    assert (begun["project"], begun["display_name"]) == ("called", "first")
    assert set(begun["tags"]) == {dataset.name, "bpr", "plain"}


def test_a_server_that_does_not_answer_ends_no_run(dataset, monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    run = fit(dataset, "bpr", training=SHORT.replace(loggers=("mlflow",)), out=tmp_path / "run")
    assert json.loads((tmp_path / "run" / "result.json").read_text())["epochs"] == run.result["epochs"] == 2
    (line,) = [one.getMessage() for one in caplog.records if "logger" in one.getMessage()]
    assert line.startswith("the logger mlflow could not start (MlflowException: ")


@pytest.mark.slow
def test_processes_that_begin_at_once_share_the_store(tmp_path):
    from mlflow.tracking import MlflowClient

    runs = [tmp_path / str(number) for number in range(4)]
    processes = [
        subprocess.Popen([sys.executable, "-c", PROCESS, str(run)], stderr=subprocess.PIPE, text=True) for run in runs
    ]
    assert [(process.communicate()[1], process.returncode) for process in processes] == [("", 0)] * 4
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (experiment,) = [one for one in client.search_experiments() if one.name == "flatrec"]
    logged = client.search_runs([experiment.experiment_id])
    assert sorted(run.info.run_name for run in logged) == ["0", "1", "2", "3"]
    assert {run.info.status for run in logged} == {"FINISHED"}
    for run in logged:
        assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 5
