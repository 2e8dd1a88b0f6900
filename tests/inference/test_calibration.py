"""The scale of new items: by hand, by brute force, and where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.inference import calibration as module
from flatrec.inference.calibration import TreatedAsNew, calibrate, sample


def nothing_seen(users, items):
    return sparse.csr_array((len(users), len(items)))


def places_by_brute_force(users, items, treated, seen, k, scale):
    """Places of the treated items over all folds, by lists of Python sorts."""
    folds = [fold for fold in np.array_split(np.arange(len(treated.indices)), module.N_FOLDS) if len(fold)]
    count = 0
    for fold in folds:
        table = items.clone()
        replaced = treated.indices[fold]
        table[replaced] = scale * treated.embeddings[torch.from_numpy(fold)]
        scores = (users.double() @ table.double().T).numpy()
        for user, row in enumerate(scores):
            hidden = set(seen[[user]].indices.tolist())
            allowed = [item for item in range(len(items)) if item not in hidden]
            best = sorted(allowed, key=lambda item: -row[item])[:k]
            count += len(set(best) & set(replaced.tolist()))
    return count


def test_one_user_and_one_new_item_by_hand():
    """Scores 4, 3, 2 as trained; the item of score 3 gets 1 as a new one, and enters a list of two above 2 / 1."""
    users, items = torch.tensor([[1.0]]), torch.tensor([[4.0], [3.0], [2.0]])
    treated = TreatedAsNew(np.array([1]), torch.tensor([[1.0]]))
    found = calibrate(users, items, treated, seen=nothing_seen(users, items), k=2)
    assert found.scale > 2
    assert (found.slots, found.slots_before, found.slots_after) == (1, 0, 1)


def test_a_place_that_the_item_does_not_hold_as_trained_is_not_given_to_it():
    users, items = torch.tensor([[1.0]]), torch.tensor([[4.0], [3.0], [2.0]])
    treated = TreatedAsNew(np.array([2]), torch.tensor([[5.0]]))
    found = calibrate(users, items, treated, seen=nothing_seen(users, items), k=2)
    assert found.scale == pytest.approx(3 / 5 / 2)
    assert (found.slots, found.slots_before, found.slots_after) == (0, 1, 0)


@pytest.mark.parametrize("seed", range(5))
def test_the_places_are_those_of_brute_force_and_as_many_as_trained(seed, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_SCORES", 130)
    stream = torch.Generator().manual_seed(seed)
    users, items = torch.rand(12, 4, generator=stream), torch.rand(40, 4, generator=stream)
    indices = torch.randperm(40, generator=stream)[:23].numpy()
    treated = TreatedAsNew(indices, 0.7 * items[indices] + 0.1 * torch.rand(23, 4, generator=stream))
    seen = sparse.random_array((12, 40), density=0.2, rng=np.random.default_rng(seed), format="csr")
    found = calibrate(users, items, treated, seen=seen, k=5)
    assert found.slots_before == places_by_brute_force(users, items, treated, seen, 5, 1.0)
    assert found.slots_after == places_by_brute_force(users, items, treated, seen, 5, found.scale)
    assert found.slots == found.slots_after
    assert found.slots_before < found.slots
    assert found.scale > 1


def test_items_whose_embeddings_stay_the_same_keep_their_places():
    stream = torch.Generator().manual_seed(3)
    users, items = torch.rand(30, 4, generator=stream), torch.rand(50, 4, generator=stream)
    treated = TreatedAsNew(np.arange(50), items / 3)
    found = calibrate(users, items, treated, seen=nothing_seen(users, items), k=10)
    assert found.slots == found.slots_after == 300
    assert found.scale == pytest.approx(3, rel=0.02)


def test_embeddings_without_a_positive_score_are_left_as_they_are():
    users, items = torch.tensor([[1.0]]), torch.tensor([[4.0], [3.0]])
    treated = TreatedAsNew(np.array([0]), torch.tensor([[-1.0]]))
    found = calibrate(users, items, treated, seen=nothing_seen(users, items), k=1)
    assert (found.scale, found.slots, found.slots_after) == (1.0, 1, 0)


def test_a_user_who_has_seen_almost_everything_lists_new_items_at_any_scale():
    users, items = torch.tensor([[1.0]]), torch.tensor([[4.0], [3.0], [2.0]])
    treated = TreatedAsNew(np.array([1]), torch.tensor([[0.01]]))
    seen = sparse.csr_array(([1.0], ([0], [0])), shape=(1, 3))
    found = calibrate(users, items, treated, seen=seen, k=2)
    assert (found.slots, found.slots_before, found.slots_after) == (1, 1, 1)


def test_a_sample_depends_on_the_seed_and_the_purpose_alone():
    candidates = np.arange(100, 200)
    one = sample(candidates, 10, 0, "items")
    np.testing.assert_array_equal(one, sample(candidates, 10, 0, "items"))
    assert len(np.unique(one)) == 10
    assert set(one.tolist()) <= set(candidates.tolist())
    assert (one != sample(candidates, 10, 1, "items")).any()
    assert (one != sample(candidates, 10, 0, "users")).any()
    assert len(sample(candidates, 1000, 0, "items")) == 100


@pytest.mark.parametrize(("length", "scale"), [(1e-6, 10.0), (1e6, 0.1)])
def test_embeddings_of_almost_no_length_do_not_decide(length, scale):
    users, items = torch.tensor([[1.0]]), torch.tensor([[4.0], [3.0], [2.0]])
    treated = TreatedAsNew(np.array([1]), torch.tensor([[length]]))
    assert calibrate(users, items, treated, seen=nothing_seen(users, items), k=2).scale == scale
