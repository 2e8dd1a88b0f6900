"""What of a recommender or a data set is published: nothing of this machine, and nobody unless it is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import NamedTuple

import polars as pl

from flatrec.data.dataset import Dataset
from flatrec.inference.forget import without_all_users
from flatrec.inference.recommender import Facts, Recommender
from flatrec.utils.messages import shortlist

_NOT_IN_NAMES = re.compile(r"[^\w .+-]")  # of files, on every system
_FOLDERS = re.compile(r".*[/\\]", re.DOTALL)


class PublishedRecommender(NamedTuple):
    """A recommender as it is published, and sentences on what was left out."""

    recommender: Recommender
    left_out: tuple[str, ...]


class PublishedData(NamedTuple):
    """A data set as it is published, and sentences on what was left out."""

    dataset: Dataset
    left_out: tuple[str, ...]


def published_recommender(recommender: Recommender, *, include_users: bool) -> PublishedRecommender:
    """Return a recommender without paths of this machine and without an approximate index, and without its users.

    Args:
        recommender: the recommender.
        include_users: whether ids, vectors, histories and seen items of users stay.

    Raises:
        ValueError: nothing would be left without the users.
    """
    left_out = []
    if not include_users:
        recommender = without_all_users(recommender)
    catalog = recommender.catalog
    columns, sentences = _columns(catalog.columns)
    left_out += sentences
    if catalog.images is not None:
        left_out.append("images of items, which are files of this machine")
    if recommender.index is not None:
        left_out.append("the approximate index, without which lists are exact")
    public = replace(catalog, images=None, columns=columns)
    return PublishedRecommender(
        replace(recommender, catalog=public, facts=_facts(recommender.facts), index=None), tuple(left_out)
    )


def published_data(dataset: Dataset) -> PublishedData:
    """Return a data set without paths of this machine; its users and their interactions stay."""
    columns, left_out = _columns(dataset.item_columns)
    if dataset.images is not None:
        left_out.append("images of items, which are files of this machine")
    if dataset.released_negatives is not None:
        left_out.append("the released negatives")
    name = _NOT_IN_NAMES.sub("-", without_folders(dataset.name))
    return PublishedData(
        replace(dataset, name=name, item_columns=columns, images=None, released_negatives=None, source=None),
        tuple(left_out),
    )


def without_folders(text: str) -> str:
    r"""Return a name without the folders before it, if it is a path.

    Example:
        >>> [without_folders(name) for name in ("/home/me/mine.py:Mine", r"C:\models\mine.py:Mine", "bpr")]
        ['mine.py:Mine', 'mine.py:Mine', 'bpr']
    """
    return _FOLDERS.sub("", text)


def _facts(facts: Facts) -> Facts:
    return replace(
        facts,
        model=without_folders(facts.model),
        strategy=without_folders(facts.strategy),
        data=without_folders(facts.data),
        test=without_folder_names(facts.test),
    )


def without_folder_names(scores: Mapping[str, float]) -> dict[str, float]:
    """Return scores by metric, whose names have no folders."""
    return {without_folders(name): value for name, value in scores.items()}


def _columns(columns: pl.DataFrame | None) -> tuple[pl.DataFrame | None, list[str]]:
    """Return the item columns that hold no absolute path, and a sentence on the others."""
    if columns is None:
        return None, []
    paths = [one.name for one in columns.iter_columns() if one.dtype == pl.String and _has_path(one.drop_nulls())]
    kept = columns.drop(paths)
    said = [f"item columns with paths of this machine: {shortlist(paths)}"] if paths else []
    return kept if kept.width else None, said


def _has_path(values: Iterable[str]) -> bool:
    return any(_is_path(value.strip()) for value in values)


def _is_path(text: str) -> bool:
    at_home = text.lower().startswith(("file:", "~/", "~\\"))
    return at_home or PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()
