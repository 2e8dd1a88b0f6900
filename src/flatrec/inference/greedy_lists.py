"""Lists that are filled from the top, one item at a time, under rules: the algorithm behind re-ranking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from numpy import ndarray

from flatrec.evaluation.ranking import Ranking

BLOCK_NUMBERS = 4_000_000  # numbers held at once in a block of users


@dataclass(frozen=True, eq=False)
class Limit:
    """At most so many items of a list have the same value.

    Args:
        codes: the value of each item as a number; below 0 for an item without a value, which is not limited.
        most: the largest number of items with the same value.
    """

    codes: Int64[ndarray, "n_items"]
    most: int


@dataclass(frozen=True, eq=False)
class Reserve:
    """A list has at least so many of some items, if the user's candidates have.

    Args:
        selected: the items.
        slots: the least number of them.
    """

    selected: Bool[ndarray, "n_items"]
    slots: int


@dataclass(frozen=True, eq=False)
class Rules:
    """What :class:`flatrec.inference.rerank.Rerank` says, by item index.

    Args:
        pool: number of best candidates from which the mean, the deviation and the range of a user's scores are taken.
        boosts: what is added to each item's scores, in standard deviations of the user's scores.
        diversity: weight of the similarity to the items above in the list, from 0 to 1.
        vectors: one vector per item, whose cosine is the similarity; None without diversity.
        limits: at most so many items with the same value.
        reserves: at least so many of some items.
        pins: item index and rank, counted from 1, of each pin; rank 0 for on top, in the order of the pins.
    """

    pool: int
    boosts: Float64[ndarray, "n_items"]
    diversity: float = 0.0
    vectors: Float[ndarray, "n_items dim"] | None = None
    limits: tuple[Limit, ...] = ()
    reserves: tuple[Reserve, ...] = ()
    pins: tuple[tuple[int, int], ...] = ()


def fill_lists(candidates: Ranking, k: int, rules: Rules) -> Ranking:
    """Return lists of up to k of each user's candidates.

    1. Pins take their ranks. They count for the limits, but no limit removes one.
    2. For each reserve in order, the best candidates that it selects are set aside until there are enough of them with
       the pins, the items set aside before, and the free slots.
    3. Every other slot, from the top, takes the candidate with the largest (1 - d) s - d c among those that no limit
       excludes. d is the diversity. s is the boosted score, shifted and scaled so that those of the pool range from 0
       to 1. c is the largest cosine to an item above in the list; 0 in the first slot. When only as many slots are free
       as items are set aside and not yet listed, these take them.

    Equal candidates rank as in ``candidates``. Lists are shorter than k if the candidates run out; pins of the ranks
    below then move up.

    Args:
        candidates: candidates of each user, best first, no item twice; not changed.
        k: length of a list.
        rules: what lists are filled by.

    Returns:
        Lists with the scores of ``candidates``.
    """
    n_users, n_candidates = candidates.items.shape
    if n_candidates == 0:
        return Ranking(torch.full((n_users, k), -1), torch.full((n_users, k), -torch.inf))
    items, scores = candidates.items.numpy(), candidates.scores.numpy().astype(np.float64)
    listed = np.full((n_users, k), -1, dtype=np.int64)
    width = 1 if rules.vectors is None else rules.vectors.shape[1]
    step = max(1, BLOCK_NUMBERS // (n_candidates * width))
    for start in range(0, n_users, step):
        block = slice(start, start + step)
        listed[block] = _Block(items[block], scores[block], k, rules).fill()
    columns, missing = torch.from_numpy(np.maximum(listed, 0)), torch.from_numpy(listed < 0)
    return Ranking(
        candidates.items.gather(1, columns).masked_fill(missing, -1),
        candidates.scores.gather(1, columns).masked_fill(missing, -torch.inf),
    )


class _Block:
    """The lists of a block of users while they are filled; a candidate is called by its column."""

    def __init__(
        self, items: Int64[ndarray, "block p"], scores: Float64[ndarray, "block p"], k: int, rules: Rules
    ) -> None:
        self.rules, self.rows = rules, np.arange(len(items))
        self.items, self.candidates = items, np.maximum(items, 0)
        self.free = items >= 0  # candidates that are neither listed nor set aside
        self.aside = np.zeros_like(self.free)
        self.listed = np.full((len(items), k), -1)
        self.values = _scaled(scores, self.free, rules.boosts[self.candidates], rules.pool)
        self.codes = [limit.codes[self.candidates] for limit in rules.limits]
        self.counts = [np.zeros_like(codes) for codes in self.codes]
        self.similarity = np.full(items.shape, -np.inf)  # the largest to an item above
        self.directions = None if rules.vectors is None else _directions(rules.vectors[self.candidates])

    def fill(self) -> Int64[ndarray, "block k"]:
        """Return the column of each slot; -1 for an empty slot."""
        self._pin()
        for reserve in self.rules.reserves:
            self._set_aside(reserve)
        pinned = self.listed >= 0
        for slot in range(self.listed.shape[1]):
            left = (~pinned[:, slot:]).sum(axis=1)
            allowed = self.aside | (self._admitted() & (self.aside.sum(axis=1) < left)[:, None])
            columns = np.where(pinned[:, slot], self.listed[:, slot], self._best(allowed, self._marginal()))
            self._list(slot, columns)
        order = np.argsort(self.listed < 0, axis=1, kind="stable")
        compact: ndarray = np.take_along_axis(self.listed, order, axis=1)
        return compact

    def _pin(self) -> None:
        on_top = np.zeros(len(self.items), dtype=np.int64)
        for item, rank in self.rules.pins:
            matches = (self.items == item) & self.free
            slots = on_top if rank == 0 else np.full(len(self.items), rank - 1)
            rows = np.flatnonzero(matches.any(axis=1) & (slots < self.listed.shape[1]))
            columns = matches.argmax(axis=1)[rows]
            self.listed[rows, slots[rows]] = columns
            self.free[rows, columns] = False
            self._count(rows, columns)
            on_top[rows] += rank == 0

    def _set_aside(self, reserve: Reserve) -> None:
        selected = reserve.selected[self.candidates] & (self.items >= 0)
        present = selected & ~self.free
        missing = reserve.slots - present.sum(axis=1)
        room = (self.listed < 0).sum(axis=1) - self.aside.sum(axis=1)
        for number in range(min(reserve.slots, self.listed.shape[1])):
            columns = self._best(selected & self._admitted(), self.values)
            rows = np.flatnonzero((columns >= 0) & (number < np.minimum(missing, room)))
            self.aside[rows, columns[rows]] = True
            self.free[rows, columns[rows]] = False
            self._count(rows, columns[rows])

    def _list(self, slot: int, columns: Int64[ndarray, "block"]) -> None:
        rows = np.flatnonzero(columns >= 0)
        columns = columns[rows]
        self.listed[rows, slot] = columns
        ordinary = self.free[rows, columns]
        self._count(rows[ordinary], columns[ordinary])  # pins and items set aside are counted already
        self.free[rows, columns] = self.aside[rows, columns] = False
        if self.directions is not None and len(rows):
            cosines = self.directions[rows] @ self.directions[rows, columns][:, :, None]
            self.similarity[rows] = np.maximum(self.similarity[rows], cosines[:, :, 0])

    def _admitted(self) -> Bool[ndarray, "block p"]:
        """Return the free candidates that no limit excludes."""
        admitted = self.free.copy()
        for limit, codes, counts in zip(self.rules.limits, self.codes, self.counts, strict=True):
            admitted &= (codes < 0) | (counts < limit.most)
        return admitted

    def _count(self, rows: Int64[ndarray, "n"], columns: Int64[ndarray, "n"]) -> None:
        for codes, counts in zip(self.codes, self.counts, strict=True):
            counts[rows] += codes[rows] == codes[rows, columns][:, None]

    def _marginal(self) -> Float64[ndarray, "block p"]:
        """Return (1 - d) s - d c."""
        weight = self.rules.diversity
        if weight == 0:
            return self.values
        similarity = np.where(np.isneginf(self.similarity), 0, self.similarity)
        marginal: ndarray = (1 - weight) * self.values - weight * similarity
        return marginal

    def _best(self, allowed: Bool[ndarray, "block p"], values: Float64[ndarray, "block p"]) -> Int64[ndarray, "block"]:
        """Return the first column with the largest value among the allowed ones; -1 where none is allowed."""
        columns = np.where(allowed, values, -np.inf).argmax(axis=1)
        best: ndarray = np.where(allowed.any(axis=1), columns, -1)
        return best


def _scaled(
    scores: Float64[ndarray, "block p"],
    valid: Bool[ndarray, "block p"],
    boosts: Float64[ndarray, "block p"],
    pool: int,
) -> Float64[ndarray, "block p"]:
    """Return the boosted scores, shifted and scaled so that those of the pool range from 0 to 1."""
    scores = np.where(valid, scores, 0)
    inside = valid & (np.arange(scores.shape[1]) < pool)
    count = np.maximum(inside.sum(axis=1, keepdims=True), 1)
    mean = (scores * inside).sum(axis=1, keepdims=True) / count
    deviation = np.sqrt(((scores - mean) ** 2 * inside).sum(axis=1, keepdims=True) / count)
    boosted = scores + boosts * deviation
    low = np.min(boosted, axis=1, where=inside, initial=np.inf, keepdims=True)
    width = np.max(boosted, axis=1, where=inside, initial=-np.inf, keepdims=True) - low
    scaled: ndarray = np.divide(boosted - low, width, out=np.zeros_like(boosted), where=width > 0)
    return scaled


def _directions(vectors: Float[ndarray, "block p dim"]) -> Float64[ndarray, "block p dim"]:
    """Return the vectors scaled to length 1; zeros stay zeros."""
    vectors = vectors.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=2, keepdims=True)
    directions: ndarray = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return directions
