"""Several processes begin with the parameters of an earlier run, also when they are killed in the first epoch."""

from __future__ import annotations

import pytest
import torch

import flatrec
from flatrec.ops.process_group import LostProcessError
from flatrec.training import checkpoint
from flatrec.training.trainer import CHECKPOINT
from tests.parallel.case import DATA, Case
from tests.parallel.kills import DieAt
from tests.parallel.together import together

CASES = {parallel: Case("freedom", "bsam+", parallel=parallel) for parallel in ("columns", "batches")}


def train(rank, case, folder, resume=False, dying=None):
    """Train from the parameters of the earlier run; one process dies in the first epoch."""
    callbacks = [DieAt(1, 2)] if rank == dying else []
    options = {"init_from": folder.parent / "earlier", "callbacks": callbacks, "log_warnings": False}
    try:
        flatrec.run_experiment(case.experiment().replace(seed=1), DATA, folder, resume=resume, **options)
    except LostProcessError:
        assert dying is not None


@pytest.mark.parametrize("name", CASES)
def test_processes_that_are_killed_begin_again_with_the_parameters_of_the_earlier_run(name, tmp_path):
    case = CASES[name]
    flatrec.run_experiment(case.experiment(), DATA, tmp_path / "earlier", log_warnings=False)
    together(2, train, case, tmp_path / "run", False, 1, folder=tmp_path / "first", dying=1)
    together(2, train, case, tmp_path / "run", True, folder=tmp_path / "second")
    train(0, case, tmp_path / "alone")
    shared, alone = (checkpoint.load(tmp_path / folder / CHECKPOINT).tensors for folder in ("run", "alone"))
    for name, tensor in alone.items():
        torch.testing.assert_close(shared[name], tensor, rtol=1e-4, atol=1e-5)
    assert flatrec.load_run(tmp_path / "run", DATA).result["init_from"]["users"]["taken"] == DATA.n_users
