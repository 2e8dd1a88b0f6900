import numpy as np
import pytest
import torch

from flatrec import testing
from flatrec.data.features import Features
from flatrec.models import ContentKNN, HybridKNN, ItemKNN
from tests.models.shops import weighted_dataset


def with_features(missing=()):
    """Unequal data with three modalities; items ``missing`` lack the image."""
    generator = np.random.default_rng(3)
    dataset = weighted_dataset()
    present = {name: np.ones(24, dtype=np.bool_) for name in ("audio", "image", "text")}
    present["image"][list(missing)] = False
    widths = {"audio": 3, "image": 7, "text": 5}
    return dataset.with_features(
        {
            name: Features(generator.standard_normal((24, width)).astype(np.float32), present[name])
            for name, width in widths.items()
        }
    )


def expected_similarities(dataset, missing_modality, image_weight):
    """The similarities pair by pair, before any is left out."""
    weights = {"audio": (1 - image_weight) / 2, "image": image_weight, "text": (1 - image_weight) / 2}
    found = np.zeros((24, 24))
    for name, one in dataset.features.items():
        rows = one.values.astype(np.float64).copy()
        rows[~one.present] = rows[one.present].mean(axis=0) if missing_modality == "mean" else 0
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows / np.where(lengths > 0, lengths, 1)
        found += weights[name] * rows @ rows.T
    np.fill_diagonal(found, 0)
    return np.maximum(found, 0)


@pytest.mark.parametrize("missing_modality", ["mean", "zero"])
@pytest.mark.parametrize("missing", [(), (2, 9, 17), tuple(range(24))], ids=["none", "some", "all"])
def test_similarities_are_cosines_of_features(missing, missing_modality):
    dataset = with_features(missing)
    if len(missing) == 24:
        missing_modality = "zero"  # there is no mean
    config = ContentKNN.Config(n_neighbors=100, image_weight=0.3, missing_modality=missing_modality)
    found = ContentKNN(dataset, config).similarities.toarray()
    np.testing.assert_allclose(found, expected_similarities(dataset, missing_modality, 0.3), rtol=1e-5, atol=1e-6)


def test_scores_are_sums_over_the_nearest_items():
    dataset = with_features((4,))
    whole = expected_similarities(dataset, "mean", 0.1)
    kept = np.where(whole >= np.sort(whole, axis=1)[:, [-3]], whole, 0)
    scoring = ContentKNN(dataset, ContentKNN.Config(n_neighbors=3)).scoring()
    expected = dataset.interactions.weight_matrix("train").toarray() @ kept
    np.testing.assert_allclose(scoring.scores(torch.arange(40)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_the_hybrid_mixes_the_similarities_of_both(weight):
    dataset = with_features((2, 9))
    both = HybridKNN(dataset, HybridKNN.Config(n_neighbors=100, content_weight=weight, shrinkage=2.0))
    by_users = ItemKNN(dataset, ItemKNN.Config(n_neighbors=100, shrinkage=2.0)).similarities.toarray()
    by_content = ContentKNN(dataset, ContentKNN.Config(n_neighbors=100)).similarities.toarray()
    expected = (1 - weight) * by_users + weight * by_content
    np.testing.assert_allclose(both.similarities.toarray(), expected, rtol=1e-5, atol=1e-6)


def test_the_hybrid_keeps_the_largest_of_the_mixed_similarities():
    dataset = with_features()
    config = {"content_weight": 0.3, "shrinkage": 0.0}
    whole = HybridKNN(dataset, HybridKNN.Config(n_neighbors=100, **config)).similarities.toarray()
    kept = HybridKNN(dataset, HybridKNN.Config(n_neighbors=4, **config)).similarities.toarray()
    np.testing.assert_array_equal(kept, np.where(whole >= np.sort(whole, axis=1)[:, [-4]], whole, 0))


@pytest.mark.parametrize("kind", [ContentKNN, HybridKNN])
def test_a_data_set_without_features_is_refused(kind):
    with pytest.raises(ValueError, match=r"needs item features.*'blocks' has none.*lightgcn"):
        kind(testing.block_dataset(modalities=()))


@pytest.mark.parametrize("names", [("image",), ("sound",), ("a", "b", "c", "d")], ids="+".join)
@pytest.mark.parametrize("kind", [ContentKNN, HybridKNN])
def test_any_modalities_give_the_blocks_away(kind, names):
    dataset = testing.block_dataset(modalities=names)
    best = kind(dataset).scoring().scores(torch.arange(30)).topk(8, dim=1).indices
    assert (best // 8 == torch.arange(30)[:, None] // 10).all()


def test_scores_of_the_hybrid_sum_the_rows_of_what_was_bought():
    dataset = with_features((2, 9))
    model = HybridKNN(dataset, HybridKNN.Config(n_neighbors=3, content_weight=0.3, shrinkage=1.0))
    expected = dataset.interactions.weight_matrix("train").toarray() @ model.similarities.toarray()
    np.testing.assert_allclose(model.scoring().scores(torch.arange(40)), expected, rtol=1e-5, atol=1e-5)
    assert not np.allclose(expected, dataset.interactions.matrix("train").toarray() @ model.similarities.toarray())


@pytest.mark.parametrize("entries", [1, 5 * 24])
@pytest.mark.parametrize("kind", [ContentKNN, HybridKNN])
def test_content_does_not_depend_on_its_blocks(kind, entries, monkeypatch):
    whole = kind(with_features()).similarities.toarray()
    monkeypatch.setattr("flatrec.models.neighbors.BLOCK_ENTRIES", entries)
    np.testing.assert_allclose(kind(with_features()).similarities.toarray(), whole, rtol=1e-5, atol=1e-6)
