"""Loggers change no run: their errors are warnings, they end with the run, and a user's own is one of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import flatrec
from flatrec import Training, fit
from flatrec.cli import main
from flatrec.data.formats import mmrec
from flatrec.loggers import LOGGERS, Logger, RunInfo
from flatrec.loggers.run_loggers import make_loggers
from flatrec.training.records import read_lines

PAGE = Path(__file__).parents[2] / "docs" / "loggers.md"
SHORT = Training(epochs=3, batch_size=32, monitor="ndcg@5")


class Kept:
    """Keeps what it is told, by the name of the run."""

    heard: dict[str, list] = {}

    def start(self, run, done):
        self.heard[run.name] = self.calls = [("start", run, tuple(record.epoch for record in done))]

    def log(self, record):
        self.calls.append(("log", record.epoch))

    def end(self, status, result, artifacts):
        self.calls.append((status, dict(result), [path.name for path in artifacts]))


class Failing(Kept):
    """Fails in an epoch, as a network may."""

    def log(self, record):
        super().log(record)
        raise ConnectionError("no route to host")


class Exiting(Kept):
    """Would end the process."""

    def log(self, record):
        raise SystemExit(record.epoch)


class Unstarted(Kept):
    """Fails before the first epoch."""

    def start(self, run, done):
        super().start(run, done)
        raise OSError(28, "No space left on device")


class Unfinished(Kept):
    """Fails when all is trained."""

    def end(self, status, result, artifacts):
        super().end(status, result, artifacts)
        raise TimeoutError


def trained(dataset, out, *loggers, **more):
    settings = more.pop("training", SHORT)
    training = settings.replace(loggers=loggers)
    return fit(dataset, "bpr", model_settings={"embedding_dim": 4}, training=training, out=out, **more)


@pytest.mark.parametrize("name", LOGGERS)
def test_each_logger_is_one_by_the_protocol(name):
    (one,) = make_loggers([name]).values()
    assert isinstance(one, Logger)


def test_a_logger_hears_of_start_epochs_and_end(dataset, tmp_path):
    run = trained(dataset, tmp_path / "whole", Kept)
    start, *epochs, end = Kept.heard["whole"]
    described = start[1]
    assert isinstance(described, RunInfo)
    assert (described.folder, described.model, described.seed) == (tmp_path / "whole", "bpr", 0)
    assert described.own_folder == tmp_path / "whole" / "logs" / "Kept"
    assert (described.data, described.strategy) == (dataset.name, "plain")
    assert described.settings["model.embedding_dim"] == 4
    assert start[2] == ()
    assert epochs == [("log", 1), ("log", 2), ("log", 3)]
    assert end[0] == "finished"
    assert end[1]["result/test/recall@20"] == run.result["test"]["recall@20"]
    assert end[1]["result/valid/recall@20"] == run.result["valid"]["recall@20"]
    assert end[1]["result/best_epoch"] == run.result["best_epoch"]
    assert end[2] == ["experiment.toml", "epochs.jsonl", "result.json"]


def test_a_run_that_goes_on_tells_what_it_has(dataset, tmp_path):
    trained(dataset, tmp_path / "more", "csv")
    trained(dataset, tmp_path / "more", Kept, training=SHORT.replace(epochs=5, log_recommender=True), resume=True)
    start, *epochs, end = Kept.heard["more"]
    assert start[2] == (1, 2, 3)
    assert epochs == [("log", 4), ("log", 5)]
    assert end[2] == ["experiment.toml", "epochs.jsonl", "result.json", "recommender"]


def test_an_error_of_a_logger_is_one_warning_and_changes_no_number(dataset, tmp_path, caplog):
    alone = trained(dataset, tmp_path / "alone")
    logged = trained(dataset, tmp_path / "logged", Failing, "csv")
    assert logged.result["test"] == alone.result["test"]
    losses = [[record.loss for record in read_lines(tmp_path / one / "epochs.jsonl")] for one in ("alone", "logged")]
    assert losses[0] == losses[1]
    (line,) = [one.getMessage() for one in caplog.records if "logger" in one.getMessage()]
    assert re.fullmatch(
        r"the logger Failing failed in epoch 1 \(ConnectionError: no route to host \(test_run_loggers\.py:\d+\)\); "
        r"training goes on without it",
        line,
    )
    assert [call[:2] for call in Kept.heard["logged"][1:-1]] == [("log", 1)]
    assert Kept.heard["logged"][-1][0] == "finished"
    assert (tmp_path / "logged" / "logs" / "csv" / "epochs.csv").read_text().count("\n") == 4


def test_a_logger_that_would_end_the_process_ends_no_training(dataset, tmp_path, caplog):
    assert trained(dataset, tmp_path / "run", Exiting).result["epochs"] == 3
    assert [one for one in caplog.messages if "Exiting failed in epoch 1 (SystemExit: 1 " in one]


@pytest.mark.parametrize(("kind", "what"), [(Unstarted, "could not start"), (Unfinished, "could not end")])
def test_an_error_at_start_or_end_leaves_a_whole_run(dataset, tmp_path, caplog, kind, what):
    trained(dataset, tmp_path / "run", kind)
    assert [what in one.getMessage() for one in caplog.records if "logger" in one.getMessage()] == [True]
    assert json.loads((tmp_path / "run" / "result.json").read_text())["epochs"] == 3
    assert flatrec.load_run(tmp_path / "run", dataset).result["epochs"] == 3


def test_curves_that_a_full_disk_refuses_end_no_run(dataset, tmp_path, caplog, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tensorboard.summary.writer.record_writer.RecordWriter.write", full)
    trained(dataset, tmp_path / "run", "tensorboard")
    lines = [one.getMessage() for one in caplog.records if "logger" in one.getMessage()]
    assert lines == [
        "the logger tensorboard failed in epoch 1 (OSError: [Errno 28] No space left on device "
        f"(test_run_loggers.py:{full.__code__.co_firstlineno + 1})); training goes on without it"
    ]


def test_the_epoch_in_which_a_callback_ends_the_training_is_logged(dataset, tmp_path):
    class Pruning(Kept):
        def on_start(self, *_):
            pass

        on_step = on_end = on_start

        def on_epoch(self, record):
            if record.epoch == 2:
                raise RuntimeError("hopeless")

    with pytest.raises(RuntimeError, match="hopeless"):
        trained(dataset, tmp_path / "pruned", Kept, callbacks=[Pruning()])
    assert Kept.heard["pruned"][1:3] == [("log", 1), ("log", 2)]


def test_a_run_that_fails_or_is_interrupted_says_so(dataset, tmp_path):
    class Raising(Kept):
        def on_start(self, *_):
            raise self.error

        def on_step(self, *_):
            pass

        on_epoch = on_end = on_step

    for error, status in ((KeyboardInterrupt(), "interrupted"), (RuntimeError("no"), "failed")):
        stopping = Raising()
        stopping.error = error
        with pytest.raises(type(error)):
            trained(dataset, tmp_path / status, Kept, callbacks=[stopping])
        assert Kept.heard[status][-1] == (status, {}, [])


def test_baselines_are_logged_too(dataset, tmp_path):
    fit(dataset, "popularity", training=Training(loggers=(Kept, "tensorboard")), out=tmp_path / "baseline")
    assert Kept.heard["baseline"][-1][1]["result/epochs"] == 0.0
    assert not (tmp_path / "baseline" / "tensorboard").exists()


def test_without_a_run_folder_a_line_says_that_nothing_is_logged(dataset, caplog):
    trained(dataset, None, "tensorboard", "csv")
    assert "there is no run folder, so that csv logs nothing; give one (out)" in caplog.text


@pytest.mark.parametrize(
    ("given", "names"),
    [("tensorboard, csv", ("tensorboard", "csv")), ("none", ()), ("", ()), ([], ()), ("csv", ("csv",))],
)
def test_loggers_are_given_as_a_list_or_with_commas(given, names):
    assert Training(loggers=given).loggers == names


def test_names_that_are_no_loggers_are_refused_in_one_line(dataset, tmp_path):
    with pytest.raises(ValueError, match="unknown logger 'tensorbord'; did you mean tensorboard"):
        trained(dataset, tmp_path / "run", "tensorbord")
    with pytest.raises(ValueError, match="Path must have the methods start, log, end, but lacks start, log, end"):
        trained(dataset, tmp_path / "run", Path)
    with pytest.raises(ValueError, match="unknown setting 'tensorboard'; it is called loggers now"):
        Training(tensorboard=False)
    assert not (tmp_path / "run").exists()


def code_of_page():
    (code,) = [text for text in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "lines.py" in text]
    return code


def command(*words):
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code == 0


def test_the_logger_of_the_page_logs_a_run_of_the_command_line(dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    mmrec.write(dataset, Path("blocks"))
    Path("lines.py").write_text(code_of_page())
    words = ("train", "--data", "blocks", "--model", "bpr", "--set", "training.epochs=2", "--out", "run")
    command(*words, "--set", "training.loggers=csv,lines.py:Lines")
    lines = Path("run/lines.txt").read_text().splitlines()
    assert lines[0] == "run bpr seed 0"
    records = read_lines(Path("run/epochs.jsonl"))
    assert f"2 train/loss {records[1].loss}" in lines
    result = json.loads(Path("run/result.json").read_text())
    assert lines[-1] == f"finished {result['test']['recall@20']}"
    capsys.readouterr()
    command("list", "loggers", "--json")
    listed = json.loads(capsys.readouterr().out)["loggers"]
    assert [one["name"] for one in listed] == list(LOGGERS)


def test_the_code_of_a_run_folder_is_run_only_where_it_is_named(dataset, tmp_path, caplog):
    from flatrec.utils import user_classes

    (tmp_path / "mine.py").write_text(code_of_page())
    trained(dataset, tmp_path / "run", f"{tmp_path / 'mine.py'}:Lines")
    recorded = flatrec.runs.run_dir.read_experiment(tmp_path / "run").training.loggers
    assert recorded == (user_classes.canonical(f"{tmp_path / 'mine.py'}:Lines"),)
    assert "@" in recorded[0]
    assert make_loggers([f"{tmp_path / 'other.py'}:Lines@0123456789abcdef", "csv"]).keys() == {"csv"}
    assert f"the logger {tmp_path / 'other.py'}:Lines is a class of your own" in caplog.text


def test_every_logger_is_on_the_page():
    assert all(f"| `{name}` |" in PAGE.read_text() for name in LOGGERS)
