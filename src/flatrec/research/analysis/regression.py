"""A convex problem whose loss over all data, gradient and constants are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from scipy import optimize
from torch import Generator, Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Regression:
    """Logistic regression with a ridge: L_S = mean of log(1 + exp(-y x' Theta)) + ridge ||Theta||^2 / 2.

    Convex, and assumptions 1 (smooth) and 2 (bounded variance) hold everywhere; 3 (bounded gradient) wherever SGD
    gets to, since the ridge keeps ||Theta|| below about max ||x|| / ridge.

    Args:
        features: x, one row a sample.
        labels: y, each 1 or -1.
        ridge: above 0, so that there is a minimum.

    Example:
        >>> Regression.drawn(64, 4, generator=torch.Generator().manual_seed(0)).features.shape
        torch.Size([64, 4])

    Raises:
        ValueError: the ridge is not positive, or a label is neither 1 nor -1.
    """

    features: Float[Tensor, "n_samples dim"]
    labels: Float[Tensor, "n_samples"]
    ridge: float = 0.1

    def __post_init__(self) -> None:
        check_positive("ridge", [self.ridge])
        if wrong := [one for one in self.labels.tolist() if abs(one) != 1]:
            raise ValueError(f"labels must be 1 or -1, but one is {wrong[0]}")

    @classmethod
    def drawn(cls, n_samples: int, dim: int, *, generator: Generator, ridge: float = 0.1) -> Regression:
        """Normal features, and labels from a logistic model with normal parameters; float64.

        Raises:
            ValueError: a size is below 1, or the ridge is not positive.
        """
        check_positive("n_samples and dim", [n_samples, dim])
        features = torch.randn(n_samples, dim, generator=generator, dtype=torch.float64)
        chances = torch.sigmoid(features @ torch.randn(dim, generator=generator, dtype=torch.float64))
        return cls(features, 2 * torch.bernoulli(chances, generator=generator) - 1, ridge)

    def loss(self, parameters: Float[Tensor, "dim"], rows: Int64[Tensor, "batch"] | None = None) -> Float[Tensor, ""]:
        """L_B on some samples, or L_S on all."""
        features, labels = (self.features, self.labels) if rows is None else (self.features[rows], self.labels[rows])
        return F.softplus(-labels * (features @ parameters)).mean() + self.ridge / 2 * parameters.dot(parameters)

    def gradient(self, parameters: Float[Tensor, "dim"]) -> Float[Tensor, "dim"]:
        """Of L_S: ridge Theta - mean of y x / (1 + exp(y x' Theta))."""
        pulls = self.labels * torch.sigmoid(-self.labels * (self.features @ parameters))
        return self.ridge * parameters - pulls @ self.features / len(pulls)

    def smoothness(self) -> float:
        """A beta: the largest eigenvalue of X'X / (4 n), plus the ridge."""
        return float(torch.linalg.matrix_norm(self.features, 2)) ** 2 / (4 * len(self.labels)) + self.ridge

    def variance(self, batch_size: int) -> float:
        """An M, for batches without repetition; a sample's gradient is within ||x|| of the ridge's."""
        n_samples = len(self.labels)
        of_one = float(self.features.square().sum()) / max(n_samples - 1, 1)
        return of_one * (1 - batch_size / n_samples) / batch_size

    def lowest_loss(self) -> float:
        """L_S(Theta*)."""

        def both(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            parameters = torch.from_numpy(values).to(self.features)
            return float(self.loss(parameters)), self.gradient(parameters).double().numpy()

        return float(optimize.minimize(both, np.zeros(self.features.shape[1]), jac=True).fun)


def check_positive(name: str, values: Sequence[int] | Sequence[float]) -> None:
    """Refuse anything else; ``name`` is what the message calls it.

    Raises:
        ValueError: there is none, or one is not positive and finite.
    """
    if not values or not all(0 < one < math.inf for one in values):
        raise ValueError(f"{name} must be positive and finite, but is {', '.join(map(str, values)) or 'missing'}")
