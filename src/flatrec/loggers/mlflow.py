"""MLflow: one MLflow run per run, in a SQLite file beside the run folder unless a tracking server is named."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock

from flatrec.loggers.base import RunInfo, Status, Value, curves, kept_id
from flatrec.training.records import EpochRecord
from flatrec.utils.atomic_write import atomic_write
from flatrec.utils.optional import require_extra

EXPERIMENT = "flatrec"
STORE, ARTIFACTS = "mlflow.db", "mlartifacts"  # beside the run folder
_FORBIDDEN = re.compile(r"[^/\w.\- :]")  # in names, by the rules of MLflow
_MAKE = "import sys; from mlflow.tracking import MlflowClient; MlflowClient(tracking_uri=sys.argv[1])"
_MOST_PARAMS, _LONGEST_PARAM = 100, 6000  # of a request, and characters of a value
_STATUS: Mapping[Status, str] = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


class MLflow:
    """A logger that writes a run of MLflow: params, metrics by epoch, tags and artifacts.

    Store and experiment are those of MLflow's own environment variables. MLflow's reports of how it is used, which it
    sends over the network, are off unless ``MLFLOW_DISABLE_TELEMETRY`` is set.

    Raises:
        ModuleNotFoundError: mlflow is not installed, or, without ``MLFLOW_TRACKING_URI``, what its SQLite files need.
    """

    def __init__(self) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # these are read when mlflow is imported
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # 14 seconds; by default more than 4 minutes
        self._tracking: Any = require_extra("mlflow.tracking", "mlflow")
        self._entities: Any = require_extra("mlflow.entities", "mlflow")
        if not os.environ.get("MLFLOW_TRACKING_URI"):
            require_extra("sqlalchemy", "mlflow")
            require_extra("alembic", "mlflow")

    def start(self, run: RunInfo, done: Sequence[EpochRecord]) -> None:
        """Begin an MLflow run, or go on with that of the run folder; epochs that it has are not logged again.

        Raises:
            Exception: whatever MLflow raises, such as one for a server that does not answer.
        """
        beside = run.folder.absolute().parent
        uri = os.environ.get("MLFLOW_TRACKING_URI") or _local_store(beside / STORE)
        self._client = self._tracking.MlflowClient(tracking_uri=uri)
        self._id = kept_id(run.own_folder / "run-id", lambda: self._create(run, beside))
        self._client.update_run(self._id, status="RUNNING")
        known = self._client.get_run(self._id).data.params
        self._log_params({name: value for name, value in run.settings.items() if name not in known})
        points = self._client.get_metric_history(self._id, "seconds/train")
        self._last = max((point.step for point in points), default=0)
        for record in done:
            self.log(record)

    def log(self, record: EpochRecord) -> None:
        """Add one point per curve, unless the run that goes on has them."""
        if record.epoch > self._last:
            self._log_metrics(curves(record), record.epoch)

    def end(self, status: Status, result: Mapping[str, float], artifacts: Sequence[Path]) -> None:
        """Write the result, unless the run has it, upload the artifacts, and set the status."""
        known = self._client.get_run(self._id).data.metrics
        new = {name: value for name, value in result.items() if known.get(_name(name)) != value}
        self._log_metrics(new, int(result.get("result/epochs", 0)))
        for path in artifacts:
            if path.is_dir():
                self._client.log_artifacts(self._id, str(path), path.name)
            else:
                self._client.log_artifact(self._id, str(path))
        self._client.set_terminated(self._id, _STATUS[status])

    def _create(self, run: RunInfo, beside: Path) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            place = None if os.environ.get("MLFLOW_TRACKING_URI") else (beside / ARTIFACTS).as_uri()
            try:
                identifier = self._client.create_experiment(name, artifact_location=place)
            except Exception:  # another process was faster
                experiment = self._client.get_experiment_by_name(name)
                if experiment is None:
                    raise
        tags = {"data": run.data, "model": run.model, "strategy": run.strategy, "seed": str(run.seed)}
        identifier = identifier if experiment is None else experiment.experiment_id
        return str(self._client.create_run(identifier, run_name=run.name, tags=tags).info.run_id)

    def _log_params(self, settings: Mapping[str, Value]) -> None:
        """Write settings, which MLflow holds as text and never changes."""
        rest = iter(settings.items())
        while portion := list(islice(rest, _MOST_PARAMS)):
            params = [self._entities.Param(_name(name), str(value)[:_LONGEST_PARAM]) for name, value in portion]
            self._client.log_batch(self._id, params=params)

    def _log_metrics(self, values: Mapping[str, float], step: int) -> None:
        now = int(1000 * time.time())
        metrics = [self._entities.Metric(_name(name), value, now, step) for name, value in values.items()]
        self._client.log_batch(self._id, metrics=metrics)


def _local_store(path: Path) -> str:
    """The URI of a SQLite file, which is made if it is not there.

    MLflow makes one by dozens of steps, and a second process or a kill among them would spoil it for good. So it is
    made under a lock, and appears when it is complete. A process of its own makes it, as MLflow keeps files open.

    Raises:
        OSError: the folder cannot be written to.
        RuntimeError: MLflow failed.
    """
    with FileLock(f"{path}.lock"):
        if not path.exists():
            with atomic_write(path) as temporary:
                words = [sys.executable, "-c", _MAKE, f"sqlite:///{temporary.as_posix()}"]
                done = subprocess.run(words, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise RuntimeError((done.stderr.splitlines() or ["MLflow made no store"])[-1])
    return f"sqlite:///{path.as_posix()}"


def _name(name: str) -> str:
    """A name that MLflow takes."""
    return _FORBIDDEN.sub("_", name.replace("@", "_at_"))
