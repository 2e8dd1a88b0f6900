"""One loaded recommender with its content hash; immutable, so that a request uses one from its beginning to its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from flatrec.inference.joining import ItemEmbedder
from flatrec.inference.recommender import Recommender
from flatrec.inference.storage import ADVICE, FACTS, load_recommender, recommender_folder
from flatrec.models.perceptron import ProductPerceptron
from flatrec.serve.text_search import TextSearch, item_search, user_search
from flatrec.utils.integrity import MANIFEST, digest, read_text

MOST_CHOICES, LONGEST_CHOICE = 100, 100  # values of a text column that are named, and their characters
N_PROBES = 3  # users, items and history items that a probe asks for


@dataclass(frozen=True, eq=False)
class Served:
    """A recommender as it is served.

    Args:
        recommender: what answers.
        model: the content hash: equal folders have equal ones.
        folder: where it was read from; a link is followed.
        written_at: when the folder was written.
        loaded_at: when it was loaded.
    """

    recommender: Recommender
    model: str
    folder: Path
    written_at: datetime
    loaded_at: datetime

    @classmethod
    def load(cls, path: Path) -> Served:
        """Read, check and try a recommender.

        Raises:
            FileNotFoundError: there is none.
            ValueError: the folder is damaged, was replaced while it was read, or does not answer.
        """
        folder = served_folder(path)
        model, written = content_hash(folder), (folder / MANIFEST).stat().st_mtime
        recommender = load_recommender(folder)
        if content_hash(folder) != model:
            raise ValueError(f"{folder} was replaced while it was read; it is read again when it changes no more")
        served = cls(recommender, model, folder, datetime.fromtimestamp(written, UTC), datetime.now(UTC))
        served.probe()
        return served

    @cached_property
    def item_search(self) -> TextSearch:
        """The texts by which items are searched."""
        return item_search(self.recommender.catalog)

    @cached_property
    def user_search(self) -> TextSearch:
        """The ids by which users are searched."""
        return user_search(self.recommender)

    @cached_property
    def choices(self) -> dict[str, tuple[str, ...]]:
        """The values of each text column of the items that has few different ones, in their order."""
        found = {}
        for column in self.recommender.catalog.frame.drop("item", "title", strict=False):
            if column.dtype not in (pl.String, pl.Categorical, pl.Enum) or column.n_unique() > MOST_CHOICES:
                continue
            values = column.cast(pl.String).drop_nulls().unique().sort().to_list()
            if all(0 < len(value) <= LONGEST_CHOICE for value in values):
                found[column.name] = tuple(values)
        return found

    @cached_property
    def embedder(self) -> ItemEmbedder:
        """What embeds new items.

        Raises:
            ValueError: the recommender has no vectors of items or holds no features.
        """
        return ItemEmbedder(self.recommender)

    def trained(self, user: str) -> bool:
        """Return True if the recommender was trained on interactions of a user, or of members of a group."""
        recommender = self.recommender
        if user not in recommender.users:
            return False
        index = recommender.users.index_of(user)
        if recommender.history.indptr[index] < recommender.history.indptr[index + 1]:
            return True
        return index in recommender.by_members

    def probe(self) -> None:
        """Ask for lists of every path, so that what does not answer is refused, and what is computed once is there.

        Raises:
            ValueError: a list is empty though there are items, or a score is not finite.
        """
        recommender = self.recommender
        for features in recommender.catalog.features.values():
            del features  # read now: an old folder may be removed while it is served
        items = [recommender.items[index] for index in range(min(N_PROBES, len(recommender.items)))]
        trained = np.flatnonzero(np.diff(recommender.history.indptr))[:N_PROBES]
        users = [recommender.users[index] for index in trained.tolist()]
        lists = recommender.recommend(users, N_PROBES, filter_seen=False) if users else []
        if not isinstance(recommender.scoring, ProductPerceptron):  # which has no vectors of histories
            lists += recommender.recommend(None, N_PROBES, history=items, filter_seen=False)
        lists += recommender.recommend(None, N_PROBES)
        lists += recommender.similar(items[:1], N_PROBES)
        for answer in lists:
            if not answer.items and len(recommender.items) > 1:
                raise ValueError(f"{self.folder} answers with an empty list (path {answer.path}); train it again")
            if not np.isfinite([item.score for item in answer.items]).all():
                raise ValueError(f"{self.folder} answers with scores that are not finite; train it again")
        recommender.recommend(users[:1] or None, 1, where="new = false", explain=True)
        self.item_search.find("", 1)


def served_folder(path: Path) -> Path:
    """Return the folder of the recommender that a path names now: itself, of a run, or ``current`` of a nightly job.

    Raises:
        FileNotFoundError: there is no recommender.
        ValueError: the folder is not finished.
    """
    current = path / "current"
    return recommender_folder(current if (current / FACTS).is_file() else path).resolve()


def content_hash(folder: Path) -> str:
    """Return the hash of a recommender's content: the digest of the list of the digests of its files.

    Raises:
        FileNotFoundError: the folder has no such list.
        ValueError: the list is damaged.
    """
    return digest(read_text(folder / MANIFEST, advice=ADVICE))
