"""Disturbed features: what changes, and scores of a model that is built again from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flatrec.config import Component, Evaluation, Experiment
from flatrec.data.features import Features
from flatrec.inference.run import Run
from flatrec.models.features import FeatureTables
from flatrec.registry.instantiate import build_model
from flatrec.research.robustness import Subject
from flatrec.research.robustness.features import EditedFeatures, FeatureNoise, MissingFeatures, ShuffledFeatures
from flatrec.testing import block_dataset
from flatrec.utils import seeding

DATA = block_dataset(blocks=3, users=8, items=6)
KINDS = [FeatureNoise(), ShuffledFeatures(), MissingFeatures(), EditedFeatures()]


def subject_of(model, dataset=DATA, **settings):
    """A model with random parameters, as training would leave them, and its settings."""
    experiment = Experiment(model=Component(model, {"embedding_dim": 4, **settings}), evaluation=Evaluation(ks=(3, 10)))
    built = build_model(experiment.model, dataset, 0)
    stream = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=stream))
    return Subject.of_run(Run.of(dataset, built.eval(), experiment.evaluation), experiment, model)


@pytest.mark.parametrize("model", ["vbpr", "freedom"])
@pytest.mark.parametrize("kind", KINDS)
def test_level_0_changes_nothing(model, kind):
    subject = subject_of(model)
    assert kind.outcome(subject, 0.0, 5, 1).metrics == subject.scores(subject.scoring)


@pytest.mark.parametrize("kind", [FeatureNoise(), ShuffledFeatures(), MissingFeatures()])
def test_vbpr_scores_as_one_that_was_given_the_disturbed_features(kind):
    subject = subject_of("vbpr")
    changed = kind.disturbed(DATA, 0.5, seeding.generator(5, f"{kind.NAME} 0.5", 1))
    other = build_model(subject.experiment.model, changed, 0)
    other.load_state_dict(subject.run.model.state_dict())
    expected = Run.of(changed, other.eval(), subject.evaluation).evaluate("test").metrics
    assert kind.outcome(subject, 0.5, 5, 1).metrics == expected
    assert expected != subject.scores(subject.scoring)


def test_noise_is_relative_to_each_row():
    values = np.outer([1, 100] * 9, np.ones(5000)).astype(np.float32)
    data = DATA.with_features({"text": Features(values, np.arange(18) > 1)})
    changed = FeatureNoise().disturbed(data, 0.2, torch.Generator().manual_seed(0)).features["text"]
    ratio = np.linalg.norm(changed.values - data.features["text"].values, axis=1)[2:] / np.linalg.norm(
        values[2:], axis=1
    )
    assert ratio == pytest.approx(0.2, rel=0.05)
    assert changed.present.tolist() == data.features["text"].present.tolist()
    assert not changed.values[:2].any()


@pytest.mark.parametrize(("level", "n_chosen"), [(0.5, 9), (1.0, 18)])
def test_shuffling_permutes_the_chosen_rows_of_all_modalities_alike(level, n_chosen):
    number = np.arange(18, dtype=np.float32)[:, None]
    data = DATA.with_features({name: Features(number, np.arange(18) != 3) for name in ("image", "text")})
    changed = ShuffledFeatures().disturbed(data, level, torch.Generator().manual_seed(0)).features
    image, text = (changed[name].values[:, 0].astype(int) for name in ("image", "text"))
    assert image.tolist() == text.tolist()
    assert changed["image"].present.sum() == 17
    moved = np.flatnonzero(image != np.arange(18))
    assert 0 < len(moved) <= n_chosen
    given = set(range(18)) - {0, 3}
    assert set(image.tolist()) - {0} == given


def test_missing_features_are_missing_in_every_modality():
    changed = MissingFeatures().disturbed(DATA, 0.5, torch.Generator().manual_seed(0)).features
    assert changed["image"].present.sum() == 9
    assert changed["image"].present.tolist() == changed["text"].present.tolist()


def test_trained_tables_change_as_features_do(monkeypatch):
    subject = subject_of("freedom")
    (before,) = (part for part in subject.run.model.modules() if isinstance(part, FeatureTables))
    seen = []
    from flatrec.research.robustness import features

    scoring_of = features.scoring_of
    monkeypatch.setattr(features, "scoring_of", lambda run: seen.append(run.model) or scoring_of(run))
    MissingFeatures().outcome(subject, 0.5, 5, 0)
    (after,) = (part for part in seen[0].modules() if isinstance(part, FeatureTables))
    stream = seeding.generator(5, "missing 0.5", 0)
    gone = torch.randperm(18, generator=stream)[:9]
    kept = torch.tensor([item for item in range(18) if item not in gone.tolist()])
    for old, new in zip(before(), after(), strict=True):
        assert torch.equal(old[kept], new[kept])
        assert torch.allclose(new[gone], old[kept].mean(0).expand(9, -1), atol=1e-6)


def test_kinds_that_do_not_apply_say_why():
    assert all(kind.reason(subject_of("lightgcn")) == "the model reads no features" for kind in KINDS)
    vectors = Subject.of_vectors(subject_of("lightgcn").scoring, DATA, Evaluation(), "mine")
    assert all("only vectors are known" in kind.reason(vectors) for kind in KINDS)
    learned = subject_of("vbpr", missing_modality="learned")
    assert "no item lacked them" in MissingFeatures().reason(learned)
    other = DATA.with_features({"sound": DATA.features["text"]})
    assert "neither text nor image" in EditedFeatures().reason(subject_of("vbpr", other))
    assert all(kind.reason(subject_of("vbpr")) == "" for kind in KINDS)
