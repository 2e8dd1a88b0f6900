"""From a log of events to interactions in three splits: returns, split, sums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Int8, Int64
from numpy import ndarray

from flatrec.config.split import SplitSettings
from flatrec.data.interactions import SPLITS, Interactions
from flatrec.data.log import InteractionLog
from flatrec.data.splitting import cold, given, none, per_user, random, time
from flatrec.data.splitting.base import LEFT_OUT, SplitMethod
from flatrec.data.splitting.ratios import RATIOS, fractions_of
from flatrec.data.splitting.returns import settle_returns
from flatrec.utils.messages import count

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


@dataclass(frozen=True)
class SplitReport:
    """How interactions were split, and what was left out or summed on the way.

    Args:
        settings: the settings by which they were split.
        given: whether the source gives a split.
        summed: number of events that joined an earlier one of the same user, item and split.
        weighted: whether their weights were added up; else they count once.
        repeats: number of validation and test interactions with an item that the user has in an earlier split.
        repeats_stay: whether these stay; else they were dropped.
        late: number of events after the end of the test split, which were left out.
        canceled: number of purchases that were returned as a whole.
        unmatched_returns: number of returns without a purchase before them that they could cancel.
    """

    settings: SplitSettings = field(default_factory=SplitSettings)
    given: bool = False
    summed: int = 0
    weighted: bool = False
    repeats: int = 0
    repeats_stay: bool = False
    late: int = 0
    canceled: int = 0
    unmatched_returns: int = 0

    def sentences(self) -> Iterator[str]:
        """Yield what a user should know, one sentence each."""
        if self.summed:
            effect = "their weights are added up" if self.weighted else "each counts once"
            yield f"{count(self.summed, 'repeated interaction')}; {effect}"
        if self.canceled:
            yield f"{count(self.canceled, 'purchase')} canceled by a return"
        if self.unmatched_returns:
            yield f"{count(self.unmatched_returns, 'return')} without a purchase before it that it could cancel"
        if self.repeats and not self.repeats_stay:
            yield (
                f"{count(self.repeats, 'validation or test interaction')} dropped, since the user has the item in an "
                "earlier split; repeat = true keeps such interactions"
            )
        if self.late:
            yield f"{count(self.late, 'event')} after split.test_until left out"


class _Sums(NamedTuple):
    """One entry for each user, item and split."""

    keys: Int64[ndarray, "n_sums"]
    timestamps: Int64[ndarray, "n_sums"] | None
    weights: Float32[ndarray, "n_sums"] | None


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
    settings = settings.replace(method=settings.method or ("given" if log.splits is not None else "random"))
    method = METHODS[str(settings.method)]
    _check_settings(method, settings, log, name)
    standing, splits, counted = _assigned(log, settings, method)
    late = int((splits == LEFT_OUT).sum())
    if late:
        standing, splits = standing.take(splits != LEFT_OUT), splits[splits != LEFT_OUT]
    if not len(standing):
        raise ValueError(
            f"{name} has no interaction left of {len(log)} events: returns cancel {count(counted[0], 'purchase')}, and "
            f"{count(late, 'event')} are after split.test_until; check both"
        )
    sums = _sums(standing, splits)
    pairs = sums.keys // len(SPLITS)
    repeated = np.concatenate([[False], pairs[1:] == pairs[:-1]])
    if not log.repeat and repeated.any():
        sums = _Sums(*(None if column is None else column[~repeated] for column in sums))  # type: ignore[arg-type]
    pairs, split_of = np.divmod(sums.keys, len(SPLITS))
    interactions = Interactions(
        pairs // log.n_items,
        pairs % log.n_items,
        split_of,
        log.n_users,
        log.n_items,
        sums.timestamps,
        sums.weights,
        repeats=log.repeat and bool(repeated.any()),
    )
    _check_filled(method, settings, interactions, name)
    return interactions, SplitReport(
        settings,
        log.splits is not None,
        summed=len(splits) - len(repeated),
        weighted=sums.weights is not None,
        repeats=int(repeated.sum()),
        repeats_stay=log.repeat,
        late=late,
        canceled=counted[0],
        unmatched_returns=counted[1],
    )


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


def _sums(log: InteractionLog, splits: Int[ndarray, "n_events"]) -> _Sums:
    """Sum the weights of each user, item and split in float64, in an order that does not depend on that of the rows."""
    keys = log.cells * len(SPLITS) + splits
    weights = _decayed(log, splits)
    if log.timestamps is None and weights is None:
        keys = np.sort(keys)
        return _Sums(keys[_starts(keys)], None, None)
    columns = [column for column in (weights, log.timestamps) if column is not None]
    order = np.argsort(keys, kind="stable")
    if not _starts(keys[order]).all():  # else there is nothing to sum, and the order is that of the keys
        order = np.lexsort((*columns, keys))
    keys = keys[order]
    starts = np.flatnonzero(_starts(keys))
    ends = np.append(starts[1:], len(keys)) - 1
    return _Sums(
        keys[starts],
        None if log.timestamps is None else log.timestamps[order][ends],
        None if weights is None else np.add.reduceat(weights[order], starts).astype(np.float32),
    )


def _starts(keys: Int64[ndarray, "n"]) -> ndarray:
    """Return True for the first of each group of equal keys, which are sorted."""
    starts: ndarray = np.concatenate([[True], keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, dtype=np.bool_)
    return starts


def _decayed(log: InteractionLog, splits: Int[ndarray, "n_events"]) -> ndarray | None:
    """Return the weights, those of training events halved for each half-life of their age."""
    if log.half_life is None or log.timestamps is None:
        return None if log.weights is None else log.weights.astype(np.float64)
    weights = np.ones(len(log)) if log.weights is None else log.weights.astype(np.float64)
    train = splits == 0
    if train.any():
        ages = log.timestamps[train].max() - log.timestamps[train]
        weights[train] *= 0.5 ** (ages / log.half_life)
    return np.maximum(weights, np.finfo(np.float32).tiny)


def _check_settings(method: SplitMethod, settings: SplitSettings, log: InteractionLog, name: str) -> None:
    foreign = sorted(set(settings.given).difference(method.settings, ["method"]))
    if foreign:
        uses = ", ".join(f"split.{one}" for one in sorted(method.settings)) or "no other setting"
        raise ValueError(
            f"split.{foreign[0]} is not used by split.method {settings.method}, which uses {uses}; leave it out, or "
            "choose another method"
        )
    if method.needs_time and log.timestamps is None:
        raise ValueError(
            f"split.method {settings.method} needs the time of every interaction, but {name} has none; name the column "
            "with time_column, or choose another method, such as random"
        )


def _check_filled(method: SplitMethod, settings: SplitSettings, interactions: Interactions, name: str) -> None:
    counts = [interactions.count(split) for split in SPLITS]
    if not counts[0]:
        raise ValueError(
            f"{name} has {sum(counts)} interactions but none in training (split.method {settings.method}); "
            "split it otherwise, or check the split column"
        )
    if method.may_lack:
        return
    fractions = fractions_of(settings.ratios or RATIOS) if "ratios" in method.settings else (1, 1, 1)
    for split, number, fraction in zip(SPLITS, counts, fractions, strict=True):
        if fraction and not number:
            raise ValueError(
                f"split.method {settings.method} leaves no {split} interaction in {name} (train {counts[0]}, valid "
                f"{counts[1]}, test {counts[2]}); choose other settings, or another method"
            )
