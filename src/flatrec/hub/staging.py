"""The files of a push, written into a private folder before anything is sent."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flatrec.api import load
from flatrec.data.formats import mmrec
from flatrec.data.loading import detect_format
from flatrec.hub.card_text import check_license
from flatrec.hub.data_card import data_card
from flatrec.hub.model_card import CardSettings, model_card
from flatrec.hub.names import CARD, Kind, check_repository
from flatrec.hub.published import published_data, published_recommender
from flatrec.hub.trained import trained_in
from flatrec.inference.storage import has_recommender, load_recommender, recommender_folder, save_recommender
from flatrec.runs import run_dir

BUILT_IN = "shop"  # what flatrec.api.load generates


@dataclass(frozen=True)
class Staged:
    """The files of a push.

    Args:
        folder: where they are.
        sizes: the number of bytes of each file, by name.
        card: the text of the card.
        left_out: sentences on what was left out.
        users: number of users in the files.
        left_out_users: number of users who were left out of them.
    """

    folder: Path
    sizes: dict[str, int]
    card: str
    left_out: tuple[str, ...]
    users: int
    left_out_users: int = 0


def kind_of(source: Path) -> Kind:
    """Return what a path holds: a recommender, or else data.

    Raises:
        FileNotFoundError: there is nothing, a run without a recommender, or runs over windows or of a nightly job.
        ValueError: it is none of them.
    """
    if has_recommender(source):
        return "model"
    if run_dir.has_run(source) or run_dir.windows(source) or (source / "current").exists():
        recommender_folder(source)  # says what is expected there
    if str(source) != BUILT_IN:
        if not source.exists():
            raise FileNotFoundError(f"{source} does not exist; give the folder of a run or of a recommender, or data")
        detect_format(source)
    return "dataset"


@contextmanager
def staged(source: Path, settings: CardSettings, *, include_users: bool) -> Iterator[Staged]:
    """Write the files of a push into a private folder, which is removed when the block ends.

    Args:
        source: a recommender, a run that has one, or data.
        settings: what the card says beside what is found.
        include_users: whether users are among them; data without users are no data.

    Raises:
        FileNotFoundError: there is nothing to publish at the path.
        ValueError: it is damaged, nothing would be left without users, or a setting is malformed.
    """
    check_license(settings.license)
    if settings.dataset is not None:
        check_repository(settings.dataset)
    kind = kind_of(source)
    if kind == "dataset" and not include_users:
        raise ValueError(
            f"{source} is data, which are users and what they did: publishing them needs --include-users, and the "
            "right to do so; a run is published without its users"
        )
    with tempfile.TemporaryDirectory(prefix="flatrec-push-") as temporary:
        folder = Path(temporary) / "files"
        write = _recommender if kind == "model" else _data
        yield write(source, folder, settings, include_users=include_users)


def _recommender(source: Path, folder: Path, settings: CardSettings, *, include_users: bool) -> Staged:
    published = published_recommender(load_recommender(source), include_users=include_users)
    recommender = published.recommender
    save_recommender(recommender, folder)
    card = model_card(published, trained_in(source, recommender.facts), settings)
    return _with_card(folder, card, published.left_out, (len(recommender.users), recommender.facts.left_out_users))


def _data(source: Path, folder: Path, settings: CardSettings, *, include_users: bool) -> Staged:
    del include_users
    dataset = load(str(source))
    published = published_data(dataset)
    mmrec.write(published.dataset, folder, manifest=True)
    card = data_card(published, dataset.split_report.settings.method or "given", settings)
    return _with_card(folder, card, published.left_out, (dataset.n_users, 0))


def _with_card(folder: Path, card: str, left_out: tuple[str, ...], users: tuple[int, int]) -> Staged:
    (folder / CARD).write_text(card, encoding="utf-8", newline="\n")
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    return Staged(folder, sizes, card, left_out, *users)
