"""A data set that trains in no time, an environment in which no service is configured, and one run of all loggers."""

from __future__ import annotations

import os

import pytest

from flatrec.testing.datasets import block_dataset
from flatrec.training.records import read_lines
from tests.loggers.runs import Interrupting, mlflow_run, trained


@pytest.fixture(scope="package")
def dataset():
    return block_dataset(blocks=3, users=8, items=6)


@pytest.fixture(autouse=True, scope="package")
def _unconfigured(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("WANDB_", "MLFLOW_"))]:
            patch.delenv(name)
        patch.setenv("NETRC", str(tmp_path_factory.mktemp("home") / "netrc"))
        yield


@pytest.fixture(scope="package")
def run(dataset, tmp_path_factory, _unconfigured):
    """A run that was interrupted and resumed, with every logger: its folder, its records and its result."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    with pytest.raises(KeyboardInterrupt):
        trained(dataset, folder, callbacks=[Interrupting()])
    assert mlflow_run(folder)[1].info.status == "KILLED"
    assert (folder / "logs" / "csv" / "result.csv").read_text() == "name,value\nstatus,interrupted\n"
    result = trained(dataset, folder, resume=True).result
    return folder, read_lines(folder / "epochs.jsonl"), result
