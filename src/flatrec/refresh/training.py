"""The two training runs of a generation: the candidate without the newest days, and the final fit on everything."""

from __future__ import annotations

import logging
from pathlib import Path

from flatrec.api import run_experiment
from flatrec.final_fit import refit
from flatrec.inference.storage import load_recommender
from flatrec.models import BASELINES
from flatrec.refresh.comparison import THIS, reaches, scores
from flatrec.refresh.store import CANDIDATE, FINAL
from flatrec.refresh.work import Work
from flatrec.runs import run_dir
from flatrec.utils import user_classes

logger = logging.getLogger(__name__)


def train_candidate(work: Work) -> None:
    """Train the candidate, or go on where a killed run stopped.

    Raises:
        ValueError: the settings do not fit the data.
        DivergedError: ten steps in a row, or all of an epoch, had no finite gradient.
    """
    run_experiment(
        work.experiment,
        work.split,
        work.candidate,
        resume=run_dir.has_run(work.candidate),
        callbacks=work.callbacks("candidate"),
        init_from=start_of(work, CANDIDATE),
    )


def fit_final(work: Work) -> None:
    """Train the candidate's settings on all interactions for as many epochs as it chose, and check the recommender.

    The recommender is read from its folder, as every program will read it, and scored on the newest days. It was
    trained on them, so that it cannot do worse there than the candidate; if it does, it is broken.

    Raises:
        RuntimeError: the recommender is worse than the candidate on what it was trained on.
        DivergedError: ten steps in a row, or all of an epoch, had no finite gradient.
    """
    refit(
        work.candidate,
        work.final,
        data=work.dataset,
        model=_own(work.experiment.model.name),
        strategy=_own(work.experiment.strategy.name),
        resume=run_dir.has_run(work.final),
        callbacks=work.callbacks("final fit"),
        init_from=start_of(work, FINAL),
    )
    assert work.state.comparison is not None
    metric, margin = work.settings.compare.metric, work.settings.compare.margin
    value, bound = scores(work, load_recommender(work.final))[metric], work.state.comparison["values"][THIS][metric]
    if not reaches(metric, value, bound, margin):
        raise RuntimeError(
            f"the final fit is broken: its {metric} on the newest days, which it was trained on, is {value:.4f}, but "
            f"{bound:.4f} without them; the recommender in use stays. Train with other settings, such as a lower "
            "optimizer.lr, or set compare.margin higher"
        )


def _own(name: str) -> str | None:
    """Return the name of a class of the user's own, which a run folder alone does not import; None for one of ours."""
    return name if user_classes.is_own(name) else None


def start_of(work: Work, name: str) -> Path | None:
    """Return the run of the generation in use that training starts from; None to start from initial parameters.

    The candidate starts from the earlier candidate and the final fit from the earlier final fit: what the candidate
    starts from was then trained neither on the newest days nor on those that choose the best epoch.
    """
    model = work.experiment.model
    if not work.settings.warm_start or work.state.in_use is None or model.name in BASELINES:
        return None
    folder = work.store.folder(work.state.in_use)
    try:
        for run in (CANDIDATE, FINAL):
            run_dir.read_result(folder / run)
        same = run_dir.read_experiment(folder / CANDIDATE).model == model
    except FileNotFoundError:
        return None
    except ValueError as error:
        logger.warning("%s", error)
        return None
    return folder / name if same else None
