"""RQ3: do models trained into flat minima tolerate noise better?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from flatrec.config import Experiment
from flatrec.inference.run import Run
from flatrec.research.analysis.perturbation import embedding_noise, item_embeddings, noisy
from flatrec.research.reporting.study_result import Image
from flatrec.research.studies.base import Analysis, PlannedRun, Request, Study, StudyRuns, grid
from flatrec.research.studies.metric_drops import card_columns, figure, findings_of, metric_drops, table
from flatrec.research.studies.rescoring import disturb_trained_features, rebuild, scores_on_test, trained_model
from flatrec.utils import seeding

EMBEDDINGS, FEATURES = "embeddings", "features"


class NoiseStudy(Study):
    """Gaussian noise at inference: on the learned item embeddings, and on the features of every modality.

    Nothing is trained again. With noisy features the model is rebuilt, with its graphs of similar items.

    Args:
        variances: variances of the noise.
        draws: number of draws of each variance.
        metric: metric whose drop is measured.
    """

    NAME = "noise"
    TITLE = "Noise"
    QUESTION = "Do models trained into flat minima lose less under Gaussian noise (RQ3)?"
    STRATEGIES = ("plain", "bsam", "bsam+")

    def __init__(
        self, *, variances: tuple[float, ...] = (1e-6, 1e-5, 1e-4), draws: int = 5, metric: str = "recall@10"
    ) -> None:
        if draws < 1 or any(variance < 0 for variance in variances):
            raise ValueError(f"variances must be at least 0 and draws at least 1, but are {variances} and {draws}")
        self.variances, self.draws, self.metric = variances, draws, metric

    def plan(self, request: Request) -> list[PlannedRun]:
        """Plan the grid, with scores under noise."""
        return grid(request, measures=(ScoresUnderNoise(self.variances, self.draws),))

    def analyze(self, runs: StudyRuns) -> Analysis:
        """Compare drops by place and variance."""
        rows = metric_drops(runs.finished, ScoresUnderNoise.NAME, self.metric)
        caption = "Drop over the variance; bands from the lowest seed to the highest."
        image = Image("noise", "Drop under noise", caption)
        drawn = ((image, figure(rows, self.metric, "variance of the noise")),)
        words = ("{}", "Drop, noisy {}", "under noise on {}")
        columns = card_columns(rows, (EMBEDDINGS, FEATURES), words, metric=self.metric, level="variance")
        tables = (table(rows, name="noise", title=self.TITLE, metric=self.metric),)
        return Analysis(tables, drawn, findings_of(rows), columns)


@dataclass(frozen=True)
class ScoresUnderNoise:
    """Test scores of a run under noise, by place and variance."""

    NAME: ClassVar[str] = "noise"
    variances: tuple[float, ...]
    draws: int

    def __call__(self, run: Run, experiment: Experiment) -> Mapping[str, Any]:
        """Return a list of scores, one per draw; a model without item embeddings or features has none there."""
        places = {EMBEDDINGS: self._on_embeddings} if _embeddings(run) else {}
        places |= {FEATURES: self._on_features} if _reads_features(run) else {}
        return {
            place: {
                f"{variance:g}": [disturbed(run, experiment, variance, draw) for draw in range(self.draws)]
                for variance in self.variances
            }
            for place, disturbed in places.items()
        }

    @staticmethod
    def _on_embeddings(run: Run, experiment: Experiment, variance: float, draw: int) -> dict[str, float]:
        stream = seeding.generator(experiment.seed, f"noise on embeddings {variance:g}", draw)
        with embedding_noise(_embeddings(run), variance, stream):
            return scores_on_test(run)

    @staticmethod
    def _on_features(run: Run, experiment: Experiment, variance: float, draw: int) -> dict[str, float]:
        stream = seeding.generator(experiment.seed, f"noise on features {variance:g}", draw)
        other = rebuild(run, experiment, noisy(run.dataset, variance, stream))
        disturb_trained_features(trained_model(other), variance, stream)
        return scores_on_test(other)


def _embeddings(run: Run) -> list[Tensor]:
    return item_embeddings(trained_model(run), run.dataset.n_users, run.dataset.n_items)


def _reads_features(run: Run) -> bool:
    return type(trained_model(run)).MODALITIES != "none" and bool(run.dataset.features)
