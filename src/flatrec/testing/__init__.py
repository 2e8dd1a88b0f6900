"""Tiny data with a known answer, and checks that every model must pass: for this package's tests and for yours."""

from flatrec.testing.checks import (
    check_batch,
    check_epoch_draw,
    check_gradients,
    check_loss,
    check_pure,
    check_registered,
    check_shared_encode,
    check_step,
    check_strategies,
)
from flatrec.testing.data import block_dataset, enlarged, permuted, whole_batch
from flatrec.testing.evaluations import (
    check_fresh,
    check_quiet,
    check_representations,
    check_round_trip,
    check_shapes,
)
from flatrec.testing.examination import Finding, examine, tiny_dataset
from flatrec.testing.numbering import NotApplicableError, check_permutation
from flatrec.testing.runs import fit, scores

__all__ = [
    "Finding",
    "NotApplicableError",
    "block_dataset",
    "check_batch",
    "check_epoch_draw",
    "check_fresh",
    "check_gradients",
    "check_loss",
    "check_permutation",
    "check_pure",
    "check_quiet",
    "check_registered",
    "check_representations",
    "check_round_trip",
    "check_shapes",
    "check_shared_encode",
    "check_step",
    "check_strategies",
    "enlarged",
    "examine",
    "fit",
    "permuted",
    "scores",
    "tiny_dataset",
    "whole_batch",
]
