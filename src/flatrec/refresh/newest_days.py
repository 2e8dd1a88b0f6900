"""The newest days of a delivery: which interactions are the test of a comparison, and which choose the best epoch."""

from __future__ import annotations

import numpy as np

from flatrec.config import Experiment, SplitSettings
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Interactions
from flatrec.refresh.settings import CompareSettings
from flatrec.utils.moments import as_date_time

DAY = 86_400  # seconds


def check_times(dataset: Dataset) -> None:
    """Make sure that the data say when each interaction happened.

    Raises:
        ValueError: they do not.
    """
    if dataset.interactions.timestamps is None:
        raise ValueError(
            f"a refresh needs the time of every interaction, but {dataset.name!r} has none; name the column with "
            "time_column in its dataset.toml"
        )


def newest(interactions: Interactions) -> int:
    """Return the time of the newest interaction, in Unix seconds."""
    assert interactions.timestamps is not None
    return int(interactions.timestamps.max())


def oldest(interactions: Interactions) -> int:
    """Return the time of the oldest interaction, in Unix seconds."""
    assert interactions.timestamps is not None
    return int(interactions.timestamps.min())


def newest_days(dataset: Dataset, settings: CompareSettings, *, not_before: int | None = None) -> Dataset:
    """Return the data split by time: the newest days are the test, the days before them are for validation.

    The newest interaction ends the newest day; the test begins ``settings.days`` times 24 hours before it.

    Args:
        dataset: the delivery, all of its interactions in one split.
        settings: how many days.
        not_before: the earliest time at which the test may begin, in Unix seconds, as the recommender that the
            candidate is compared with was trained on what is older.

    Raises:
        ValueError: the data have no times, end before ``not_before``, or do not begin so long ago that interactions are
            left for training.
    """
    check_times(dataset)
    end = newest(dataset.interactions) + 1
    if not_before is not None and end <= not_before:
        raise ValueError(
            f"the newest interaction of {dataset.name!r} is of {as_date_time(end - 1)}, but the candidate "
            f"of the recommender in use was trained on all before {as_date_time(not_before)}, so that nothing newer is "
            "left to compare them on; repair the data, or remove the link `current` to begin again without it"
        )
    test = max(end - round(settings.days * DAY), not_before or 0)
    valid = test - round(settings.valid * DAY)
    first = oldest(dataset.interactions)
    if valid <= first:
        raise ValueError(
            f"{dataset.name!r} begins at {as_date_time(first)} and ends at {as_date_time(end - 1)}, so that nothing is "
            f"left for training before the {settings.valid:g} days of validation and the {settings.days:g} days of "
            "test; set compare.days and compare.valid_days lower, or wait for more data"
        )
    return dataset.split_again(
        SplitSettings(
            method="time",
            ratios=(8, 1 if valid < test else 0, 1),
            valid_from=as_date_time(valid),
            test_from=as_date_time(test),
        )
    )


def experiment_of(experiment: Experiment, dataset: Dataset, settings: CompareSettings) -> Experiment:
    """Return the experiment of a candidate on the delivery that :func:`newest_days` split.

    The metric that decides is measured in any case, and the run folder gets a recommender.
    """
    evaluation = experiment.evaluation
    name, k = settings.metric.partition("@")[0], settings.k
    evaluation = evaluation.replace(
        ks=tuple(sorted({*evaluation.ks, k})), metrics=tuple(dict.fromkeys((*evaluation.metrics, name)))
    )
    return experiment.completed().replace(
        data=dataset.source or "",
        evaluation=evaluation,
        training=experiment.training.replace(save_recommender="always"),
        split=dataset.split_report.settings,
    )


def unknown_items(interactions: Interactions) -> float:
    """Return the fraction of the items with a test interaction that have no older one."""
    older: np.ndarray = interactions.item_counts("train") + interactions.item_counts("valid") > 0
    tested: np.ndarray = interactions.item_counts("test") > 0
    return float((tested & ~older).sum() / max(int(tested.sum()), 1))
