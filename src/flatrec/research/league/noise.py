"""Scores of a trained model under noise on its final vectors, relative to the length of each."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from flatrec.evaluation import evaluate_scorer
from flatrec.inference.run import Run, user_item_embeddings
from flatrec.models.scoring import Vectors
from flatrec.registry.naming import available_metrics
from flatrec.research.studies.rescoring import trained_model
from flatrec.utils import seeding


def with_relative_noise(vectors: Float[Tensor, "n dim"], level: float, generator: Generator) -> Float[Tensor, "n dim"]:
    """Return vectors plus Gaussian noise whose expected square length is ``level`` squared times that of each vector.

    Each entry of the noise has the deviation ``level * |vector| / sqrt(dim)``.
    """
    noise = torch.randn(vectors.shape, generator=generator, dtype=vectors.dtype).to(vectors.device)
    lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return vectors + noise * lengths * (level / vectors.shape[1] ** 0.5)


def scores_under_noise(run: Run, level: float, draws: int, seed: int) -> tuple[Mapping[str, float], ...]:
    """Return metrics of the test split, one per draw, with noise on the final vectors of users and items.

    Args:
        run: run with a trained model.
        level: length of the noise, relative to that of each vector.
        draws: number of draws.
        seed: seed of the noise.
    """
    users, items = (vectors.detach() for vectors in user_item_embeddings(trained_model(run)))
    return tuple(
        _scores(run, users, items, seeding.generator(seed, f"noise {level:g}", draw), level) for draw in range(draws)
    )


def _scores(run: Run, users: Tensor, items: Tensor, generator: Generator, level: float) -> Mapping[str, float]:
    noisy = Vectors(*(with_relative_noise(vectors, level, generator) for vectors in (users, items)))
    result = evaluate_scorer(
        noisy.scores,
        run.dataset.interactions,
        split="test",
        ks=run.ks,
        mask=run.mask,
        metrics=available_metrics(run.metrics),
        unknown_users=run.unknown_users,
        features=run.dataset.features,
    )
    return dict(result.metrics)
