"""The model's contract on data with an augmentation, and the parts of it that may be missing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from flatrec import testing
from flatrec.data.augmentation import Augmentation
from flatrec.data.features import Features
from flatrec.models import LLMRec
from flatrec.models.augmented import Suggestions

OPTIONS = {"embedding_dim": 8, "prune_fraction": 0.3, "attribute_weight": 0.3, "attribute_bpr_weight": 0.1}
MASKED = {"mask_fraction": 0.3, "restoration_weight": 0.5}


def augmented(dataset, *, profiles=True, attributes=("genre", "year"), suggestions=True):
    """Vectors with some rows missing, and pairs for half of the users."""
    rng = np.random.default_rng(3)

    def drawn(rows, width):
        return Features(rng.standard_normal((rows, width)).astype(np.float32), rng.random(rows) < 0.9)

    pairs = np.where(rng.random((dataset.n_users, 1)) < 0.5, rng.integers(0, dataset.n_items, (dataset.n_users, 2)), -1)
    said = Augmentation(
        drawn(dataset.n_users, 6) if profiles else None,
        {name: drawn(dataset.n_items, 5) for name in attributes},
        pairs if suggestions else None,
    )
    return replace(dataset, augmentation=said)


@pytest.mark.parametrize("options", [{}, MASKED], ids=["plain", "masked"])
def test_it_passes_every_check_with_all_that_a_language_model_says(options, monkeypatch):
    monkeypatch.setattr("flatrec.testing.runner.check_strategies", lambda *_: None)
    findings = testing.check_model(
        lambda data: LLMRec(data, LLMRec.Config(**OPTIONS, **options)), augmented(testing.tiny_dataset())
    )
    assert [(one.check, one.reason) for one in findings if one.outcome != "ok"] == []


@pytest.mark.parametrize(
    ("parts", "terms"),
    [
        ({"profiles": False}, {"restoration/item_genre", "restoration/item_year"}),
        ({"attributes": ()}, {"restoration/users"}),
        ({"suggestions": False}, {"attributes/genre", "attributes/year", "restoration/users"}),
        ({"profiles": False, "attributes": (), "suggestions": False}, set()),
    ],
)
def test_each_part_may_be_missing(parts, terms):
    dataset = augmented(testing.block_dataset(), **parts)
    model, batch = LLMRec(dataset, LLMRec.Config(**OPTIONS, **MASKED)), testing.whole_batch(dataset)
    testing.check_gradients(model, batch)
    testing.check_pure(model, batch)
    found = model.train().loss_terms(model.encode(), batch)
    assert terms <= found.keys()
    assert ("attributes/year" in found) == ({"profiles", "attributes"}.isdisjoint(parts))


def test_pairs_extend_a_batch_in_training_at_random_and_otherwise_in_its_order():
    dataset = augmented(testing.block_dataset())
    pairs, batch = Suggestions(dataset.augmentation), testing.whole_batch(dataset)
    there = dataset.augmentation.is_suggested[batch.users[:18].numpy()]
    first = pairs.extended(batch, 0.1, random=False)
    assert first.users[len(batch) :].tolist() == batch.users[:18][torch.from_numpy(there)].tolist()
    drawn = {len(pairs.extended(batch, 0.1, random=True)) for _ in range(20)}
    assert len(drawn) > 1
    assert pairs.extended(batch, 0.0, random=True) is batch


def test_masks_are_of_the_step_and_not_of_what_is_stored():
    dataset = augmented(testing.block_dataset())
    model = LLMRec(dataset, LLMRec.Config(**OPTIONS, **MASKED))
    before = testing.scores(model)
    model.train()
    outcomes = [model.encode().node_embeddings for _ in range(2)]
    assert not torch.equal(*outcomes)
    assert torch.equal(testing.scores(model), before)


def test_a_restoration_without_a_mask_is_refused():
    with pytest.raises(ValueError, match=r"restoration_weight is 0.5, but nothing is masked that.*set mask_fraction"):
        LLMRec(testing.block_dataset(), LLMRec.Config(restoration_weight=0.5))
