"""Whether a delivery keeps the bounds, against the last delivery that was accepted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from flatrec.refresh.delivery import Delivery, Ids, n_common
from flatrec.refresh.newest_days import DAY
from flatrec.refresh.settings import CheckSettings
from flatrec.utils.messages import quoted
from flatrec.utils.moments import as_date_time


class RefusedError(ValueError):
    """A delivery breaks a bound; the recommender in use stays."""


@dataclass(frozen=True)
class Accepted:
    """The last delivery that was accepted, and its ids."""

    delivery: Delivery
    ids: Ids


@dataclass(frozen=True)
class Check:
    """One bound, and what came.

    Args:
        setting: the bound, such as ``check.interactions``.
        about: what is measured, such as ``interactions``.
        found: what came, in words, both numbers where there are two.
        allowed: what is allowed, in words.
        passed: whether the delivery keeps the bound.
    """

    setting: str
    about: str
    found: str
    allowed: str
    passed: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the values by name."""
        return asdict(self)


def run_checks(
    delivery: Delivery, ids: Ids, accepted: Accepted | None, settings: CheckSettings, *, now: int
) -> tuple[Check, ...]:
    """Return what each bound says of a delivery.

    Args:
        delivery: the figures of the delivery.
        ids: its ids.
        accepted: the last accepted delivery; None for the first one, for which only the bounds are checked that need
            no other delivery.
        settings: the bounds.
        now: the present time, in Unix seconds.
    """
    checks = list(_alone(delivery, settings, now))
    if accepted is not None:
        checks += [*_counts(delivery, accepted.delivery, settings), *_overlaps(ids, accepted.ids, settings)]
        if settings.same_columns:
            checks.append(_same_columns(delivery, accepted.delivery))
    return tuple(checks)


def refusal(checks: tuple[Check, ...]) -> str:
    """Return one line that says which bounds are broken and what to do; empty if none is."""
    broken = [check for check in checks if not check.passed]
    if not broken:
        return ""
    reasons = "; ".join(
        f"{check.about}: {check.found}, but {check.setting} allows {check.allowed}" for check in broken[:3]
    )
    more = f"; and {len(broken) - 3} more" if len(broken) > 3 else ""
    return (
        f"the delivery is refused: {reasons}{more}; the recommender in use stays. Repair the data, or take this "
        "delivery as it is with --accept"
    )


def _alone(delivery: Delivery, settings: CheckSettings, now: int) -> Iterator[Check]:
    bound = settings.max_unknown_items
    yield Check(
        "check.max_unknown_items",
        "items of the newest days without an older interaction",
        f"{delivery.unknown_items:.1%}",
        f"at most {bound:.1%}",
        delivery.unknown_items <= bound,
    )
    if (days := settings.max_age_days) is not None:
        age = (now - delivery.newest) / DAY
        found = f"{age:.1f} days old ({as_date_time(delivery.newest)})"
        yield Check("check.max_age_days", "the newest interaction", found, f"at most {days:g} days", age <= days)
    if settings.required_columns:
        lacking = [name for name in settings.required_columns if f"column {name}" not in delivery.columns]
        found = f"without {quoted(lacking)}" if lacking else "all there"
        yield Check(
            "check.required_columns",
            "item columns",
            found,
            f"no delivery without {quoted(settings.required_columns)}",
            not lacking,
        )


def _counts(delivery: Delivery, before: Delivery, settings: CheckSettings) -> Iterator[Check]:
    for name, now, earlier, (low, high) in (
        ("interactions", delivery.interactions, before.interactions, settings.interactions),
        ("users", delivery.users, before.users, settings.users),
        ("items", delivery.items, before.items, settings.items),
    ):
        change = now / earlier - 1
        yield Check(
            f"check.{name}",
            name,
            f"{now:,} after {earlier:,} ({change:+.1%})",
            f"{low:+.1%} to {high:+.1%}",
            low <= change <= high,
        )


def _overlaps(ids: Ids, before: Ids, settings: CheckSettings) -> Iterator[Check]:
    for name, now, earlier, bound in (
        ("users", ids.users, before.users, settings.min_user_overlap),
        ("items", ids.items, before.items, settings.min_item_overlap),
    ):
        common = n_common(now, earlier)
        yield Check(
            f"check.min_{name[:-1]}_overlap",
            f"{name} of the last delivery that are still there",
            f"{common:,} of {len(earlier):,} ({common / len(earlier):.1%})",
            f"at least {bound:.1%}",
            common >= bound * len(earlier),
        )


def _same_columns(delivery: Delivery, before: Delivery) -> Check:
    now, earlier = dict(delivery.columns), dict(before.columns)
    changed = [
        f"{name} was {earlier.get(name, 'absent')}, is {now.get(name, 'absent')}"
        for name in {**earlier, **now}
        if now.get(name) != earlier.get(name)
    ]
    found = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
    allowed = "no change (set it to false to allow any)"
    return Check("check.same_columns", "columns and features of items", found or "the same", allowed, not changed)
