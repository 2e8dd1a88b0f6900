"""Tiny data with a known answer, and checks that every model must pass: for this package's tests and for yours."""

from flatrec.testing.datasets import block_dataset, enlarged, permuted, tiny_dataset, whole_batch
from flatrec.testing.equivariance import check_permutation
from flatrec.testing.evaluation import (
    check_embeddings,
    check_eval_deterministic,
    check_no_stale_cache,
    check_round_trip,
    check_shapes,
)
from flatrec.testing.gradients import check_gradients, check_ranking, check_step, check_strategies
from flatrec.testing.leakage import check_data_kept, check_held_out, check_isolated_nodes
from flatrec.testing.messages import ContractError, NotApplicableError
from flatrec.testing.purity import (
    check_batch,
    check_loss,
    check_pure,
    check_registered,
    check_runs,
    check_shared_encode,
)
from flatrec.testing.reproducibility import check_epoch_draw, check_initial
from flatrec.testing.runner import Finding, check_model
from flatrec.testing.runs import fit, scores

__all__ = [
    "ContractError",
    "Finding",
    "NotApplicableError",
    "block_dataset",
    "check_batch",
    "check_data_kept",
    "check_embeddings",
    "check_epoch_draw",
    "check_eval_deterministic",
    "check_gradients",
    "check_held_out",
    "check_initial",
    "check_isolated_nodes",
    "check_loss",
    "check_model",
    "check_no_stale_cache",
    "check_permutation",
    "check_pure",
    "check_ranking",
    "check_registered",
    "check_round_trip",
    "check_runs",
    "check_shapes",
    "check_shared_encode",
    "check_step",
    "check_strategies",
    "enlarged",
    "fit",
    "permuted",
    "scores",
    "tiny_dataset",
    "whole_batch",
]
