"""RQ3: do models trained into flat minima tolerate edited texts and images better?"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from flatrec.config import Experiment
from flatrec.content.llm.item_editor import AdjustmentRecord, read_adjustment
from flatrec.data.dataset import Dataset
from flatrec.data.encoded_items import encoded_features, read_encoded
from flatrec.data.features import Features
from flatrec.inference.run import Run
from flatrec.research.analysis.perturbation import adjust_features
from flatrec.research.reporting.study_result import Image
from flatrec.research.studies.base import Analysis, PlannedRun, Request, Study, StudyRuns, grid
from flatrec.research.studies.metric_drops import card_columns, figure, findings_of, metric_drops, table
from flatrec.research.studies.rescoring import rebuild, scores_on_test
from flatrec.utils import seeding

FEATURES = "features"
MIN_COSINE = 0.999  # between features that one encoder made of the same input at two times


class AdjustmentStudy(Study):
    """A fraction of the items gets another text and an edited image after training.

    With ``features``, texts and images themselves were edited and re-encoded. Without, features are edited in their
    place, for data without raw texts and images: an adjusted item takes the text features of the item whose image is
    nearest to its own, and half of that item's image features.

    Args:
        fractions: fractions of the items that are adjusted, where features are edited.
        draws: number of draws of each fraction, where features are edited.
        metric: metric whose drop is measured.
        features: folders that ``flatrec adjust`` and then ``flatrec encode`` wrote, one per draw and probability.
    """

    NAME = "adjustment"
    TITLE = "Information adjustment"
    QUESTION = "Do models trained into flat minima lose less when item information is edited (RQ3)?"
    STRATEGIES = ("plain", "bsam", "bsam+")

    def __init__(
        self,
        *,
        fractions: tuple[float, ...] = (0.01, 0.03, 0.05),
        draws: int = 5,
        metric: str = "recall@10",
        features: tuple[str, ...] = (),
    ) -> None:
        if draws < 1 or any(not 0 <= fraction <= 1 for fraction in fractions):
            raise ValueError(f"fractions must lie in [0, 1] and draws be at least 1, but are {fractions} and {draws}")
        self.fractions, self.draws, self.metric, self.features = fractions, draws, metric, features

    def plan(self, request: Request) -> list[PlannedRun]:
        """Plan the grid, with scores on adjusted items.

        Raises:
            FileNotFoundError: a folder does not hold adjusted items that were encoded.
            ValueError: there are several data sets, but the folders are of one; or their features do not fit it.
        """
        if not self.features:
            return grid(request, measures=(ScoresOnAdjustedFeatures(self.fractions, self.draws),))
        if len(request.data) > 1:
            raise ValueError("study.features are of one data set; give one --data, and run the study once per data set")
        folders = [Path(folder) for folder in self.features]
        dataset = request.sources[0].load()
        for folder in folders:  # errors show before anything is trained
            with_adjusted(dataset, folder, read_adjustment(folder))
        measure = ScoresOnReencodedItems(tuple(str(folder.resolve()) for folder in folders), _digest(folders))
        return grid(request, measures=(measure,))

    def analyze(self, runs: StudyRuns) -> Analysis:
        """Compare drops by the fraction of adjusted items."""
        measure = ScoresOnReencodedItems.NAME if self.features else ScoresOnAdjustedFeatures.NAME
        rows = metric_drops(runs.finished, measure, self.metric)
        if self.features:
            what = "texts and images edited and re-encoded"
            sentence = "Texts and images themselves were edited and re-encoded."
        else:
            what = "features edited"
            sentence = "Features were edited in the place of raw texts and images."
        image = Image(
            "adjustment",
            "Drop under adjustment",
            f"Drop over the fraction of adjusted items ({what}); bands from the lowest seed to the highest.",
        )
        tables = (table(rows, name="adjustment", title=f"{self.TITLE}: {what}", metric=self.metric),)
        drawn = ((image, figure(rows, self.metric, "fraction of adjusted items")),)
        kinds = dict.fromkeys(row.place[2] for row in rows)
        words = ("adjustment of {}", "Drop, adjusted {}", "under adjusted {}")
        columns = card_columns(rows, kinds, words, metric=self.metric, level="fraction")
        return Analysis(tables, drawn, (sentence, *findings_of(rows)), columns)


@dataclass(frozen=True)
class ScoresOnAdjustedFeatures:
    """Test scores of a run on data with edited features of some items, by the fraction of items."""

    NAME: ClassVar[str] = "adjustment"
    fractions: tuple[float, ...]
    draws: int

    def __call__(self, run: Run, experiment: Experiment) -> Mapping[str, Any]:
        """Return a list of scores, one per draw.

        Raises:
            ValueError: the data have no features.
        """
        return {
            FEATURES: {
                f"{fraction:g}": [self._score(run, experiment, fraction, draw) for draw in range(self.draws)]
                for fraction in self.fractions
            }
        }

    @staticmethod
    def _score(run: Run, experiment: Experiment, fraction: float, draw: int) -> dict[str, float]:
        stream = seeding.generator(experiment.seed, f"adjusted items {fraction:g}", draw)
        return scores_on_test(rebuild(run, experiment, adjust_features(run.dataset, fraction, stream).dataset))


@dataclass(frozen=True)
class ScoresOnReencodedItems:
    """Test scores of a run on items whose texts and images were edited and re-encoded, by probability.

    Args:
        folders: folders of the adjusted items.
        digest: digest of what they hold, so that other contents are measured again.
    """

    NAME: ClassVar[str] = "adjusted-items"
    folders: tuple[str, ...]
    digest: str

    def __call__(self, run: Run, experiment: Experiment) -> Mapping[str, Any]:
        """Return a list of scores, one per folder.

        Raises:
            FileNotFoundError: a folder is not complete.
            ValueError: its features do not fit the data, or differ from them where nothing was adjusted.
        """
        scores: dict[str, dict[str, list[dict[str, float]]]] = {}
        adjustments = [(read_adjustment(Path(folder)), Path(folder)) for folder in self.folders]
        for edited, folder in sorted(adjustments, key=lambda one: one[0].probability):
            dataset = with_adjusted(run.dataset, folder, edited)
            of_kind = scores.setdefault(_kind(folder), {})
            of_kind.setdefault(f"{edited.probability:g}", []).append(scores_on_test(rebuild(run, experiment, dataset)))
        return scores


def _kind(folder: Path) -> str:
    """Say what was re-encoded."""
    words = {"text": "texts", "image": "images"}
    return " and ".join(words.get(name, name) for name in sorted(read_encoded(folder).features, reverse=True))


def with_adjusted(dataset: Dataset, folder: Path, edited: AdjustmentRecord) -> Dataset:
    """Return the data set with the features of adjusted items; the other items keep theirs.

    Raises:
        FileNotFoundError: the folder has no features.
        ValueError: the features do not fit the data, differ from them where nothing was adjusted, or do not differ at
            all.
    """
    chosen = np.isin(np.array(list(dataset.items)), np.array(edited.items or ("",)))
    features = dict(dataset.features)
    changed = False
    for name, new in encoded_features(dataset, folder).items():
        old = features.get(name)
        if old is None or old.width != new.width:
            raise ValueError(
                f"{folder} has {new.width} {name} features, data set {dataset.name!r} has "
                f"{'none' if old is None else old.width}; encode the items of both with the same encoder"
            )
        _check_others(old, new, chosen, f"{folder} ({name})")
        values = np.where(chosen[:, None], new.values, old.values)
        changed |= not np.allclose(values, old.values, atol=1e-5)
        features[name] = Features(values, np.where(chosen, new.present, old.present))
    if chosen.any() and not changed:
        raise ValueError(
            f"{folder} has the features of the data for the {int(chosen.sum())} items that were adjusted, too; encode "
            "the columns adjusted_text and adjusted_image of its table"
        )
    return dataset.with_features(features)


def _check_others(old: Features, new: Features, chosen: np.ndarray, where: str) -> None:
    """Make sure that the encoder is that of the data: features of items that were not adjusted must be unchanged."""
    unchanged = old.present & new.present & ~chosen
    before, after = old.values[unchanged], new.values[unchanged]
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    different = int((np.einsum("ij,ij->i", before, after) < MIN_COSINE * lengths).sum())
    if different:
        raise ValueError(
            f"{where}: {different} of {len(before)} items that were not adjusted have other features than in the data; "
            "encode the items of the data with the same encoder, and train on those features"
        )


def _digest(folders: Sequence[Path]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for folder in folders:
        for file in sorted(folder.glob("*.npy")) + sorted(folder.glob("adjustment.json")):
            digest.update(file.name.encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()
