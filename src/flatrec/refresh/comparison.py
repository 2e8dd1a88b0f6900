"""Whether a candidate is promoted: its lists for the newest days against those of the recommender in use."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import Any

from flatrec.api import run_experiment
from flatrec.config import Component
from flatrec.data.dataset import Dataset
from flatrec.evaluation.metrics import higher_is_better
from flatrec.inference.evaluation import count_seen, evaluate_recommender
from flatrec.inference.recommender import Recommender
from flatrec.inference.storage import load_recommender
from flatrec.refresh.store import CANDIDATE, FINAL
from flatrec.refresh.work import Work
from flatrec.utils.messages import count
from flatrec.utils.moments import parse_moment

logger = logging.getLogger(__name__)
THIS, IN_USE, POPULAR = "candidate", "recommender in use", "most popular items"
AS_IT_ANSWERS = "recommender in use, with its newest days"


@dataclass(frozen=True)
class Comparison:
    """The values of a candidate, and of what it must reach.

    Args:
        metric: the metric that decides.
        margin: how much worse it may be, as a fraction.
        reference: what the candidate is compared with: the name of an entry of ``values``.
        values: the metrics of each recommender.
        promote: whether the candidate is promoted.
        about: a sentence on what was compared.
        trained_until: the end of what the candidate was trained on, in Unix seconds.
    """

    metric: str
    margin: float
    reference: str
    values: dict[str, dict[str, float]]
    promote: bool
    about: str
    trained_until: int

    def as_dict(self) -> dict[str, Any]:
        """Return the values by name."""
        return asdict(self)

    @property
    def sentence(self) -> str:
        """What decided, with both numbers."""
        this, other = (self.values[name][self.metric] for name in (THIS, self.reference))
        compared = f"{self.metric} is {this:.4f}, and {other:.4f} for the {self.reference}"
        if self.reference == POPULAR:
            warning = "" if reaches(self.metric, this, other, 0.0) else ", which are better: look at the settings"
            return f"there was nothing to compare with; {compared}{warning}"
        bound = f"the margin of {self.margin:.1%}"
        return f"{compared}, {'within' if self.promote else 'worse by more than'} {bound}"


def compare(work: Work) -> Comparison:
    """Score the candidate and the recommender in use on the newest days, which neither was trained on.

    The recommender in use was trained on all interactions of its delivery, and so on most of the newest days. Its lists
    for them would be no forecast. What is compared is therefore the candidate of its generation, which was trained as
    this one: without the newest days of its own delivery. The recommender in use itself is scored as well, but does not
    decide.
    """
    dataset, settings = work.split, work.settings.compare
    recommenders = {THIS: load_recommender(work.candidate)}
    recommenders |= _in_use(work)
    if IN_USE not in recommenders:
        recommenders[POPULAR] = _popular(work)
    reference = IN_USE if IN_USE in recommenders else POPULAR
    values = {name: scores(work, recommender) for name, recommender in recommenders.items()}
    this, other = (values[name][settings.metric] for name in (THIS, reference))
    return Comparison(
        metric=settings.metric,
        margin=settings.margin,
        reference=reference,
        values=values,
        promote=reference == POPULAR or reaches(settings.metric, this, other, settings.margin),
        about=_about(dataset, recommenders.get(AS_IT_ANSWERS)),
        trained_until=parse_moment(str(dataset.split_report.resolved.valid_from), "split.valid_from"),
    )


def scores(work: Work, recommender: Recommender) -> dict[str, float]:
    """Return the metrics of a recommender on the newest days."""
    settings = work.settings.compare
    name = settings.metric.partition("@")[0]
    return evaluate_recommender(
        recommender,
        work.split,
        ks=(settings.k,),
        metrics=tuple(dict.fromkeys((name, "recall", "ndcg"))),
        mask="none" if work.experiment.evaluation.mask == "none" else "train+valid",
    ).metrics


def reaches(metric: str, value: float, bound: float, margin: float) -> bool:
    """Return True if a value is not worse than another by more than a fraction of it."""
    if higher_is_better(metric):
        return value >= bound * (1 - margin)
    return value <= bound * (1 + margin)


def _in_use(work: Work) -> dict[str, Recommender]:
    """Return the recommenders of the generation in use; one that is damaged is left out with a warning."""
    recommenders: dict[str, Recommender] = {}
    if work.state.in_use is None:
        return recommenders
    for name, run in ((IN_USE, CANDIDATE), (AS_IT_ANSWERS, FINAL)):
        try:
            recommenders[name] = load_recommender(work.store.folder(work.state.in_use) / run)
        except (FileNotFoundError, ValueError) as error:
            logger.warning("%s", error)
    return recommenders


def _popular(work: Work) -> Recommender:
    """Return the recommender of the most popular items, trained as the candidate is."""
    experiment = work.experiment.replace(model=Component("popularity"))
    return run_experiment(experiment, work.split, log_warnings=False).recommender


def _about(dataset: Dataset, in_use: Recommender | None) -> str:
    interactions = dataset.interactions
    users, items = interactions.indices("test")
    resolved = dataset.split_report.resolved
    said = (
        f"{count(len(users), 'interaction')} of {count(len(set(users.tolist())), 'user')} from {resolved.test_from} "
        f"on; the candidate was trained on what is older than {resolved.valid_from}"
    )
    if in_use is None:
        return said
    known = count_seen(in_use, dataset)
    return (
        f"{said}; the {IN_USE} stands for its generation as it was trained without its own newest days; with them, it "
        f"was trained on {known} of these interactions, and its value is no forecast"
    )
