"""Fold-in: vectors of users who were not trained on, from a history of items."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.config import Config
from flatrec.models.perceptron import NO_VECTORS, ProductPerceptron
from flatrec.models.scoring import ItemMatrix, ItemScores, Scoring, UserMatrix, Vectors
from flatrec.utils.ranges import Fraction, NonNegativeFloat, PositiveFloat

BLOCK_NUMBERS = 2_000_000  # float64 numbers held at once: 16 MB


class FoldIn(Config):
    """How a user's vector u is made of a history of items with weights w_i; the item vectors v_i stay as they are.

    ``least-squares`` is the user half of implicit ALS (Hu, Koren & Volinsky, ICDM 2008,
    https://doi.org/10.1109/ICDM.2008.22, in the form of Rendle et al., RecSys 2022, https://arxiv.org/abs/2110.14037):
    the scores of the history should be near 1 and those of all items near 0. The u with the least

        sum over the history of w_i (1 - <u, v_i>)^2 + a (sum over all items of <u, v_i>^2) + l m |u|^2

    is, with the item vectors as the rows of V,

        u = (sum over the history of w_i v_i v_i^T + a V^T V + l m I)^-1 (sum over the history of w_i v_i)

    a is ``unobserved_weight`` and l is ``reg_weight``. m is the mean of |v_i|^2 over all items: without it, vectors of
    twice the length would need another l for the same lists. The larger l, the nearer u is to a weighted sum.

    ``mean`` is a weighted mean of the item vectors:

        u = (sum over the history of w_i d_i^-p v_i) / (sum over the history of w_i d_i^-p)

    d_i is the sum of the item's training weights, and p is ``popularity_exponent``. With p = 1/2 it has the direction
    of what one layer of LightGCN sends from the items to a user.

    Args:
        method: the formula.
        unobserved_weight: weight of each item outside the history, where the weight of one within it is 1 (a); 0 leaves
            the items outside out.
        reg_weight: weight of the squared length of u, in mean squared lengths of an item vector (l).
        popularity_exponent: how much less popular items count in ``mean`` (p); 0: no less than others.
    """

    method: Literal["least-squares", "mean"] = "least-squares"
    unobserved_weight: NonNegativeFloat = 0.01
    reg_weight: PositiveFloat = 10.0
    popularity_exponent: Fraction = 0.5


DEFAULT = FoldIn()


def folded_in(
    scoring: Scoring,
    histories: sparse.csr_array,
    popularity: Float64[ndarray, "n_items"],
    settings: FoldIn = DEFAULT,
) -> Scoring:
    """Return how scores are made for users with these histories, whose indices are the rows.

    An item matrix scores them as it does its own users, exactly, and item scores are the same for everybody. A user
    matrix finds the users who are similar to each history; a trained user with this history is one of them. With
    vectors, the users get some by :class:`FoldIn`.

    Args:
        scoring: how scores are made for users who were trained on.
        histories: weights of the items of each user, above 0, (n_users, n_items).
        popularity: sum of the training weights of each item.
        settings: how vectors of users are made.

    Raises:
        ValueError: the histories are of another number of items, a weight is not positive and finite, or a perceptron
            makes the scores.
    """
    if isinstance(scoring, ItemMatrix):
        return replace(scoring, profiles=histories)
    if isinstance(scoring, UserMatrix):
        return scoring.of_histories(histories)
    if isinstance(scoring, ItemScores):
        return ItemScores(scoring.values, histories.shape[0])
    if isinstance(scoring, ProductPerceptron):
        if not histories.shape[0]:
            return scoring.of_users(torch.zeros(0, dtype=torch.int64))
        raise ValueError(f"users who were not trained on get vectors from their items, but {NO_VECTORS}")
    return Vectors(FoldInItems(scoring, popularity, settings).user_vectors(histories), scoring.items)


@dataclass(frozen=True, eq=False)
class FoldInItems:
    """The item side of fold-in: what is computed once for all users.

    Args:
        scoring: the vectors, of which only those of the items are used.
        popularity: sum of the training weights of each item.
        settings: the formula and its settings.

    Example:
        >>> vectors = Vectors(torch.zeros(0, 2), torch.eye(2))
        >>> items = FoldInItems(vectors, np.array([4.0, 1.0]), FoldIn(unobserved_weight=0, reg_weight=1))
        >>> items.user_vectors(sparse.csr_array(np.array([[1.0, 0.0]]))).tolist()
        [[0.5, 0.0]]
    """

    scoring: Vectors
    popularity: Float64[ndarray, "n_items"]
    settings: FoldIn = DEFAULT

    @property
    def vectors(self) -> Float[Tensor, "n_items dim"]:
        """The vectors of the items."""
        return self.scoring.items

    def user_vectors(self, history: sparse.csr_array) -> Float[Tensor, "n_users dim"]:
        """Return one vector per row of the histories, computed in float64, in the type of the item vectors.

        A row without entries gets zeros.

        Args:
            history: weights of the items of each user, above 0, (n_users, n_items).

        Raises:
            ValueError: the histories are of another number of items, or a weight is not positive and finite.
        """
        weights = self.weights(history)
        users = torch.zeros(weights.shape[0], self.vectors.shape[1], dtype=self.vectors.dtype)
        for rows in self._blocks(np.flatnonzero(np.diff(weights.indptr))):
            block = weights[rows]
            sums = torch.stack([self._rows(block, row).T @ self._weights(block, row) for row in range(len(rows))])
            users[torch.from_numpy(rows)] = self.solve(block, sums[:, :, None])[:, :, 0].to(users)
        return users

    def contributions(
        self, history: sparse.csr_array, listed: Int64[ndarray, "n_listed"]
    ) -> Float64[ndarray, "n_history n_listed"]:
        """Return what each item of one history adds to the scores of some items; a column adds up to the score.

        Args:
            history: weights of the items of one user, above 0, (1, n_items).
            listed: item indices.

        Raises:
            ValueError: as :meth:`user_vectors`.
        """
        weights = self.weights(history)
        solved = self.solve(weights, self.vectors[torch.from_numpy(listed)].double().T[None])[0]
        terms: ndarray = (self._weights(weights, 0)[:, None] * (self._rows(weights, 0) @ solved)).numpy()
        return terms

    def weights(self, history: sparse.csr_array) -> sparse.csr_array:
        """Return the weights with which the item vectors of each history are added up, in float64.

        Raises:
            ValueError: the histories are of another number of items, or a weight is not positive and finite.
        """
        if history.shape[1] != len(self.vectors):
            raise ValueError(f"histories of {history.shape[1]} items for vectors of {len(self.vectors)}; give one each")
        data = history.data.astype(np.float64)
        if not (np.isfinite(data) & (data > 0)).all():
            raise ValueError("the weights of a history must be finite and above 0; leave items without a weight out")
        if self.settings.method == "mean":
            data = data * self._popularity_norms[history.indices]
            owners = np.repeat(np.arange(history.shape[0]), np.diff(history.indptr))
            data = data / np.bincount(owners, data, minlength=history.shape[0])[owners]
        return sparse.csr_array((data, history.indices, history.indptr), shape=history.shape)

    def solve(
        self, weights: sparse.csr_array, right: Float64[Tensor, "block dim n_right"]
    ) -> Float64[Tensor, "block dim n_right"]:
        """Return A^-1 times each right side, A the matrix of the formula for the user; for ``mean`` A is the identity.

        Args:
            weights: from :meth:`weights`; one block of users, as each user's matrix is held at once.
            right: the right sides.
        """
        if self.settings.method == "mean":
            return right
        systems = self._common_system.repeat(weights.shape[0], 1, 1)
        for row, system in enumerate(systems):
            items = self._rows(weights, row)
            system.addmm_(items.T, items * self._weights(weights, row)[:, None])
        return torch.cholesky_solve(right, torch.linalg.cholesky(systems))

    def _blocks(self, rows: Int64[ndarray, "n_rows"]) -> Iterator[Int64[ndarray, "block"]]:
        """Yield the rows of users, as many at once as their matrices fit into memory together."""
        step = max(1, BLOCK_NUMBERS // self.vectors.shape[1] ** 2)
        return (rows[start : start + step] for start in range(0, len(rows), step))

    @cached_property
    def _common_system(self) -> Float64[Tensor, "dim dim"]:
        """Return a V^T V + l m I."""
        gram = self.scoring.gram
        mean_square = float(gram.trace()) / self.scoring.n_items or 1.0
        ridge = self.settings.reg_weight * mean_square * torch.eye(len(gram), dtype=torch.float64)
        return self.settings.unobserved_weight * gram + ridge

    @cached_property
    def _popularity_norms(self) -> Float64[ndarray, "n_items"]:
        """Return d^-p; an item without training interactions counts like the least popular one."""
        positive = self.popularity[self.popularity > 0]
        least = positive.min() if len(positive) else 1.0
        norms: ndarray = np.maximum(self.popularity, least) ** -self.settings.popularity_exponent
        return norms

    def _rows(self, history: sparse.csr_array, row: int) -> Float64[Tensor, "n_history dim"]:
        """Return the vectors of the items of one history."""
        start, stop = history.indptr[row : row + 2]
        return self.vectors[torch.from_numpy(history.indices[start:stop].astype(np.int64))].double()

    def _weights(self, history: sparse.csr_array, row: int) -> Float64[Tensor, "n_history"]:
        start, stop = history.indptr[row : row + 2]
        return torch.from_numpy(history.data[start:stop])
