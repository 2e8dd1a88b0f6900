"""A run that was interrupted and resumed, with every logger: the reader of each package finds what epochs.jsonl has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl

from flatrec.loggers import curves
from flatrec.training.records import read_lines
from tests.loggers.runs import SETTINGS, mlflow_run, trained, wandb_records


def expected(records):
    """The curves by name, as epochs and values; those in seconds but for epoch 3, which was trained twice."""
    points = {}
    for record in records:
        for name, value in curves(record).items():
            if not (name.startswith("seconds/") and record.epoch == 3):
                points.setdefault(name, []).append((record.epoch, value))
    return points


def without_third_seconds(points):
    return {
        name: [one for one in values if not (name.startswith("seconds/") and one[0] == 3)]
        for name, values in points.items()
    }


def test_curves_hold_all_numbers_of_a_line(run):
    folder, records, _ = run
    for line, record in zip((folder / "epochs.jsonl").read_text().splitlines(), records, strict=True):
        values = json.loads(line)
        groups = ("valid", "raw_valid", "diagnostics")
        numbers = [values["loss"], *(value for group in groups for value in values[group].values())]
        numbers += [values["skipped"], values["best"], values["train_seconds"], values["evaluate_seconds"]]
        assert sorted(curves(record).values()) == sorted(map(float, numbers))
    assert len(records) == 5
    assert any(name.startswith("diagnostics/") for name in curves(records[0]))
    assert any(name.startswith("raw_valid/") for name in curves(records[0]))


def test_csv_read_by_polars_is_equal_to_the_last_bit(run):
    folder, records, result = run
    table = pl.read_csv(folder / "logs" / "csv" / "epochs.csv")
    points = {
        name: [(epoch, value) for epoch, value in zip(table["epoch"], table[name], strict=True) if value is not None]
        for name in table.columns
        if name != "epoch"
    }
    assert without_third_seconds(points) == expected(records)
    final = dict(pl.read_csv(folder / "logs" / "csv" / "result.csv").iter_rows())
    assert final["status"] == "finished"
    assert float(final["result/test/recall@20"]) == result["test"]["recall@20"]
    assert dict(pl.read_csv(folder / "logs" / "csv" / "settings.csv").iter_rows())["model.embedding_dim"] == "4"


def test_tensorboard_holds_each_value_as_float32_once(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, records, result = run
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    points = {name: [(point.step, point.value) for point in events.Scalars(name)] for name in events.Tags()["scalars"]}
    final = {name: points.pop(name) for name in list(points) if name.startswith("result/")}
    rounded = {
        name: [(epoch, float(np.float32(value))) for epoch, value in values]
        for name, values in expected(records).items()
    }
    assert without_third_seconds(points) == rounded
    assert final["result/test/recall@20"] == [(6, float(np.float32(result["test"]["recall@20"])))]
    assert "hparams" in {one.plugin_data.plugin_name for one in events.summary_metadata.values()}


def test_mlflow_is_equal_to_the_last_bit_with_each_epoch_once(run):
    folder, records, result = run
    client, logged = mlflow_run(folder)
    wanted = {re.sub(r"[(),]", "_", name.replace("@", "_at_")): values for name, values in expected(records).items()}
    points = {
        name: sorted((point.step, point.value) for point in client.get_metric_history(logged.info.run_id, name))
        for name in logged.data.metrics
        if not name.startswith("result/")
    }
    assert without_third_seconds(points) == wanted
    assert [step for step, _ in points["seconds/train"]] == [1, 2, 3, 4, 5]
    assert logged.info.status == "FINISHED"
    assert logged.info.run_name == "one"
    assert logged.data.params["model.embedding_dim"] == "4"
    assert logged.data.metrics["result/test/recall_at_20"] == result["test"]["recall@20"]
    assert {one.path for one in client.list_artifacts(logged.info.run_id)} == {
        *("experiment.toml", "epochs.jsonl", "result.json"),
    }
    kept = Path(client.download_artifacts(logged.info.run_id, "result.json"))
    assert kept.read_bytes() == (folder / "result.json").read_bytes()


def test_wandb_offline_is_equal_to_the_last_bit_with_each_epoch_once(run):
    folder, records, result = run
    path, lines = wandb_records(folder)
    points = {}
    for line in lines:
        if line["type"] == "history":
            for name, value in line["history"]["item"].items():
                if not name.startswith("_"):
                    points.setdefault(name, []).append((int(line["history"]["step"]["num"]), value))
    wanted = {name.replace("@", "_at_"): values for name, values in expected(records).items()}
    assert without_third_seconds(points) == wanted
    (begun,) = [line["run"] for line in lines if line["type"] == "run"]
    assert begun["run_id"] == (folder / "logs" / "wandb" / "run-id").read_text().strip()
    assert begun["project"] == "flatrec"
    assert begun["config"]["update"]["model.embedding_dim"] == 4
    summary = {}
    for line in lines:
        summary |= line["summary"]["update"] if line["type"] == "summary" else {}
    assert summary["result/test/recall_at_20"] == result["test"]["recall@20"]
    assert lines[-1]["exit"]["exit_code"] == 0
    assert (path / "files" / "result.json").read_bytes() == (folder / "result.json").read_bytes()
    assert not (path / "files" / "recommender").exists()


def test_a_finished_run_that_is_resumed_gets_no_second_point(run, dataset):
    folder, _, _ = run
    before = mlflow_run(folder)
    trained(dataset, folder, resume=True)
    client, logged = mlflow_run(folder)
    for name in logged.data.metrics:
        points = client.get_metric_history(logged.info.run_id, name)
        assert points == before[0].get_metric_history(before[1].info.run_id, name)
        assert len({point.step for point in points}) == len(points)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    assert [point.step for point in events.Scalars("train/loss")] == [1, 2, 3, 4, 5]
    assert [point.step for point in events.Scalars("result/epochs")] == [6]


def test_runs_of_one_process_do_not_mix(run, dataset):
    folder, records, _ = run
    other = folder.parent / "two"
    trained(dataset, other, seed=1, training=SETTINGS.replace(epochs=2, log_recommender=True))
    client, logged = mlflow_run(other)
    assert [point.step for point in client.get_metric_history(logged.info.run_id, "train/loss")] == [1, 2]
    assert "recommender" in {one.path for one in client.list_artifacts(logged.info.run_id)}
    path, lines = wandb_records(other)
    losses = [line["history"]["item"]["train/loss"] for line in lines if line["type"] == "history"]
    assert losses == [record.loss for record in read_lines(other / "epochs.jsonl")]
    assert losses != [record.loss for record in records[:2]]
    assert (path / "files" / "recommender" / "recommender.json").is_file()


def test_overwriting_a_run_begins_new_ones(run, dataset):
    folder = run[0].parent / "three"
    one = SETTINGS.replace(epochs=1, loggers=("csv", "tensorboard", "mlflow"))
    trained(dataset, folder, training=one)
    first = mlflow_run(folder)[1].info.run_id
    trained(dataset, folder, training=one.replace(loggers="mlflow"), overwrite=True)
    assert mlflow_run(folder)[1].info.run_id != first
    assert not (folder / "logs" / "csv").exists()
    assert not (folder / "tensorboard").exists()
