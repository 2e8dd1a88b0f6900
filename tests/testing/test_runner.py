"""Every fault is found by the check meant for it, and no model of the library has one."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
import torch

from flatrec import testing
from flatrec.testing import check_model, gradients
from tests.testing import faults


@cache
def findings_of(fault):
    return check_model(fault)


@pytest.fixture(autouse=True)
def _few_strategies(monkeypatch):
    """Each kind of strategy once; tests/models/test_contract.py takes steps with all of them."""
    few = ("plain", "sam", "bsam", "mg")
    for name in ("STRATEGIES", "MIXABLE"):
        found = getattr(gradients, name)
        monkeypatch.setattr(gradients, name, {key: one for key, one in found.items() if key in few})


def failed(findings):
    return [one.check for one in findings if one.outcome == "FAILED"]


@pytest.mark.parametrize("model", [faults.Sound, faults.JoiningLater])
def test_a_sound_model_passes_every_check(model):
    assert [(one.check, one.reason) for one in check_model(model) if one.outcome != "ok"] == []


@pytest.mark.parametrize("fault", faults.FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_found_by_its_check_and_by_no_other_than_it_implies(fault):
    findings = findings_of(fault)
    assert sorted(failed(findings)) == sorted(faults.FAULTS[fault])
    assert all(one.reason and "\n" not in one.reason for one in findings if one.outcome != "ok")


@pytest.mark.parametrize(
    ("fault", "check", "part"),
    [
        (faults.UnregisteredInAList, "registered tensors", "\"weights[0]['first'][0]\", 'weights[1]'"),
        (faults.LayersInAList, "registered tensors", "'layers[0].bias', 'layers[0].weight'"),
        (faults.WritingLoss, "pure loss", "change 'last_loss';"),
        (faults.EditingBatch, "batch unchanged", "'batch.positives', 'batch.negatives' in place"),
        (
            faults.EditingBatch,
            "strategies",
            "sam: IndexError: index out of range in self (faults.py:",
        ),
        (faults.DeadParameter, "gradients", "first 3 steps of two epochs reaches 'unused.weight', 'unused.bias';"),
        (faults.NonFiniteGradient, "gradients", "the gradient of 'nodes' must be finite"),
        (faults.WrongRows, "shapes", "(33, 8) and (27, 8), but have (33, 8) and (26, 8)"),
        (faults.GlobalDraw, "epoch draw", "'noise' differs; in on_epoch_start draw from the given generator alone"),
        (faults.EpochThatRemembers, "epoch draw", "'noise' in epoch 2 depends on epoch 1"),
        (faults.StaleEvaluation, "no stale cache", "after a training forward"),
        (faults.StaleAfterEvaluation, "no stale cache", "after an evaluation"),
        (faults.EditingBatchByName, "runs", "'batch.positives' in place; write batch.x + n"),
        (faults.Leaving, "runs", "SystemExit: 0 (faults.py:"),
        (faults.BareEncode, "runs", "encode must return flatrec.models.Encoded, but returns a tuple"),
        (faults.TupleLoss, "runs", "must return one scalar tensor, but returns a tuple; add the terms up"),
        (faults.FloatLoss, "runs", "must return one scalar tensor, but returns a float; compute it with torch"),
        (faults.NoLoss, "runs", "must return one scalar tensor, but returns None; end it with return"),
        (faults.VectorLoss, "runs", "a tensor of shape (2,); take its mean or sum"),
        (faults.RepresentationsOfTheLastLoss, "runs", "but returns a tuple of None and None; compute both"),
        (faults.SparseGradient, "runs", "'offsets.weight' must be dense, but is sparse"),
        (faults.SparseState, "checkpoint", "'graph' is a sparse tensor; register it with persistent=False"),
        (faults.EvaluationOfTheEpoch, "checkpoint", "let encode leave out in evaluation"),
        (faults.TrainedFeatures, "data unchanged", "'features[\"image\"].values'"),
        (faults.AllPartsInTheGraph, "held-out data unseen", "the embeddings of users and the loss; read"),
        (faults.DividingByDegree, "isolated nodes", "NaN or infinity is in the embeddings of users; where"),
        (faults.SeedOfItsOwn, "initial parameters", "take torch.manual_seed out"),
        (faults.StreamOfItsOwn, "initial parameters", "'nodes' stays the same"),
        (faults.NumPyStart, "initial parameters", "'weight' differs; draw initial values with torch alone"),
        (faults.NumPyLoss, "pure loss", "not with NumPy or Python"),
        (faults.BatchNormalised, "pure loss", "track_running_stats=False, or nn.LayerNorm"),
        (faults.NothingToTrain, "gradients", "no trainable parameter"),
        (faults.BreakingWhenPerturbed, "strategies", "sam: a loss or gradient is not finite"),
    ],
)
def test_reasons_name_what_is_wrong(fault, check, part):
    (reason,) = [one.reason for one in findings_of(fault) if one.check == check]
    assert part in reason


@pytest.mark.parametrize(
    ("model", "reason"),
    [(faults.OddSize, "'pairs' has shape (891,)"), (faults.NoisyEvaluation, "random"), (faults.WrongWidth, "shape")],
)
def test_permutation_is_skipped_with_a_reason_where_it_cannot_be_told(model, reason):
    (finding,) = [one for one in findings_of(model) if one.check == "permutation"]
    assert finding.outcome == "skipped"
    assert reason in finding.reason


def test_a_model_that_does_not_run_fails_once_and_not_the_examination():
    class Raising(faults.Sound):
        def encode(self):
            raise NotImplementedError

    first, *others = check_model(Raising)
    assert (first.check, first.outcome) == ("runs", "FAILED")
    assert re.fullmatch(r"NotImplementedError \(test_runner.py:\d+\)", first.reason)
    assert isinstance(first.error, NotImplementedError)
    assert {(one.outcome, one.reason) for one in others} == {("skipped", "the model does not run")}
    assert len(others) == 19


def test_what_rests_on_training_is_skipped_where_nothing_is_trained():
    skipped = {one.check: one.reason for one in findings_of(faults.NothingToTrain) if one.outcome == "skipped"}
    assert set(skipped) == {"step", "ranking", "shared encode", "strategies", "checkpoint", "permutation"}
    assert set(skipped.values()) == {"nothing is trained, which another check reports"}


def test_an_assertion_of_the_model_is_told_from_a_failed_check():
    class Asserting(faults.Sound):
        def encode(self):
            assert self.sizes == 3, "sizes are odd"

    reason = check_model(Asserting)[0].reason
    assert reason.startswith("AssertionError: sizes are odd")
    assert "(test_runner.py:" in reason


def test_a_batch_whose_column_is_replaced_is_reported_by_its_own_check(batch_of_sound):
    _, batch = batch_of_sound
    with pytest.raises(AssertionError, match=r"edits 'batch.positives' in place; write batch.x \+ n"):
        testing.check_batch(faults.EditingBatchByName(testing.tiny_dataset()), batch)


def test_the_data_set_given_is_not_written_whatever_the_model_does():
    dataset = testing.tiny_dataset()
    before = dataset.features["image"].values.copy()
    assert failed(check_model(faults.TrainedFeatures, dataset)) == ["data unchanged"]
    assert np.array_equal(dataset.features["image"].values, before)


def test_the_random_state_of_the_caller_is_left_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check_model(faults.GlobalDraw)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_random_state_of_numpy_is_left_alone_too():
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    check_model(faults.NumPyDraw)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_a_second_name_for_a_parameter_is_no_unregistered_tensor(batch_of_sound):
    model, batch = batch_of_sound
    model.tables = [model.nodes, {"again": model.nodes}]
    testing.check_registered(model, batch)


def test_a_second_name_for_a_buffer_is_one(batch_of_sound):
    model, batch = batch_of_sound
    model.register_buffer("shares", torch.ones(3))
    model.tables = [model.shares]
    with pytest.raises(AssertionError, match=r"hold 'tables\[0\]'"):
        testing.check_registered(model, batch)


@pytest.fixture
def batch_of_sound():
    dataset = testing.tiny_dataset()
    return faults.Sound(dataset), testing.whole_batch(dataset)


def test_permutation_copes_with_sizes_that_happen_to_be_equal():
    # 12 users, 12 items, and a table of 12 columns: no size tells what it counts.
    dataset = testing.block_dataset(blocks=3, users=4, items=4)
    testing.check_permutation(lambda data: faults.Sound(data, faults.Sound.Config(dim=12)), dataset)
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
