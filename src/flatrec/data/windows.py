"""Successive windows of the test period of a split by time, each a split of its own."""

from __future__ import annotations

from flatrec.config.split import SplitSettings
from flatrec.data.dataset import Dataset
from flatrec.utils.moments import as_date_time, parse_moment


def windowed(dataset: Dataset) -> tuple[Dataset, ...]:
    """Return the data set once for each of its windows, each with the window as its test split.

    Raises:
        ValueError: the split has no windows, or a window leaves a split empty.
    """
    settings = window_settings(dataset.split_report.resolved)
    windows = []
    for number, of_window in enumerate(settings, start=1):
        try:
            windows.append(dataset.split_again(of_window))
        except ValueError as error:
            raise ValueError(
                f"window {number} of {len(settings)}, from {of_window.test_from} to {of_window.test_until}: {error}"
            ) from None
    return tuple(windows)


def window_settings(split: SplitSettings) -> tuple[SplitSettings, ...]:
    """Return the settings of each window of a split by time.

    The test period is divided into windows of equal length, to the second. Validation is the period before the window,
    as long as that before the whole test period; all that is older is for training, all that is newer is left out.

    Args:
        split: the settings with all dates, as in :attr:`flatrec.data.splitting.SplitReport.resolved`.

    Raises:
        ValueError: the split has no windows, or more of them than its test period has seconds.
    """
    if not split.windows or not (split.valid_from and split.test_from and split.test_until):
        raise ValueError("the split has no windows; set split.method = time and split.windows, e.g. to 4")
    valid, start, end = map(_seconds, (split.valid_from, split.test_from, split.test_until))
    if split.windows > end - start:
        raise ValueError(
            f"split.windows is {split.windows}, but the test period from {split.test_from} to {split.test_until} has "
            f"only {end - start} seconds; lower it"
        )
    bounds = [start + number * (end - start) // split.windows for number in range(split.windows + 1)]
    return tuple(
        SplitSettings(
            method="time",
            ratios=split.ratios,
            valid_from=as_date_time(begin - (start - valid)),
            test_from=as_date_time(begin),
            test_until=as_date_time(until),
            windows=0,
        )
        for begin, until in zip(bounds, bounds[1:], strict=False)
    )


def _seconds(moment: str) -> int:
    return parse_moment(moment, "a date of the split")
