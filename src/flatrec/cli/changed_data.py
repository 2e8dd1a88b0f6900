"""Commands on a run whose data have changed since: what is still answered, and a note that says so."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flatrec.data.dataset import Dataset
    from flatrec.data.interactions import Split
    from flatrec.evaluation import EvaluationResult
    from flatrec.inference.recommender import Recommender
    from flatrec.inference.run import Run

logger = logging.getLogger(__name__)


def data_of(run: Path, data: str | None) -> Dataset:
    """Return the data of a finished run as they are now, in the split of the run.

    Args:
        run: the folder of the run.
        data: where the data are now, if not where the run found them.

    Raises:
        FileNotFoundError: there is no finished run, or there are no data.
        ValueError: the folder is damaged, or the data cannot be read or split so.
    """
    from flatrec.api import load
    from flatrec.runs import run_dir

    run_dir.read_result(run)
    recorded = run_dir.read_experiment(run)
    return load(data or recorded.data, recorded.split)


def has_changed(run: Path, dataset: Dataset) -> bool:
    """Return True if a run holds a recommender and was made from other data than these."""
    from flatrec.inference.storage import has_recommender
    from flatrec.runs import run_dir

    return not run_dir.is_of(run, dataset) and has_recommender(run)


def evaluate_changed(
    run: Path, dataset: Dataset, split: Split, metrics: Sequence[str], *, group: bool = False
) -> EvaluationResult:
    """Score the recommender of a run on data that have changed since, with notes on what that means.

    Args:
        run: the folder of the run.
        dataset: the data as they are now.
        split: the split that is scored.
        metrics: the places of metrics of the run that are the user's own.
        group: whether groups alone are scored, whoever was in the evaluations of the run.

    Raises:
        ValueError: the recommender is damaged, or the split has no interaction.
    """
    from flatrec.inference.changes import count_trained
    from flatrec.inference.evaluation import evaluate_recommender
    from flatrec.inference.storage import load_recommender
    from flatrec.registry.naming import available_metrics, import_metrics_of_run
    from flatrec.runs import run_dir

    settings = run_dir.read_experiment(run).evaluation
    import_metrics_of_run(settings.metrics, metrics)
    recommender = load_recommender(run)
    note_change(run, dataset, "the recommender of the run is scored on the data as they are now, by ids")
    trained, scored = count_trained(recommender, dataset, split), dataset.interactions.count(split)
    if trained:
        logger.warning(
            "%s: the recommender was trained on %d of the %d interactions that are scored, so that its scores are too "
            "high; evaluate on interactions that are newer than the run",
            split,
            trained,
            scored,
        )
    return evaluate_recommender(
        recommender,
        dataset,
        split,
        ks=settings.ks,
        metrics=available_metrics(settings.metrics),
        mask=settings.mask,
        unknown_users=settings.unknown_users,
        users="groups" if group else settings.users,
        sampled_negatives=settings.sampled_negatives,
    )


def note_change(run: Path, dataset: Dataset, consequence: str) -> None:
    """Log what differs between the data of a run and the data now, and what follows."""
    from flatrec.inference.changes import DataChange
    from flatrec.inference.storage import load_recommender

    change = DataChange.between(load_recommender(run), dataset).sentence()
    logger.warning("%r now holds other data than %s was trained on (%s); %s", dataset.name, run, change, consequence)


def untrained(run: Path, dataset: Dataset, model: str | None, metrics: Sequence[str]) -> Run:
    """Return the settings of a run for other data, with a model that was not trained, for what trains one itself.

    Args:
        run: the folder of the run.
        dataset: the data as they are now.
        model: the place of the model's class, if it is the user's own.
        metrics: the same for the metrics of the run.

    Raises:
        ValueError: the data do not fit the model, or a class is not named.
    """
    from flatrec.inference.run import Run
    from flatrec.registry.instantiate import build_model
    from flatrec.registry.naming import import_metrics_of_run, of_run
    from flatrec.runs import run_dir

    recorded = run_dir.read_experiment(run)
    import_metrics_of_run(recorded.evaluation.metrics, metrics)
    built = build_model(of_run(recorded.model, "model", model), dataset, recorded.seed)
    return Run.of(dataset, built, recorded.evaluation)


def with_newer(recommender: Recommender, data: str) -> Recommender:
    """Return a recommender with the interactions of newer data, and log what was done with them.

    Args:
        recommender: the recommender.
        data: the path of the newer data, which are read without a split.

    Raises:
        FileNotFoundError: there are no such data.
        ValueError: they cannot be read.
    """
    from flatrec.api import load
    from flatrec.config import SplitSettings
    from flatrec.inference.new_interactions import add_interactions

    dataset = load(data, SplitSettings(method="none"))
    added = add_interactions(recommender, dataset)
    logger.warning("%s", added.sentence(dataset.name))
    return added.recommender
