"""Noise on vectors, by an independent computation in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flatrec.config import Evaluation
from flatrec.models.scoring import Vectors
from flatrec.research.robustness import Subject, measure, read_vectors
from flatrec.research.robustness.card import Level
from flatrec.research.robustness.noise import ItemNoise, VectorNoise, with_relative_noise
from flatrec.testing import block_dataset
from flatrec.utils import seeding

DATA = block_dataset(blocks=3, users=8, items=6)


@pytest.fixture
def subject():
    stream = torch.Generator().manual_seed(3)
    vectors = Vectors(*(torch.randn(rows, 5, generator=stream) for rows in (DATA.n_users, DATA.n_items)))
    return Subject.of_vectors(vectors, DATA, Evaluation(ks=(3, 10)), "mine")


def recall(users, items, k):
    """Recall on the test split by a full sort."""
    known = DATA.interactions
    scores = users.astype(np.float64) @ items.astype(np.float64).T
    scores[known.indices("train")] = -np.inf
    values = []
    for user in range(DATA.n_users):
        wanted = set(known.items[(known.users == user) & (known.splits == 2)].tolist())
        if wanted:
            values.append(len(wanted & set(np.argsort(-scores[user])[:k].tolist())) / len(wanted))
    return np.mean(values)


def noise(vectors, level, stream):
    """Noise as the definition has it, entry by entry."""
    drawn = torch.randn(vectors.shape, generator=stream).numpy()
    lengths = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    return vectors + level * lengths / np.sqrt(vectors.shape[1]) * drawn


@pytest.mark.parametrize("level", [0.2, 0.5])
@pytest.mark.parametrize("draw", [0, 2])
def test_scores_are_those_of_a_full_sort_with_the_same_draw(subject, level, draw):
    users, items = (rows.numpy() for rows in (subject.scoring.users, subject.scoring.items))
    stream = seeding.generator(7, f"noise on items {level:g}", draw)
    expected = recall(users, noise(items, level, stream), 3)
    assert ItemNoise().outcome(subject, level, 7, draw).metrics["recall@3"] == pytest.approx(expected, abs=1e-10)
    stream = seeding.generator(7, f"noise {level:g}", draw)
    expected = recall(noise(users, level, stream), noise(items, level, stream), 3)
    assert VectorNoise().outcome(subject, level, 7, draw).metrics["recall@3"] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("kind", [ItemNoise(), VectorNoise()])
def test_noise_of_0_changes_nothing(subject, kind):
    assert kind.outcome(subject, 0.0, 1, 0).metrics == subject.scores(subject.scoring)


def test_noise_is_as_long_as_the_level_says_and_relative_to_each_row():
    lengths = torch.tensor([[0.0], [1.0], [100.0]])
    vectors = lengths * torch.nn.functional.normalize(torch.ones(3, 20_000), dim=1)
    moved = with_relative_noise(vectors, 0.1, torch.Generator().manual_seed(0)) - vectors
    assert torch.linalg.vector_norm(moved, dim=1).tolist() == pytest.approx([0, 0.1, 10], rel=0.02)


def test_a_level_has_the_drop_of_the_mean():
    level = Level("items", 0.1, ({"recall@10": 0.2}, {"recall@10": 0.4}))
    assert level.drop("recall@10", {"recall@10": 0.5}) == pytest.approx(0.4)
    assert level.drop("recall@10", {"recall@10": 0.0}) is None


def test_a_card_depends_on_the_seed_alone(subject):
    first, again, other = (measure(subject, draws=2, seed=seed).as_json() for seed in (1, 1, 2))
    assert first == again
    assert first["levels"] != other["levels"]
    (one,) = [one for one in first["levels"] if (one["kind"], one["level"]) == ("items", 0.5)]
    recalls = one["metrics"]["recall@3"]
    assert recalls["mean"] == pytest.approx(sum(recalls["draws"]) / 2)
    assert recalls["deviation"] == pytest.approx(abs(recalls["draws"][0] - recalls["draws"][1]) / 2**0.5)
    before = first["undisturbed"]["recall@3"]
    assert recalls["drop"] == pytest.approx((before - recalls["mean"]) / before)


def test_vectors_must_be_one_per_user_and_item():
    vectors = Vectors(torch.zeros(2, 3), torch.zeros(DATA.n_items, 3))
    with pytest.raises(ValueError, match="expected 24 vectors of users.* but got 2"):
        Subject.of_vectors(vectors, DATA, Evaluation(), "mine")


@pytest.mark.parametrize(
    ("users", "message"),
    [
        (np.zeros((2, 3), dtype=np.int64), "floating-point"),
        (np.zeros(3), "floating-point"),
        (np.array([[1.0, np.nan]]), "1 of 1 rows hold NaN"),
        (np.array([[1e300, 0.0]]), "finite in float32"),
        (np.array([[object()]]), "cannot be read"),
        (np.zeros((2, 4)), "same width"),
    ],
)
def test_files_that_are_no_vectors_are_refused(tmp_path, users, message):
    np.save(tmp_path / "users.npy", users, allow_pickle=True)
    np.save(tmp_path / "items.npy", np.ones((4, 2), dtype=np.float16))
    with pytest.raises(ValueError, match=message) as error:
        read_vectors(tmp_path / "users.npy", tmp_path / "items.npy")
    assert "\n" not in str(error.value)


def test_files_are_read_as_float32(tmp_path):
    np.save(tmp_path / "users.npy", np.array([[0.1, 2.0]]))
    np.save(tmp_path / "items.npy", np.array([[3.0, 4.0]], dtype=np.float16))
    vectors = read_vectors(tmp_path / "users.npy", tmp_path / "items.npy")
    assert vectors.users.dtype == vectors.items.dtype == torch.float32
    assert vectors.users.tolist() == [[pytest.approx(0.1), 2.0]]
    (tmp_path / "no.npy").write_text("no")
    with pytest.raises(ValueError, match="cannot be read as .npy"):
        read_vectors(tmp_path / "no.npy", tmp_path / "items.npy")
