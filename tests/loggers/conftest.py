"""A data set that trains in no time, and an environment in which no service is configured."""

from __future__ import annotations

import os

import pytest

from flatrec.testing.datasets import block_dataset


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
