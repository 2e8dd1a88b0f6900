"""How scores are made, without the class of a model: by vectors, similar items or users, or for everybody."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor
from torch.nn import functional as F

from flatrec.models.content_similarity import ContentSimilarity
from flatrec.models.neighbors import cosines_of_rows, neighbor_matrix, squared_lengths
from flatrec.models.perceptron import ProductPerceptron
from flatrec.ops.matmul import linear

BLOCK_ROWS = 2**15  # rows that are float64 at once


@dataclass(frozen=True, eq=False)
class Vectors:
    """The score is the inner product of a user's and an item's vector.

    Args:
        users: one vector per user.
        items: one vector per item, of the same width.
        contributions: one vector per item, if the vectors of users are made of them; see
            :func:`flatrec.inference.item_contributions.item_contributions`. They explain scores and do not make them.

    Raises:
        ValueError: the vectors of users and items differ in width, or the contributions are not of the shape of the
            items.

    Example:
        >>> Vectors(torch.eye(2), torch.tensor([[1.0, 2.0]])).scores(torch.tensor([0, 1])).tolist()
        [[1.0], [2.0]]
    """

    users: Float[Tensor, "n_users dim"]
    items: Float[Tensor, "n_items dim"]
    contributions: Float[Tensor, "n_items dim"] | None = None

    def __post_init__(self) -> None:
        if self.contributions is not None and self.contributions.shape != self.items.shape:
            raise ValueError(
                f"contributions must be of the shape of the items, {tuple(self.items.shape)}, but are of shape "
                f"{tuple(self.contributions.shape)}"
            )
        if self.users.shape[1] != self.items.shape[1]:
            raise ValueError(
                f"users and items must have vectors of the same width, but have {self.users.shape[1]} and "
                f"{self.items.shape[1]} columns"
            )

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.items)

    def scores(self, users: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        """Return the scores of all items for each of the users."""
        return linear(self.users[users.to(self.users.device)], self.items)

    def item_similarities(self, item: int) -> Float[Tensor, "n_items"]:
        """Return the cosine of every item's vector with that of an item, itself included."""
        return self.directions @ self.directions[item]

    @cached_property
    def directions(self) -> Float[Tensor, "n_items dim"]:
        """The vectors of the items, scaled to length 1."""
        return F.normalize(self.items, dim=1)

    @cached_property
    def gram(self) -> Float64[Tensor, "dim dim"]:
        """The inner products of the columns of the items' vectors, added up in float64."""
        dim = self.items.shape[1]
        total = torch.zeros(dim, dim, dtype=torch.float64)
        for rows in self.items.split(BLOCK_ROWS):
            total.addmm_(rows.double().T, rows.double())
        return total


Similarities: TypeAlias = sparse.csr_array | Float[ndarray, "n_items n_items"]


