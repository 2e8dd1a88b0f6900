"""RQ3: do models trained into flat minima bear noise better?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from flatrec.config import Experiment
from flatrec.inference.run import Run
from flatrec.research.analysis.perturbation import embedding_noise, item_embeddings, noisy
from flatrec.research.reporting.outcome import Image
from flatrec.research.studies.base import Conclusion, Finished, Planned, Request, Study, grid
from flatrec.research.studies.metric_drops import decreases, figure, in_words, table
from flatrec.research.studies.rescoring import disturb_trained_features, model_of, rescored, scores_on_test
from flatrec.utils import seeding

EMBEDDINGS, FEATURES = "embeddings", "features"


class Noise(Study):
    """Gaussian noise at inference: on the learned item embeddings, and on the features of every modality.

    Nothing is trained again. With noisy features the model is built again, its graphs of similar items included.

    Args:
        variances: of the noise.
        draws: of each.
        metric: whose decrease is looked at.
    """

    TITLE = "Noise"
    QUESTION = "Do models trained into flat minima lose less under Gaussian noise (RQ3)?"
    STRATEGIES = ("plain", "bsam", "bsam+")

    def __init__(
        self, *, variances: tuple[float, ...] = (1e-6, 1e-5, 1e-4), draws: int = 5, metric: str = "recall@10"
    ) -> None:
        if draws < 1 or any(variance < 0 for variance in variances):
            raise ValueError(f"variances must be at least 0 and draws at least 1, but are {variances} and {draws}")
        self.variances, self.draws, self.metric = variances, draws, metric

    def plan(self, request: Request) -> list[Planned]:
        """The grid, each run disturbed."""
        return grid(request, measures=(UnderNoise(self.variances, self.draws),))

    def analyze(self, request: Request, finished: Sequence[Finished]) -> Conclusion:  # noqa: ARG002
        """Decreases by place and variance."""
        rows = decreases(finished, UnderNoise.NAME, self.metric)
        caption = "Over the variance; bands from the lowest seed to the highest."
        image = Image("noise", "Decrease under noise", caption)
        drawn = ((image, figure(rows, self.metric, "variance of the noise")),)
        return Conclusion((table(rows, name="noise", title=self.TITLE, metric=self.metric),), drawn, in_words(rows))


@dataclass(frozen=True)
class UnderNoise:
    """Test scores of a run under noise, by place and variance."""

    NAME: ClassVar[str] = "noise"
    variances: tuple[float, ...]
    draws: int

    def __call__(self, run: Run, experiment: Experiment) -> Mapping[str, Any]:
        """A list of scores, one a draw; a model without item embeddings or features has none there."""
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
        other = rescored(run, experiment, noisy(run.dataset, variance, stream))
        disturb_trained_features(model_of(other), variance, stream)
        return scores_on_test(other)


def _embeddings(run: Run) -> list[Tensor]:
    return item_embeddings(model_of(run), run.dataset.n_users, run.dataset.n_items)


def _reads_features(run: Run) -> bool:
    return type(model_of(run)).MODALITIES != "none" and bool(run.dataset.features)
