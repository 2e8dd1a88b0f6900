"""Gaussian noise on the final vectors of users and items, relative to the length of each."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from flatrec.models.scoring import Vectors
from flatrec.research.robustness.base import Disturbance, Outcome
from flatrec.research.robustness.subject import Subject
from flatrec.utils import seeding

LEVELS = (0.05, 0.1, 0.2, 0.5)


def with_relative_noise(vectors: Float[Tensor, "n dim"], level: float, generator: Generator) -> Float[Tensor, "n dim"]:
    """Return vectors plus Gaussian noise whose expected square length is ``level`` squared times that of each vector.

    Each entry of the noise has the deviation ``level * |vector| / sqrt(dim)``.
    """
    noise = torch.randn(vectors.shape, generator=generator, dtype=vectors.dtype).to(vectors.device)
    lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    moved: Tensor = vectors + noise * lengths * (level / vectors.shape[1] ** 0.5)
    return moved


def noisy_vectors(vectors: Vectors, level: float, seed: int, draw: int) -> Vectors:
    """Return the vectors of users and items with noise; users are drawn first."""
    stream = seeding.generator(seed, f"noise {level:g}", draw)
    return Vectors(*(with_relative_noise(rows, level, stream) for rows in (vectors.users, vectors.items)))


class _VectorNoise(Disturbance):
    LEVELS: ClassVar[tuple[float, ...]] = LEVELS

    def reason(self, subject: Subject) -> str:
        """Say why there are no vectors, if there are none."""
        return "" if isinstance(subject.scoring, Vectors) else "it does not score by vectors of users and items"

    def outcome(self, subject: Subject, level: float, seed: int, draw: int) -> Outcome:
        """Return metrics with noise on the vectors."""
        assert isinstance(subject.scoring, Vectors)
        return Outcome(subject.scores(self.noisy(subject.scoring, level, seed, draw)))

    @abstractmethod
    def noisy(self, vectors: Vectors, level: float, seed: int, draw: int) -> Vectors:
        """Return the vectors with noise."""


class ItemNoise(_VectorNoise):
    """Noise on the final vectors of items; those of users stay."""

    NAME: ClassVar[str] = "items"
    ABOUT: ClassVar[str] = "noise on the final vectors of items, by its length relative to that of each vector"

    def noisy(self, vectors: Vectors, level: float, seed: int, draw: int) -> Vectors:
        """Return the vectors with noise on those of items."""
        stream = seeding.generator(seed, f"noise on items {level:g}", draw)
        return Vectors(vectors.users, with_relative_noise(vectors.items, level, stream))


class VectorNoise(_VectorNoise):
    """Noise on the final vectors of users and items."""

    NAME: ClassVar[str] = "vectors"
    ABOUT: ClassVar[str] = "noise on the final vectors of users and items, by its length relative to that of each"

    def noisy(self, vectors: Vectors, level: float, seed: int, draw: int) -> Vectors:
        """Return the vectors with noise on all."""
        return noisy_vectors(vectors, level, seed, draw)
