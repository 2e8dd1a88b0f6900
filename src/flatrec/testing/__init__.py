"""Tiny data with a known answer, and checks that every model must pass: for this package's tests and for yours."""

from flatrec.testing.checks import (
    check_batch,
    check_gradients,
    check_loss,
    check_pure,
    check_registered,
    check_runs,
    check_shared_encode,
)
from flatrec.testing.data import block_dataset, enlarged, permuted, tiny_dataset, whole_batch
from flatrec.testing.equivariance import check_permutation
from flatrec.testing.evaluations import (
    check_eval_deterministic,
    check_no_stale_cache,
    check_representations,
    check_round_trip,
    check_shapes,
)
from flatrec.testing.leakage import check_data_kept, check_held_out, check_isolated_nodes
from flatrec.testing.messages import ContractError, NotApplicableError
from flatrec.testing.reproducibility import check_epoch_draw, check_initial
from flatrec.testing.runner import Finding, check_model
from flatrec.testing.runs import fit, scores
from flatrec.testing.updates import check_ranking, check_step, check_strategies

__all__ = [
    "ContractError",
    "Finding",
    "NotApplicableError",
    "block_dataset",
    "check_batch",
    "check_isolated_nodes",
    "check_data_kept",
    "check_epoch_draw",
    "check_no_stale_cache",
    "check_gradients",
    "check_held_out",
    "check_initial",
    "check_loss",
    "check_permutation",
    "check_pure",
    "check_eval_deterministic",
    "check_ranking",
    "check_registered",
    "check_representations",
    "check_round_trip",
    "check_runs",
    "check_shapes",
    "check_shared_encode",
    "check_step",
    "check_strategies",
    "enlarged",
    "check_model",
    "fit",
    "permuted",
    "scores",
    "tiny_dataset",
    "whole_batch",
]