@dataclass(frozen=True, eq=False)
class ItemMatrix:
    """The score sums, over the items of a user, the user's weight of the item times its similarity to the scored one.

    Args:
        profiles: the weights of each user's items, (n_users, n_items).
        similarities: the similarity of every two items, (n_items, n_items). What a sparse matrix does not store is 0; a
            model without zeros has a dense one, at half the memory.
        content: how new items are compared with these by their features; None if they cannot be.

    Raises:
        ValueError: the matrices are not for the same items.
    """

    profiles: sparse.csr_array
    similarities: Similarities
    content: ContentSimilarity | None = None

    def __post_init__(self) -> None:
        n_items = self.profiles.shape[1]
        if self.similarities.shape != (n_items, n_items):
            raise ValueError(
                f"similarities must be a matrix of {n_items} by {n_items} items, but have shape "
                f"{self.similarities.shape}"
            )

    @property
    def n_users(self) -> int:
        """Number of users."""
        return int(self.profiles.shape[0])

    @property
    def n_items(self) -> int:
        """Number of items."""
        return int(self.profiles.shape[1])

    def scores(self, users: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        """Return the scores of all items for each of the users."""
        return self.scores_of(self.profiles[users.cpu().numpy()])

    def scores_of(self, profiles: sparse.csr_array) -> Float[Tensor, "block n_items"]:
        """Return the scores of all items for users with these profiles, (block, n_items), known or not."""
        return torch.from_numpy(dense(profiles @ self.similarities))

    def similarities_between(
        self, items: Int64[ndarray, "n_rows"], others: Int64[ndarray, "n_columns"]
    ) -> Float[ndarray, "n_rows n_columns"]:
        """Return the similarities of some items, one row each, to others, one column each."""
        return dense(self.similarities[items][:, others])

    def scores_of_item(self, users: slice, item: int) -> Float[Tensor, "block"]:
        """Return the score of one item for each of the users."""
        column = dense(self.similarities[:, [item]])
        return torch.from_numpy((self.profiles[users] @ column)[:, 0])

    def item_similarities(self, item: int) -> Float[Tensor, "n_items"]:
        """Return the stored similarities of the item, and 1 for the item itself."""
        row = torch.from_numpy(dense(self.similarities[[item]])[0])
        row[item] = 1
        return row


@dataclass(frozen=True, eq=False)
class ItemScores:
    """The score of an item is the same for every user, as by popularity.

    Args:
        values: one score per item.
        n_users: number of users.
    """

    values: Float[Tensor, "n_items"]
    n_users: int

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.values)

    def scores(self, users: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        """Return the same scores for each of the users."""
        return self.values.expand(len(users), -1)

    def item_similarities(self, item: int) -> Float[Tensor, "n_items"]:
        """Return minus the difference in scores: two items are similar if their scores are close."""
        return 0 - (self.values - self.values[item]).abs()


@dataclass(frozen=True, eq=False)
class UserMatrix:
    """The score sums, over the users who are most similar to a user, their similarity times their weight of the item.

    Args:
        profiles: the weights of the items of each user who may be similar, (n_known, n_items).
        similarities: the similarity of each user who is scored to those users, (n_users, n_known); those that are not
            stored are 0.
        n_neighbors: how many similar users a user with another history gets.
        shrinkage: how their similarities are damped; see :func:`flatrec.models.neighbors.cosines_of_rows`.

    Raises:
        ValueError: the matrices are not for the same users.
    """

    profiles: sparse.csr_array
    similarities: sparse.csr_array
    n_neighbors: int
    shrinkage: float

    def __post_init__(self) -> None:
        if self.similarities.shape[1] != self.profiles.shape[0]:
            raise ValueError(
                f"similarities must have one column for each of {self.profiles.shape[0]} users, but have shape "
                f"{self.similarities.shape}"
            )

    @property
    def n_users(self) -> int:
        """Number of users who are scored."""
        return int(self.similarities.shape[0])

    @property
    def n_items(self) -> int:
        """Number of items."""
        return int(self.profiles.shape[1])

    def scores(self, users: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        """Return the scores of all items for each of the users."""
        return torch.from_numpy((self.similarities[users.cpu().numpy()] @ self.profiles).toarray())

    def scores_of_item(self, users: slice, item: int) -> Float[Tensor, "block"]:
        """Return the score of one item for each of the users."""
        return torch.from_numpy((self.similarities[users] @ self.profiles[:, [item]].toarray())[:, 0])

    def item_similarities(self, item: int) -> Float[Tensor, "n_items"]:
        """Return the cosine of every item's column of weights with that of an item, and 1 for the item itself."""
        products = (self._by_item @ self._by_item[[item]].T).toarray()[:, 0]
        norms = np.sqrt(self._squares * self._squares[item])
        row = torch.from_numpy(np.divide(products, norms, out=np.zeros_like(norms), where=norms > 0)).float()
        row[item] = 1
        return row

    def of_user(self, user: int) -> UserMatrix:
        """Return the same for one of the users alone."""
        return replace(self, similarities=self.similarities[[user]])

    def of_histories(self, histories: sparse.csr_array) -> UserMatrix:
        """Return the same for users with these weights of items, (n_histories, n_items), who are no neighbors."""
        similar = cosines_of_rows(histories, self.profiles, shrinkage=self.shrinkage, without_diagonal=False)
        sizes = (histories.shape[0], self.profiles.shape[0])
        return replace(self, similarities=neighbor_matrix(*sizes, self.n_neighbors, similar))

    @cached_property
    def _by_item(self) -> sparse.csr_array:
        return sparse.csr_array(self.profiles.T.astype(np.float64))

    @cached_property
    def _squares(self) -> Float64[ndarray, "n_items"]:
        return squared_lengths(self._by_item, np.float64)


Scoring: TypeAlias = Vectors | ItemMatrix | ItemScores | UserMatrix | ProductPerceptron


def dense(matrix: sparse.csr_array | ndarray) -> ndarray:
    """Return a matrix as an array."""
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
