"""Bounds of a delivery against the last accepted one, with numbers that were worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flatrec.refresh.checks import Accepted, refusal, run_checks
from flatrec.refresh.delivery import Delivery, Ids
from flatrec.refresh.settings import CheckSettings

BEFORE = Delivery(
    "shop", "a", 1000, 100, 50, 1_700_000_000, {"column price": "Float64", "feature text": "width 8"}, 0.1
)
IDS = Ids.of((f"u{n}" for n in range(100)), (f"i{n}" for n in range(50)))
ACCEPTED = Accepted(BEFORE, IDS)


def broken(delivery, ids=IDS, accepted=ACCEPTED, now=1_700_000_000, **settings):
    checks = run_checks(delivery, ids, accepted, CheckSettings(**settings), now=now)
    return {check.setting.removeprefix("check."): check.found for check in checks if not check.passed}


def test_the_same_delivery_keeps_all_bounds():
    assert broken(BEFORE) == {}
    assert refusal(run_checks(BEFORE, IDS, ACCEPTED, CheckSettings(), now=0)) == ""


@pytest.mark.parametrize(
    ("name", "count", "found"),
    [
        ("interactions", 499, "499 after 1,000 (-50.1%)"),
        ("interactions", 899, "899 after 1,000 (-10.1%)"),
        ("interactions", 2001, "2,001 after 1,000 (+100.1%)"),
        ("users", 89, "89 after 100 (-11.0%)"),
        ("items", 39, "39 after 50 (-22.0%)"),
    ],
)
def test_a_count_outside_of_its_bounds_is_refused_with_both_numbers(name, count, found):
    assert broken(replace(BEFORE, **{name: count})) == {name: found}


@pytest.mark.parametrize(
    ("name", "count"), [("interactions", 900), ("interactions", 2000), ("users", 90), ("items", 40)]
)
def test_a_count_at_a_bound_is_accepted(name, count):
    assert broken(replace(BEFORE, **{name: count})) == {}


def test_ids_of_the_last_delivery_must_still_be_there():
    others = Ids.of((f"u{n}" for n in range(11, 200)), (f"i{n}" for n in range(11, 90)))
    assert broken(BEFORE, others) == {
        "min_user_overlap": "89 of 100 (89.0%)",
        "min_item_overlap": "39 of 50 (78.0%)",
    }
    assert broken(BEFORE, others, min_user_overlap=0.89, min_item_overlap=0.78) == {}


def test_changed_columns_are_named():
    changed = replace(BEFORE, columns={"column price": "String", "titles": "known"})
    assert broken(changed) == {
        "same_columns": "column price was Float64, is String, feature text was width 8, is absent, titles was absent, "
        "is known"
    }
    assert broken(changed, same_columns=False) == {}


def test_bounds_that_need_no_other_delivery_hold_for_the_first_one():
    first = replace(BEFORE, unknown_items=0.6)
    assert broken(first, accepted=None) == {"max_unknown_items": "60.0%"}
    assert broken(replace(first, interactions=1), accepted=None, max_unknown_items=0.6) == {}


def test_the_newest_interaction_must_not_be_too_old():
    two_days_later = BEFORE.newest + 2 * 86_400
    assert broken(BEFORE, now=two_days_later, max_age_days=2.0) == {}
    assert list(broken(BEFORE, now=two_days_later, max_age_days=1.9)) == ["max_age_days"]
    assert broken(BEFORE, now=two_days_later) == {}


def test_required_columns_must_be_there():
    assert broken(BEFORE, accepted=None, required_columns=("price", "stock")) == {
        "required_columns": "without ['stock']"
    }


def test_a_refusal_is_one_line_with_the_bound_both_numbers_and_what_to_do():
    checks = run_checks(replace(BEFORE, interactions=500), IDS, ACCEPTED, CheckSettings(), now=0)
    assert refusal(checks) == (
        "the delivery is refused: interactions: 500 after 1,000 (-50.0%), but check.interactions allows -10.0% to "
        "+100.0%; the recommender in use stays. Repair the data, or take this delivery as it is with --accept"
    )
