"""RQ3: do models trained into flat minima bear it better when texts and images are edited?"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from flatrec.config import Experiment
from flatrec.content.llm.item_editor import AdjustmentRecord as Edited
from flatrec.content.llm.item_editor import read_adjustment
from flatrec.data.dataset import Dataset
from flatrec.data.encoded_items import encoded_features, read_encoded
from flatrec.data.features import Features
from flatrec.inference.run import Run
from flatrec.research.analysis.perturbation import adjusted
from flatrec.research.reporting.outcome import Image
from flatrec.research.studies.base import Conclusion, Finished, Planned, Request, Source, Study, grid
from flatrec.research.studies.metric_drops import decreases, figure, in_words, table
from flatrec.research.studies.rescoring import rescored, scores_on_test
from flatrec.utils import seeding

STAND_IN = "features"
ALIKE = 0.999  # cosine at least, of features that one encoder made of one input at two times


class Adjustment(Study):
    """A share of the items gets another text and an edited image after training.

    With ``features``, texts and images themselves were edited and encoded again. Without, this is the stand-in for
    data without raw texts and images: an adjusted item takes the text features of the item whose image is nearest
    to its own, and half of that item's image features.

    Args:
        shares: of the items, each drawn for itself; of the stand-in.
        draws: of each; of the stand-in.
        metric: whose decrease is looked at.
        features: folders that ``flatrec adjust`` and then ``flatrec encode`` wrote, one a draw and probability.
    """

    TITLE = "Information adjustment"
    QUESTION = "Do models trained into flat minima lose less when item information is edited (RQ3)?"
    STRATEGIES = ("plain", "bsam", "bsam+")

    def __init__(
        self,
        *,
        shares: tuple[float, ...] = (0.01, 0.03, 0.05),
        draws: int = 5,
        metric: str = "recall@10",
        features: tuple[str, ...] = (),
    ) -> None:
        if draws < 1 or any(not 0 <= share <= 1 for share in shares):
            raise ValueError(f"shares must lie in [0, 1] and draws be at least 1, but are {shares} and {draws}")
        self.shares, self.draws, self.metric, self.features = shares, draws, metric, features

    def plan(self, request: Request) -> list[Planned]:
        """The grid, each run scored on adjusted items.

        Raises:
            FileNotFoundError: a folder is none of adjusted items that were encoded.
            ValueError: there are several data sets, but the folders are of one; or their features do not fit it.
        """
        if not self.features:
            return grid(request, measures=(Adjusted(self.shares, self.draws),))
        if len(request.data) > 1:
            raise ValueError("study.features are of one data set; give one --data, and a study to each")
        folders = [Path(one) for one in self.features]
        dataset = Source(request.data[0]).load()
        for folder in folders:  # before anything is trained
            with_adjusted(dataset, folder, read_adjustment(folder))
        return grid(request, measures=(Reencoded(tuple(str(one.resolve()) for one in folders), _digest(folders)),))

    def analyze(self, request: Request, finished: Sequence[Finished]) -> Conclusion:  # noqa: ARG002
        """Decreases by share."""
        rows = decreases(finished, Reencoded.NAME if self.features else Adjusted.NAME, self.metric)
        what = "texts and images edited and encoded again" if self.features else "the stand-in on features"
        image = Image(
            "adjustment",
            "Decrease under adjustment",
            f"Over the share of items adjusted ({what}); bands from the lowest seed to the highest.",
        )
        tables = (table(rows, name="adjustment", title=f"{self.TITLE}: {what}", metric=self.metric),)
        said = (
            "Texts and images themselves were edited and encoded again."
            if self.features
            else "Features were adjusted in the place of raw texts and images: this is the stand-in."
        )
        return Conclusion(
            tables, ((image, figure(rows, self.metric, "share of items adjusted")),), (said, *in_words(rows))
        )


@dataclass(frozen=True)
class Adjusted:
    """Test scores of a run on data with adjusted items, by share: the stand-in."""

    NAME: ClassVar[str] = "adjustment"
    shares: tuple[float, ...]
    draws: int

    def __call__(self, run: Run, experiment: Experiment) -> Mapping[str, Any]:
        """A list of scores, one a draw.

        Raises:
            ValueError: the data have no features.
        """
        return {
            STAND_IN: {
                f"{share:g}": [self._score(run, experiment, share, draw) for draw in range(self.draws)]
                for share in self.shares
            }
        }

    @staticmethod
    def _score(run: Run, experiment: Experiment, share: float, draw: int) -> dict[str, float]:
        stream = seeding.generator(experiment.seed, f"adjusted items {share:g}", draw)
        return scores_on_test(rescored(run, experiment, adjusted(run.dataset, share, stream).dataset))


@dataclass(frozen=True)
class Reencoded:
    """Test scores of a run on items whose texts and images were edited and encoded again, by probability.

    Args:
        folders: of the adjusted items.
        digest: of what they hold, so that other contents are measured again.
    """

    NAME: ClassVar[str] = "adjusted-items"
    folders: tuple[str, ...]
    digest: str

    def __call__(self, run: Run, experiment: Experiment) -> Mapping[str, Any]:
        """A list of scores, one a folder.

        Raises:
            FileNotFoundError: a folder is not complete.
            ValueError: its features do not fit the data, or differ from them where nothing was adjusted.
        """
        scores: dict[str, dict[str, list[dict[str, float]]]] = {}
        found = [(read_adjustment(Path(one)), Path(one)) for one in self.folders]
        for edited, folder in sorted(found, key=lambda pair: pair[0].probability):
            dataset = with_adjusted(run.dataset, folder, edited)
            of_kind = scores.setdefault(_kind(folder), {})
            of_kind.setdefault(f"{edited.probability:g}", []).append(scores_on_test(rescored(run, experiment, dataset)))
        return scores


def _kind(folder: Path) -> str:
    """What was encoded again."""
    words = {"text": "texts", "image": "images"}
    return " and ".join(words.get(name, name) for name in sorted(read_encoded(folder).features, reverse=True))


def with_adjusted(dataset: Dataset, folder: Path, edited: Edited) -> Dataset:
    """The data set with the features of adjusted items; the other items keep theirs.

    Raises:
        FileNotFoundError: the folder has no features.
        ValueError: the features do not fit the data, differ from them where nothing was adjusted, or nowhere at all.
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
    """Make sure that the encoder is that of the data: what was not adjusted must be as it was."""
    both = old.present & new.present & ~chosen
    one, other = old.values[both], new.values[both]
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    unlike = int((np.einsum("ij,ij->i", one, other) < ALIKE * lengths).sum())
    if unlike:
        raise ValueError(
            f"{where}: {unlike} of {len(one)} items that were not adjusted have other features than in the data; "
            "encode the items of the data with the same encoder, and train on those features"
        )


def _digest(folders: Sequence[Path]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for folder in folders:
        for file in sorted(folder.glob("*.npy")) + sorted(folder.glob("adjustment.json")):
            digest.update(file.name.encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()
