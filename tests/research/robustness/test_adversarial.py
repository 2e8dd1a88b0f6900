"""Adversarial features: directions by finite differences, and the length of a step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from flatrec.config import Component, Regularization
from flatrec.models.features import FeatureTables
from flatrec.research.robustness.adversarial import AdversarialFeatures, loss_directions, moved
from flatrec.runs import objective
from flatrec.sampling.sampler import Sampler
from flatrec.sampling.uniform import Uniform
from flatrec.utils import seeding
from tests.research.robustness.test_features import DATA, subject_of

SOFTMAX = {
    "loss": Component("softmax", {"temperature": 0.5}),
    "sampling": Component("uniform", {"n_negatives": 3}),
    "regularization": Regularization(kind="squared", weight=0.25),
}


@pytest.mark.parametrize(("settings", "n_negatives"), [({}, 1), (SOFTMAX, 3)], ids=["own loss", "softmax"])
def test_directions_are_those_of_finite_differences_over_all_batches(settings, n_negatives):
    subject = subject_of("vbpr")
    subject = replace(subject, experiment=subject.experiment.replace(**settings))
    model = subject.run.model
    objective.apply(subject.experiment, model)
    directions = loss_directions(subject.run, subject.experiment, 4, 1)
    model.double()
    (reader,) = (part for part in model.modules() if isinstance(part, FeatureTables))
    batches = Sampler(
        DATA.interactions, subject.experiment.training.batch_size, negatives=Uniform(n_negatives=n_negatives)
    )
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
    assert kind.outcome(subject, 0.0, 5, 1).metrics == subject.scores(subject.scoring)
    assert kind.outcome(subject, 3.0, 5, 1).metrics == kind.outcome(subject, 3.0, 5, 1).metrics
    assert all(torch.equal(one, before[name]) for name, one in subject.run.model.state_dict().items())
