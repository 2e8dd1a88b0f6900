"""Who asks for recommendations: users who were trained on, users with a history, and everybody else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64, Integer
from numpy import ndarray
from scipy import sparse

from flatrec.data.vocabulary import Vocabulary
from flatrec.evaluation.ranking import HiddenItems
from flatrec.inference.answers import AnswerPath
from flatrec.inference.candidates import Filters, known_indices, rows_of


@dataclass(frozen=True, eq=False)
class Audience:
    """The users of one request.

    Args:
        users: the original id of each user; None for somebody without one.
        indices: the index of each user; -1 if the recommender does not know the user.
        histories: the indices of the items in the history that was given for each user.
        trained: whether each user has a training interaction.
        by_members: whether each user is a group without one, whose scores follow from its members.
    """

    users: Sequence[str | None]
    indices: Int64[ndarray, "n_users"]
    histories: Sequence[Int64[ndarray, "_"]]
    trained: Bool[ndarray, "n_users"]
    by_members: Bool[ndarray, "n_users"]

    @classmethod
    def of(
        cls,
        users: Sequence[str | None],
        histories: Mapping[str | None, Sequence[str]],
        *,
        known_users: Vocabulary,
        known_items: Vocabulary,
        training: sparse.csr_array,
        by_members: Sequence[int] = (),
    ) -> Audience:
        """Return users by original id, with what is known of them.

        Args:
            users: original ids, None for somebody without one.
            histories: the items of a user's history, by user; items that are not known are left out.
            known_users: the users of the recommender.
            known_items: the items of the recommender.
            training: the training interactions, (n_users, n_items).
            by_members: the indices of groups without one whose scores follow from their members.
        """
        pairs = [(user is not None and user in known_users, user) for user in users]
        indices = np.array([known_users.index_of(str(user)) if known else -1 for known, user in pairs], dtype=np.int64)
        trained = (indices >= 0) & (training.indptr[indices] < training.indptr[indices + 1])
        found = [known_indices(histories.get(user, ()), known_items) for user in users]
        return cls(users, indices, found, trained, np.isin(indices, by_members) & ~trained)

    def by_path(self) -> Iterator[tuple[AnswerPath, Int64[ndarray, "n_of_path"]]]:
        """Yield each path that is needed, with the positions of its users among all of them."""
        paths: list[AnswerPath] = [
            "known" if trained else "members" if by_members else "history" if len(history) else "popular"
            for trained, by_members, history in zip(
                self.trained.tolist(), self.by_members.tolist(), self.histories, strict=True
            )
        ]
        for path in dict.fromkeys(paths):
            yield path, np.array([position for position, other in enumerate(paths) if other == path], dtype=np.int64)

    def excluded(self, filters: Filters, items: Vocabulary, seen: sparse.csr_array | None) -> HiddenItems:
        """Return what each user may not get: seen items, and those that the filters exclude.

        Args:
            filters: the filters of the request.
            items: the items of the recommender.
            seen: all interactions of the users, (n_users, n_items); None if seen items may be recommended.
        """
        rows = [self.none] * len(self.users) if seen is None else stored_rows(seen, self.indices)
        for position, user in enumerate(self.users):
            own = filters.excluded_of(user) if user is not None else ()
            parts = [rows[position]]
            if own:
                parts.append(known_indices(own, items))
            if seen is not None and len(self.histories[position]):
                parts.append(self.histories[position])
            if len(parts) > 1:
                rows[position] = np.concatenate(parts)
        return HiddenItems.of(rows)

    @property
    def none(self) -> Int64[ndarray, "0"]:
        """No item."""
        return np.zeros(0, dtype=np.int64)

    def history_matrix(self, positions: Int64[ndarray, "n"], n_items: int) -> sparse.csr_array:
        """Return the histories of some of the users as a matrix, (n, n_items), with weights of 1."""
        return rows_of([self.histories[position] for position in positions.tolist()], n_items)


def stored_rows(matrix: sparse.csr_array, indices: Int64[ndarray, "n"]) -> list[Integer[ndarray, "_"]]:
    """Return the columns of the stored entries of rows, whatever their value; the row of index -1 has none."""
    none = np.zeros(0, dtype=matrix.indices.dtype)
    offsets, columns = matrix.indptr, matrix.indices
    return [columns[offsets[row] : offsets[row + 1]] if row >= 0 else none for row in indices.tolist()]
