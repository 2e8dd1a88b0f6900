"""What holds for every split of any log with ties, repeats, returns and weights."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flatrec.config import SplitSettings
from flatrec.data.log import InteractionLog
from flatrec.data.splitting import METHODS, split_log

RATIOS = (2, 1, 1)
BY_METHOD = {
    name: SplitSettings(
        method=name,
        **({"ratios": RATIOS} if "ratios" in method.settings else {}),
        **({"seed": 5} if "seed" in method.settings else {}),
    )
    for name, method in METHODS.items()
}
EVENTS = st.tuples(
    st.integers(0, 4),  # user
    st.integers(0, 6),  # item
    st.integers(0, 9),  # time
    st.sampled_from([0.25, 1.0, 3.0]),  # weight
    st.sampled_from([1.0, 1.0, 1.0, 2.0, -1.0, -0.5]),  # quantity
    st.integers(0, 2),  # split
)
LOGS = st.lists(EVENTS, min_size=8, max_size=60)


def log_of(events, **changes):
    users, items, times, weights, quantities, splits = map(np.array, zip(*events, strict=True))
    log = InteractionLog(users, items, 5, 7, times * 3600, weights, quantities, splits)
    return replace(log, **changes)


def tried(log, split):
    """The split, or nothing where a part would be empty, which is refused."""
    with suppress(ValueError):
        return split_log(log, split)[0]
    return None


def content(interactions):
    columns = ("users", "items", "splits", "timestamps", "weights")
    return [None if column is None else column.tolist() for column in (getattr(interactions, name) for name in columns)]


@pytest.mark.parametrize("method", METHODS)
@given(LOGS, st.randoms(use_true_random=False), st.booleans(), st.booleans())
@settings(max_examples=25, deadline=None)
def test_neither_the_order_of_the_rows_nor_chance_matters(method, events, random, repeat, decays):
    changes = {"repeat": repeat, "half_life": 7200.0 if decays else None, "weigh_quantities": decays}
    split = tried(log_of(events, **changes), BY_METHOD[method])
    random.shuffle(events)
    again = tried(log_of(events, **changes), BY_METHOD[method])
    assert (split is None) == (again is None)
    if split is not None:
        assert content(split) == content(again)


@pytest.mark.parametrize("method", METHODS)
@given(LOGS)
@settings(max_examples=25, deadline=None)
def test_every_interaction_is_in_exactly_one_split(method, events):
    log = log_of(events, quantities=None)
    split = tried(log, BY_METHOD[method])
    assume(split is not None)
    assert sorted(zip(split.users.tolist(), split.items.tolist(), strict=True)) == sorted(
        set(zip(log.users.tolist(), log.items.tolist(), strict=True))
    )


@pytest.mark.parametrize("method", METHODS)
@given(LOGS)
@settings(max_examples=25, deadline=None)
def test_where_repeats_stay_no_event_is_lost(method, events):
    log = log_of(events, quantities=None, repeat=True)
    split = tried(log, BY_METHOD[method])
    assume(split is not None)
    assert split.weights.sum() == log.weights.sum()  # sums of quarters are exact
    assert split.timestamps.max() == log.timestamps.max()


@pytest.mark.parametrize("repeat", [False, True])
@given(LOGS)
@settings(max_examples=40, deadline=None)
def test_by_time_nothing_is_older_than_anything_in_an_earlier_split(repeat, events):
    split = tried(log_of(events, repeat=repeat), BY_METHOD["time"])
    assume(split is not None)
    train, valid, test = (split.timestamps[split.splits == part] for part in range(3))
    assert train.max() < valid.min()
    assert valid.max() < test.min()


@pytest.mark.parametrize("repeat", [False, True])
@pytest.mark.parametrize("method", ["leave-last", "user-time"])
@given(LOGS)
@settings(max_examples=40, deadline=None)
def test_per_user_nothing_is_older_than_anything_in_an_earlier_split(method, repeat, events):
    split = tried(log_of(events, repeat=repeat), BY_METHOD[method])
    assume(split is not None)
    for user in range(5):
        own = split.users == user
        for earlier, later in ((0, 1), (0, 2), (1, 2)):
            before, after = (split.timestamps[own & (split.splits == part)] for part in (earlier, later))
            if len(before) and len(after):
                assert before.max() <= after.min()


@pytest.mark.parametrize(("method", "column"), [("cold-items", "items"), ("cold-users", "users")])
@given(LOGS)
@settings(max_examples=25, deadline=None)
def test_cold_items_and_users_are_in_one_split_alone(method, column, events):
    split = tried(log_of(events), BY_METHOD[method])
    assume(split is not None)
    owners = [set(getattr(split, column)[split.splits == part].tolist()) for part in range(3)]
    assert all(owners)
    assert not owners[0] & owners[1]
    assert not owners[0] & owners[2]
    assert not owners[1] & owners[2]
