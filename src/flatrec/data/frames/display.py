"""A data set in one line, and the figures that are said of it."""

from __future__ import annotations

import numpy as np

from flatrec.data.dataset import Dataset
from flatrec.data.interactions import SPLITS
from flatrec.utils.messages import clipped, shortlist


def describe(dataset: Dataset) -> str:
    """Return name, counts, splits, modalities and dates in one line."""
    said = figures(dataset)
    head = f"{said.pop('users')} users, {said.pop('items')} items, {said.pop('interactions')} interactions"
    splits = ", ".join(f"{split} {said.pop(split)}" for split in SPLITS)
    rest = "".join(f", {name} {value}" for name, value in said.items())
    return f"Dataset {clipped(dataset.name)}: {head} ({splits}){rest}"


def figures(dataset: Dataset) -> dict[str, str]:
    """Return counts, splits, groups, modalities and dates in words, by name."""
    interactions = dataset.interactions
    counts = {"users": dataset.n_users, "items": dataset.n_items, "interactions": len(interactions)}
    counts |= {split: interactions.count(split) for split in SPLITS}
    said = {name: str(number) for name, number in counts.items()}
    if dataset.groups is not None:
        said["groups"] = str(len(dataset.groups.indices))
    if dataset.features:
        said["features"] = shortlist(f"{name} ({one.width})" for name, one in dataset.features.items())
    if interactions.timestamps is not None and len(interactions):
        times = interactions.timestamps
        said |= {"from": _day(int(times.min())), "to": _day(int(times.max()))}
    return said


def _day(seconds: int) -> str:
    return str(np.datetime64(seconds, "s").astype("datetime64[D]"))
