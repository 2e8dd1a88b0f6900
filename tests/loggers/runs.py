"""Runs with loggers, and what readers find of them."""

from __future__ import annotations

import json
import subprocess
import sys

from flatrec import Training, fit
from flatrec.loggers import LOGGERS

SETTINGS = Training(
    epochs=5, batch_size=32, monitor="ndcg@5", checkpoint_every=2, loggers=tuple(LOGGERS), average="swa"
)


class Interrupting:
    """Interrupts the run in epoch 4, when the checkpoint is of epoch 2 and epoch 3 is logged."""

    def on_start(self, _first, _epochs, _steps):
        pass

    def on_step(self, epoch, _step):
        if epoch == 4:
            raise KeyboardInterrupt

    def on_epoch(self, record):
        pass

    def on_end(self):
        pass


def trained(dataset, out, **more):
    return fit(
        dataset,
        "bpr",
        "sam",
        model_settings={"embedding_dim": 4},
        training=more.pop("training", SETTINGS),
        out=out,
        **more,
    )


def mlflow_run(folder):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder.parent / 'mlflow.db'}")
    return client, client.get_run((folder / "logs" / "mlflow" / "run-id").read_text().strip())


def wandb_records(folder):
    """The records of the only offline run of a folder, by W&B's own reader."""
    (path,) = (folder / "logs" / "wandb" / "wandb").glob("offline-run-*")
    done = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    return path, [json.loads(line) for line in done.stdout.splitlines()]
