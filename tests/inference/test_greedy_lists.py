"""Lists under rules: small ones by hand, random ones against a loop that is written from the description alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flatrec.evaluation.ranking import Ranking
from flatrec.inference.greedy_lists import Limit, Reserve, Rules, fill_lists


def ranking(items, scores=None):
    table = torch.tensor(items, dtype=torch.int64)
    if scores is None:
        scores = torch.arange(table.shape[1], 0, -1).float().expand(table.shape)
    return Ranking(table, torch.as_tensor(scores).float().masked_fill(table < 0, -torch.inf))


def rules(n_items=6, pool=100, **others):
    return Rules(pool, others.pop("boosts", np.zeros(n_items)), **others)


def lists(candidates, k, some_rules):
    return fill_lists(candidates, k, some_rules).items.tolist()


N_ITEMS = 9  # of a random problem
COLORS = np.array([0, 0, 0, 1, 1, -1])


def test_without_rules_lists_are_the_best_candidates():
    candidates = ranking([[3, 1, 4], [2, -1, -1]])
    result = fill_lists(candidates, 2, rules())
    assert result.items.tolist() == [[3, 1], [2, -1]]
    assert result.scores.tolist() == [[3, 2], [3, -torch.inf]]


def test_a_limit_passes_over_items_and_leaves_those_without_a_value_alone():
    candidates = ranking([[0, 1, 2, 5, 3, 4]])
    assert lists(candidates, 4, rules(limits=(Limit(COLORS, 1),))) == [[0, 5, 3, -1]]
    everything = rules(limits=(Limit(np.full(6, -1), 1),))
    assert lists(candidates, 6, everything) == [[0, 1, 2, 5, 3, 4]]


def test_a_reserve_takes_the_last_slots_by_its_best_candidates():
    selected = np.array([0, 0, 0, 0, 1, 1], dtype=bool)
    candidates = ranking([[0, 1, 2, 3, 5, 4]])
    assert lists(candidates, 3, rules(reserves=(Reserve(selected, 1),))) == [[0, 1, 5]]
    assert lists(candidates, 3, rules(reserves=(Reserve(selected, 2),))) == [[0, 5, 4]]
    assert lists(candidates, 3, rules(reserves=(Reserve(selected, 9),))) == [[0, 5, 4]]
    assert lists(ranking([[5, 4, 0]]), 2, rules(reserves=(Reserve(selected, 1),))) == [[5, 4]]  # nothing to change


def test_a_reserve_comes_before_a_limit():
    new = np.array([0, 0, 1, 0, 0, 0], dtype=bool)
    both = rules(limits=(Limit(COLORS, 1),), reserves=(Reserve(new, 1),))
    assert lists(ranking([[0, 1, 2, 3, 4, 5]]), 2, both) == [[2, 3]]


def test_pins_take_their_ranks_and_nothing_removes_them():
    candidates = ranking([[0, 1, 2, 3]])
    assert lists(candidates, 3, rules(pins=((3, 0), (2, 0)))) == [[3, 2, 0]]
    assert lists(candidates, 3, rules(pins=((3, 2),))) == [[0, 3, 1]]
    assert lists(candidates, 3, rules(pins=((1, 1), (2, 2)), limits=(Limit(COLORS, 1),))) == [[1, 2, 3]]


def test_a_pin_that_is_no_candidate_is_left_out_and_the_next_moves_up():
    assert lists(ranking([[0, 1, 2], [0, 1, 3]]), 2, rules(pins=((3, 0), (1, 0)))) == [[1, 0], [3, 1]]


def test_a_pin_below_the_end_of_the_candidates_moves_up():
    assert lists(ranking([[0, 1, 2]]), 10, rules(pins=((0, 9),)))[0][:4] == [1, 2, 0, -1]


def test_a_boost_counts_in_deviations_of_the_pool():
    scores = [[4.0, 2.0, 0.0, 0.0]]  # of the two items in the pool the deviation is 1
    boosts = np.zeros(6)
    boosts[1] = 1.9
    assert lists(ranking([[0, 1, 2, 3]], scores), 2, rules(boosts=boosts, pool=2)) == [[0, 1]]
    boosts[1] = 2.1
    assert lists(ranking([[0, 1, 2, 3]], scores), 2, rules(boosts=boosts, pool=2)) == [[1, 0]]


def test_scores_are_those_of_the_candidates_also_after_a_boost():
    boosts = np.array([0, 50.0, 0, 0, 0, 0])
    assert fill_lists(ranking([[0, 1, 2]]), 2, rules(boosts=boosts)).scores.tolist() == [[2, 3]]


def test_diversity_by_hand():
    # Scaled scores 1, 0.9, 0; after item 0, item 1 has 0.5 * 0.9 - 0.5 * 1 = -0.05, and item 2 has 0 - 0.
    vectors = np.array([[1.0, 0], [2, 0], [0, 3]])
    candidates = ranking([[0, 1, 2]], [[10.0, 9, 0]])
    assert lists(candidates, 3, rules(3, vectors=vectors, diversity=0.5)) == [[0, 2, 1]]
    assert lists(candidates, 3, rules(3, vectors=vectors, diversity=0.4)) == [[0, 1, 2]]


def test_no_candidates_and_no_users():
    assert lists(ranking([[], []]), 2, rules()) == [[-1, -1], [-1, -1]]
    assert lists(ranking([[-1, -1]]), 1, rules(boosts=np.ones(6), pins=((1, 0),))) == [[-1]]
    nobody = Ranking(torch.zeros(0, 3, dtype=torch.int64), torch.zeros(0, 3))
    assert fill_lists(nobody, 2, rules()).items.shape == (0, 2)


def by_loop(items, scores, k, some_rules):
    """One list, written from the docstring of fill_lists."""
    candidates = [item for item in items if item >= 0]
    scaled = scaled_by_loop(candidates, scores, some_rules)
    slots = pinned_slots(candidates, k, some_rules)
    counted = list(slots.values())
    aside = set_aside(candidates, scaled, k - len(slots), counted, some_rules)
    result = []
    for slot in range(k):
        waiting = [item for item in aside if item not in result]
        left = sum(other not in slots for other in range(slot, k))
        others = [c for c in candidates if c not in counted and admitted(c, counted, some_rules)]
        possible = [c for c in candidates if c in waiting or (c in others and len(waiting) < left)]
        values = {item: marginal(item, result, scaled, some_rules) for item in possible}
        if slot in slots or possible:
            result.append(slots[slot] if slot in slots else max(possible, key=values.__getitem__))
            counted += [item for item in result[-1:] if item not in counted]
    return result


def pinned_slots(candidates, k, some_rules):
    slots = {}
    for item, rank in some_rules.pins:
        slot = len(slots) if rank == 0 else rank - 1
        if item in candidates and slot < k:
            slots[slot] = item
    return slots


def set_aside(candidates, scaled, room, counted, some_rules):
    aside = []
    for reserve in some_rules.reserves:
        while sum(reserve.selected[item] for item in counted) < reserve.slots and len(aside) < room:
            others = [c for c in candidates if c not in counted and admitted(c, counted, some_rules)]
            selected = [c for c in others if reserve.selected[c]]
            if not selected:
                break
            aside.append(max(selected, key=scaled.__getitem__))
            counted.append(aside[-1])
    return aside


def admitted(item, counted, some_rules):
    return all(
        limit.codes[item] < 0 or sum(limit.codes[other] == limit.codes[item] for other in counted) < limit.most
        for limit in some_rules.limits
    )


def marginal(item, above, scaled, some_rules):
    if not some_rules.diversity:
        return scaled[item]
    cosines = [cosine(some_rules.vectors[item], some_rules.vectors[other]) for other in above]
    return (1 - some_rules.diversity) * scaled[item] - some_rules.diversity * max(cosines, default=0)


def scaled_by_loop(candidates, scores, some_rules):
    pool = scores[: len(candidates)][: some_rules.pool]
    deviation = np.std(pool) if pool else 0
    boosted = {item: scores[c] + some_rules.boosts[item] * deviation for c, item in enumerate(candidates)}
    range_of_pool = [boosted[item] for item in candidates[: some_rules.pool]] or [0]
    width = max(range_of_pool) - min(range_of_pool)
    return {item: (boosted[item] - min(range_of_pool)) / width if width > 0 else 0 for item in candidates}


def cosine(left, right):
    lengths = np.sqrt((left**2).sum() * (right**2).sum())
    return float((left * right).sum() / lengths) if lengths else 0.0


@dataclass(frozen=True)
class Problem:
    """What a random problem is made of."""

    seed: int
    k: int
    n_candidates: int
    pool: int
    limits: list[int]
    slots: list[int]
    ranks: tuple[int, ...]
    strength: float
    diversity: float

    def candidates(self):
        generator = np.random.default_rng(self.seed)
        items = np.stack([generator.permutation(N_ITEMS)[: self.n_candidates] for _ in range(3)])
        scores = -np.sort(-generator.integers(0, 6, size=items.shape), axis=1).astype(float)  # with ties
        for row, length in enumerate(generator.integers(0, self.n_candidates + 1, size=len(items))):
            items[row, length:] = -1
        return ranking(items, scores)

    def rules(self):
        generator = np.random.default_rng(self.seed)
        return Rules(
            self.pool,
            generator.integers(-1, 2, size=N_ITEMS) * self.strength,
            self.diversity,
            generator.normal(size=(N_ITEMS, 2)) if self.diversity else None,
            tuple(Limit(generator.integers(-1, 3, size=N_ITEMS), most) for most in self.limits),
            tuple(Reserve(generator.random(N_ITEMS) < 0.4, slots) for slots in self.slots),
            tuple(zip(generator.permutation(N_ITEMS)[: len(self.ranks)].tolist(), self.ranks, strict=True)),
        )


PROBLEMS = st.builds(
    Problem,
    seed=st.integers(0, 10**6),
    k=st.integers(1, 7),
    n_candidates=st.integers(1, N_ITEMS),
    pool=st.integers(1, 12),
    limits=st.lists(st.integers(1, 2), max_size=2),
    slots=st.lists(st.integers(1, 3), max_size=2),
    ranks=st.sampled_from([(), (0,), (0, 0), (3,), (2, 1), (9, 1)]),
    strength=st.sampled_from([0.0, 0.5]),
    diversity=st.sampled_from([0.0, 0.3, 1.0]),
)


@settings(max_examples=300, deadline=None)
@given(PROBLEMS)
def test_random_lists_equal_the_loop_and_keep_what_they_promise(problem):
    candidates, k, some_rules = problem.candidates(), problem.k, problem.rules()
    result = fill_lists(candidates, k, some_rules)
    pairs = zip(candidates.items.tolist(), candidates.scores.tolist(), strict=True)
    for row, (items, scores) in enumerate(pairs):
        listed = [item for item in result.items[row].tolist() if item >= 0]
        assert listed == by_loop(items, scores, k, some_rules)
        assert len(set(listed)) == len(listed)
        assert set(listed) <= set(items)
        pins = [item for item, _ in some_rules.pins]
        for limit in some_rules.limits:
            free = [limit.codes[item] for item in listed if limit.codes[item] >= 0]
            pinned = [limit.codes[item] for item in listed if item in pins]
            assert all(free.count(code) <= max(limit.most, pinned.count(code)) for code in free)
        if len(some_rules.reserves) == 1 and len(some_rules.limits) < 2 and not pins:
            (reserve,) = some_rules.reserves
            selected = [item for item in items if item >= 0 and reserve.selected[item]]
            most = len(selected)
            for limit in some_rules.limits:
                codes = [int(limit.codes[item]) for item in selected]
                most = sum(min(codes.count(code), limit.most if code >= 0 else N_ITEMS) for code in set(codes))
            assert sum(item in selected for item in listed) >= min(reserve.slots, most, k)


@pytest.mark.parametrize("numbers", [1, 40])
def test_blocks_change_nothing(monkeypatch, numbers):
    generator = np.random.default_rng(0)
    items = [generator.permutation(20).tolist() for _ in range(9)]
    some_rules = rules(20, diversity=0.4, vectors=generator.normal(size=(20, 3)))
    at_once = lists(ranking(items), 8, some_rules)
    monkeypatch.setattr("flatrec.inference.greedy_lists.BLOCK_NUMBERS", numbers)
    assert lists(ranking(items), 8, some_rules) == at_once
