"""Adversarial features: directions by finite differences, and the length of a step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flatrec.models.features import FeatureTables
from flatrec.research.robustness.adversarial import AdversarialFeatures, loss_directions, moved
from flatrec.sampling.sampler import Sampler
from flatrec.utils import seeding
from tests.research.robustness.test_features import DATA, subject_of


def test_directions_are_those_of_finite_differences_over_all_batches():
    subject = subject_of("vbpr")
    model = subject.run.model
    directions = loss_directions(subject.run, subject.experiment, 4, 1)
    model.double()
    (reader,) = (part for part in model.modules() if isinstance(part, FeatureTables))
    batches = Sampler(DATA.interactions, subject.experiment.training.batch_size)
    batches = [batch for (batch,) in batches.epoch(seeding.generator(4, "adversarial", 1))]
    tables = [table.detach().clone().double() for table in reader()]

    @torch.no_grad()
    def loss():
        with reader.replaced(tables):
            return sum(float(model.loss(model.encode(), batch)) * len(batch) for batch in batches)

    for name, table in zip(reader.names, tables, strict=True):
        slopes = torch.zeros_like(table)
        for row in (0, 7):
            for column in range(table.shape[1]):
                for sign in (1, -1):
                    table[row, column] += sign * 1e-5
                    slopes[row, column] += sign * loss() / 2e-5
                    table[row, column] -= sign * 1e-5
            expected = slopes[row] / slopes[row].norm()
            assert directions[name][row].tolist() == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_step_is_as_long_as_the_level_says():
    subject = subject_of("vbpr")
    changed = moved(DATA, loss_directions(subject.run, subject.experiment, 4, 1), 0.1)
    for name, before in DATA.features.items():
        lengths = np.linalg.norm(changed.features[name].values - before.values, axis=1)
        assert lengths / np.linalg.norm(before.values, axis=1) == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize("model", ["vbpr", "freedom", "bm3"])
def test_level_0_changes_nothing_and_parameters_stay(model):
    subject = subject_of(model)
    before = {name: one.clone() for name, one in subject.run.model.state_dict().items()}
    kind = AdversarialFeatures()
    assert kind.scores(subject, 0.0, 5, 1) == subject.scores(subject.scoring)
    assert kind.scores(subject, 3.0, 5, 1) == kind.scores(subject, 3.0, 5, 1)
    assert all(torch.equal(one, before[name]) for name, one in subject.run.model.state_dict().items())
