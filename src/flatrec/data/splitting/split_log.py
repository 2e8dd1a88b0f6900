"""From a log of events to interactions in three splits: returns, split, sums."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int, Int8
from numpy import ndarray

from flatrec.config.split import SplitSettings
from flatrec.data.interactions import SPLITS, Interactions
from flatrec.data.log import InteractionLog
from flatrec.data.splitting import cold, given, none, per_user, random, time
from flatrec.data.splitting.base import LEFT_OUT, SplitMethod
from flatrec.data.splitting.ratios import RATIOS, fractions_of
from flatrec.data.splitting.report import SplitReport
from flatrec.data.splitting.returns import settle_returns
from flatrec.data.splitting.sums import increasing, sum_events

METHODS: Mapping[str, SplitMethod] = {
    "random": random.METHOD,
    "time": time.METHOD,
    "leave-last": per_user.LEAVE_LAST,
    "user-time": per_user.USER_TIME,
    "given": given.METHOD,
    "cold-items": cold.COLD_ITEMS,
    "cold-users": cold.COLD_USERS,
    "none": none.METHOD,
}
DEFAULTS = SplitSettings(ratios=RATIOS, seed=0, n_last=1)


def split_log(
    log: InteractionLog, settings: SplitSettings, name: str = "the data set"
) -> tuple[Interactions, SplitReport]:
    """Split a log, and sum the events of a user and item within each split; the latest time stays.

    The result does not depend on the order of the events; interactions are ordered by user and item. O(events log
    events) time.

    Args:
        log: the events.
        settings: how to split; what is left out has its default.
        name: the name of the data set in messages.

    Raises:
        ValueError: a setting does not belong to the method, the method needs times and there are none, nothing is in
            training, or a split is empty that the method should fill.
    """
    method, settings = _completed(settings, log, name)
    resolved = settings if method.resolve is None else method.resolve(log, settings)
    standing, splits, (canceled, unmatched) = _assigned(log, resolved, method)
    late = int((splits == LEFT_OUT).sum())
    if late:
        standing, splits = standing.take(splits != LEFT_OUT), splits[splits != LEFT_OUT]
    sums = sum_events(standing, splits)
    summed, repeats = len(splits) - len(sums.keys), int(sums.repeated.sum())
    if repeats and not log.repeat:
        sums = sums.take(~sums.repeated)
    pairs, split_of = np.divmod(sums.keys, len(SPLITS))
    interactions = Interactions(
        (pairs // log.n_items).astype(np.int32),  # the 64-bit arrays are larger than all the rest
        (pairs % log.n_items).astype(np.int32),
        split_of.astype(np.int8),
        log.n_users,
        log.n_items,
        sums.timestamps,
        sums.weights,
        repeats=log.repeat and bool(repeats),
    )
    _check_filled(method, settings, interactions, name, dropped=0 if log.repeat else repeats)
    report = SplitReport(
        settings,
        resolved,
        given=log.splits is not None,
        summed=summed,
        weighted=sums.weights is not None,
        repeats=repeats,
        repeats_stay=log.repeat,
        late=late,
        canceled=canceled,
        unmatched_returns=unmatched,
    )
    return interactions, report


def _completed(settings: SplitSettings, log: InteractionLog, name: str) -> tuple[SplitMethod, SplitSettings]:
    """Return the method, and the settings with its defaults.

    Raises:
        ValueError: the log does not suit the method, or a setting does not belong to it.
    """
    settings = settings.replace(method=settings.method or ("given" if log.splits is not None else "random"))
    method = METHODS[str(settings.method)]
    _check_settings(method, settings, log, name)
    dated = settings.valid_from is not None and settings.test_from is not None  # then ratios play no part
    defaults = {key: value for key, value in DEFAULTS.given.items() if key in method.settings and not dated}
    return method, SplitSettings(**{**defaults, **settings.given})


def _assigned(
    log: InteractionLog, settings: SplitSettings, method: SplitMethod
) -> tuple[InteractionLog, Int8[ndarray, "n_standing"], tuple[int, int]]:
    """Return the events that stand after all returns, their splits, and the numbers of canceled and unmatched."""
    if method.unit == "all events":
        splits = method.assign(log, settings)
        standing, rows, counted = _standing(log, splits)
        return standing, splits[rows], counted
    standing, _, counted = _standing(log, None)
    if method.unit == "events":
        return standing, method.assign(standing, settings), counted
    if increasing(standing.cells):
        return standing, method.assign(standing, settings), counted
    _, first, inverse = np.unique(standing.cells, return_index=True, return_inverse=True)
    return standing, method.assign(standing.take(first), settings)[inverse], counted


def _standing(
    log: InteractionLog, segments: Int[ndarray, "n_events"] | None
) -> tuple[InteractionLog, ndarray, tuple[int, int]]:
    """Return the log without returns and what they canceled, the rows that it keeps, and two counts."""
    if log.quantities is None:
        return log, np.ones(len(log), dtype=np.bool_), (0, 0)
    settled = settle_returns(log, segments)
    rows = settled.quantities > 0
    standing = log.take(rows)
    weights = standing.weights
    if log.weigh_quantities:
        quantities = settled.quantities[rows]
        weights = quantities if weights is None else weights * quantities
    standing = InteractionLog(
        standing.users,
        standing.items,
        log.n_users,
        log.n_items,
        standing.timestamps,
        weights,
        splits=standing.splits,
        half_life=log.half_life,
        repeat=log.repeat,
    )
    return standing, rows, (settled.canceled, settled.unmatched)


def _check_settings(method: SplitMethod, settings: SplitSettings, log: InteractionLog, name: str) -> None:
    foreign = sorted(set(settings.given).difference(method.settings, ["method"]))
    if foreign:
        uses = ", ".join(f"split.{setting}" for setting in sorted(method.settings)) or "no other setting"
        raise ValueError(
            f"split.{foreign[0]} is not used by split.method {settings.method}, which uses {uses}; leave it out, or "
            "choose another method"
        )
    if method.needs_time and log.timestamps is None:
        raise ValueError(
            f"split.method {settings.method} needs the time of every interaction, but {name} has none; name the column "
            "with time_column, or choose another method, such as random"
        )


def _check_filled(
    method: SplitMethod, settings: SplitSettings, interactions: Interactions, name: str, *, dropped: int
) -> None:
    counts = [interactions.count(split) for split in SPLITS]
    if not sum(counts):
        raise ValueError(f"all purchases of {name} were returned, so that no interaction is left; look at the returns")
    if not counts[0]:
        raise ValueError(
            f"{name} has {sum(counts)} interactions but none in training (split.method {settings.method}); "
            "split it otherwise, or check the split column"
        )
    if method.may_lack:
        return
    fractions = fractions_of(settings.ratios or RATIOS) if "ratios" in method.settings else (1, 1, 1)
    advice = "choose other settings, or another method"
    if dropped:
        advice = (
            f"{dropped} more are with items that their users have in an earlier split: set repeat = true in "
            f"dataset.toml to keep them, {advice}"
        )
    for split, number, fraction in zip(SPLITS, counts, fractions, strict=True):
        if fraction and not number:
            raise ValueError(
                f"split.method {settings.method} leaves no {split} interaction in {name} (train {counts[0]}, valid "
                f"{counts[1]}, test {counts[2]}); {advice}"
            )
