"""Every fault is found by the check meant for it, and no model of the library has one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flatrec import testing
from flatrec.models import MODELS
from flatrec.testing import examine
from tests.testing import faults


def failed(findings):
    return [one.check for one in findings if one.outcome == "FAILED"]


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_passes_every_check(name):
    assert [(one.check, one.reason) for one in examine(MODELS[name]) if one.outcome != "ok"] == []


def test_a_sound_model_passes_every_check():
    assert {one.outcome for one in examine(faults.Sound)} == {"ok"}


@pytest.mark.parametrize("fault", faults.FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_found_by_its_check_and_by_no_other_than_it_implies(fault):
    findings = examine(fault)
    assert sorted(failed(findings)) == sorted(faults.FAULTS[fault])
    assert all(one.reason and "\n" not in one.reason for one in findings if one.outcome != "ok")


@pytest.mark.parametrize(
    ("fault", "check", "part"),
    [
        (faults.UnregisteredInAList, "registered", "weights[0]['first'][0], weights[1]: "),
        (faults.LayersInAList, "registered", "layers[0].bias, layers[0].weight"),
        (faults.WritingLoss, "pure loss", "change last_loss;"),
        (faults.EditingBatch, "batch kept", "batch.positives, batch.negatives in place"),
        (faults.EditingBatch, "strategies", "sam: IndexError"),
        (faults.DeadParameter, "gradients", "does not reach unused.weight, unused.bias;"),
        (faults.NonFiniteGradient, "gradients", "the gradient of nodes must be finite"),
        (faults.WrongRows, "shapes", "(33, 8) and (27, 8), but have (33, 8) and (26, 8)"),
        (faults.GlobalDraw, "epoch draw", "noise changes with torch's global state"),
        (faults.EpochThatRemembers, "epoch draw", "noise in epoch 2 depends on epoch 1"),
        (faults.StaleEvaluation, "fresh evaluation", "after a training forward"),
        (faults.StaleAfterEvaluation, "fresh evaluation", "after an evaluation"),
        (faults.BreakingWhenPerturbed, "strategies", "sam: a loss or gradient is not finite"),
    ],
)
def test_reasons_name_what_is_wrong(fault, check, part):
    (reason,) = [one.reason for one in examine(fault) if one.check == check]
    assert part in reason


@pytest.mark.parametrize(
    ("model", "reason"),
    [(faults.OddSize, "pairs has shape (891,)"), (faults.NoisyEvaluation, "random"), (faults.WrongWidth, "shape")],
)
def test_numbering_is_skipped_with_a_reason_where_it_cannot_be_told(model, reason):
    (finding,) = [one for one in examine(model) if one.check == "numbering"]
    assert finding.outcome == "skipped"
    assert reason in finding.reason


def test_a_model_that_raises_fails_its_checks_and_not_the_examination():
    class Raising(faults.Sound):
        def encode(self):
            raise NotImplementedError

    findings = examine(Raising)
    assert len(findings) == 13
    assert {one.reason for one in findings if one.outcome == "FAILED"} >= {"NotImplementedError"}


def test_the_random_state_of_the_caller_is_left_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    examine(faults.GlobalDraw)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_second_name_for_a_parameter_is_no_unregistered_tensor(batch_of_sound):
    model, batch = batch_of_sound
    model.tables = [model.nodes, {"again": model.nodes}]
    testing.check_registered(model, batch)


def test_a_second_name_for_a_buffer_is_one(batch_of_sound):
    model, batch = batch_of_sound
    model.register_buffer("shares", torch.ones(3))
    model.tables = [model.shares]
    with pytest.raises(AssertionError, match=r"tables\[0\]"):
        testing.check_registered(model, batch)


@pytest.fixture
def batch_of_sound():
    dataset = testing.tiny_dataset()
    return faults.Sound(dataset), testing.whole_batch(dataset)


def test_numbering_copes_with_sizes_that_happen_to_be_equal():
    # 12 users, 12 items, and a table of 12 columns: no size tells what it counts.
    dataset = testing.block_dataset(blocks=3, users=4, items=4)
    testing.check_permutation(lambda data: faults.Sound(data, dim=12), dataset)
    with pytest.raises(AssertionError, match="scores must not depend"):
        testing.check_permutation(faults.NumberedItems, dataset)


def test_a_larger_data_set_has_copies_of_the_first_users_and_items():
    small = testing.block_dataset()
    large = testing.enlarged(small, users=2, items=3)
    assert (large.n_users, large.n_items) == (32, 27)
    before, after = (one.interactions.matrix("train").toarray() for one in (small, large))
    assert np.array_equal(after[:30, :24], before)
    assert np.array_equal(after[30:, :24], before[:2])
    assert np.array_equal(after[:30, 24:], before[:, :3])
    assert np.array_equal(large.features["text"].values[24:], small.features["text"].values[:3])
