"""A data set in one line, and as a small table in a notebook."""

from __future__ import annotations

from html import escape

from flatrec.data.dataset import Dataset
from flatrec.data.interactions import SPLITS
from flatrec.utils.messages import clipped, shortlist


def describe(dataset: Dataset) -> str:
    """Return name, counts, splits, modalities and dates in one line."""
    figures = _figures(dataset)
    head = f"{figures.pop('users')} users, {figures.pop('items')} items, {figures.pop('interactions')} interactions"
    splits = ", ".join(f"{split} {figures.pop(split)}" for split in SPLITS)
    rest = "".join(f", {name} {value}" for name, value in figures.items())
    return f"Dataset {clipped(dataset.name)}: {head} ({splits}){rest}"


def describe_html(dataset: Dataset) -> str:
    """Return the same as a table of HTML."""
    rows = "".join(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in _figures(dataset).items())
    return f"<table><caption>{escape(clipped(dataset.name))}</caption>{rows}</table>"


def _figures(dataset: Dataset) -> dict[str, str]:
    interactions = dataset.interactions
    counts = {"users": dataset.n_users, "items": dataset.n_items, "interactions": len(interactions)}
    counts |= {split: interactions.count(split) for split in SPLITS}
    figures = {name: str(number) for name, number in counts.items()}
    if dataset.groups is not None:
        figures["groups"] = str(len(dataset.groups.indices))
    if dataset.features:
        figures["features"] = shortlist(f"{name} ({one.width})" for name, one in dataset.features.items())
    if interactions.timestamps is not None and len(interactions):
        days = interactions.timestamps.astype("datetime64[s]").astype("datetime64[D]")
        figures |= {"from": str(days.min()), "to": str(days.max())}
    return figures
