"""Names of repositories, and of the files that a repository of flatrec may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, TypeAlias

from flatrec.inference.storage import FACTS, FEATURES, ITEMS, TENSORS, USERS
from flatrec.utils.integrity import MANIFEST
from flatrec.utils.messages import clipped, shortlist

Kind: TypeAlias = Literal["model", "dataset"]  # as the Hub calls them: a recommender is a model

CARD = "README.md"
OF_THE_HUB = ".gitattributes"  # the Hub adds it to every repository
BY_HAND = frozenset({OF_THE_HUB, CARD, "LICENSE", "LICENSE.md", ".gitignore"})  # of an otherwise empty repository
ENDING = ".inter"  # of the interactions of a data set
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_RECOMMENDER = frozenset({CARD, MANIFEST, FACTS, TENSORS, USERS, ITEMS, FEATURES})
_DATA = re.compile(
    rf"{re.escape(CARD)}|{re.escape(MANIFEST)}|(items|users|groups)\.parquet"
    rf"|[^./\\][^/\\]*({re.escape(ENDING)}|_feat\.npy|_mask\.npy)|augmented-[^/\\]+\.parquet"
)


def check_repository(name: str) -> str:
    """Return the name of a repository.

    Raises:
        ValueError: it is not of the form ``user/name``.
    """
    if not _REPOSITORY.fullmatch(name) or ".." in name or "--" in name or name.endswith((".git", ".", "-")):
        raise ValueError(f"a repository of the Hub is named user/name, but got {clipped(name, 60)!r}; give both parts")
    return name


def is_own(name: str, kind: Kind) -> bool:
    """Return True for the name of a file that a push of this kind writes."""
    return name in _RECOMMENDER if kind == "model" else _DATA.fullmatch(name) is not None


def check_paths(names: Iterable[str], repository: str) -> None:
    """Refuse a repository in which the name of a file leads out of its folder, as no honest one has.

    Raises:
        ValueError: a name has ``..``, is absolute, or has characters that are not printable.
    """
    bad = [name for name in names if _leads_out(name)]
    if bad:
        raise ValueError(
            f"{repository} has files whose names lead out of its folder or cannot be printed "
            f"({shortlist(map(repr, bad), 3)}); nothing was downloaded: do not use this repository"
        )


def _leads_out(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return not name.isprintable() or any(part in ("", ".", "..") or ":" in part for part in parts)
