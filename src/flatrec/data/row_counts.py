"""What became of every row of the interactions of a source."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flatrec.data.dataset import Dataset


@dataclass(frozen=True)
class RowCounts:
    """The number of rows, and what became of them: all numbers but the first add up to it."""

    rows: int  # rows of the source, blank ones left out; of data that no source was read for, the sum of the others
    without_id: int  # left out, without a user or item id
    unnamed_events: int  # left out, with an event that has no weight
    low_ratings: int  # left out, with a rating below the minimum
    without_quantity: int  # left out, with a quantity of 0, or a negative one of no purchase
    returns: int  # returns
    filtered: int  # removed by the k-core filter
    canceled: int  # purchases that were returned as a whole
    late: int  # left out, after the end of the test split
    summed: int  # joined to an earlier row of the same user, item and split
    repeats: int  # dropped from validation or test, since the user has the item in an earlier split
    interactions: int  # interactions of the data set


def row_counts(dataset: Dataset) -> RowCounts:
    """Return what became of the rows of a data set."""
    events, split = dataset.cleaning_report.events, dataset.split_report
    counts = RowCounts(
        rows=events.rows,
        without_id=events.without_id,
        unnamed_events=events.unnamed_events,
        low_ratings=events.low_ratings,
        without_quantity=events.without_quantity,
        returns=events.returns,
        filtered=dataset.cleaning_report.filtered_events,
        canceled=split.canceled,
        late=split.late,
        summed=split.summed,
        repeats=0 if split.repeats_stay else split.repeats,
        interactions=len(dataset.interactions),
    )
    return counts if events.rows else replace(counts, rows=sum(vars(counts).values()))
