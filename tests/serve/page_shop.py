"""A shop by hand for the tests of the page: mugs, lamps and hats, each with users who like them, images and prices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from PIL import Image

from flatrec.inference.storage import save_recommender
from flatrec.models.scoring import Vectors
from tests.inference.shops import TRAIN, dataset, recommender

KINDS = {"mug": "steelblue", "lamp": "gold", "hat": "crimson"}
EACH = 8  # items of a kind
SLASH, HOSTILE, BARE = (
    "a/b c%2F",
    "hat-7",
    "lamp-7",
)  # an id to be encoded, a title that is markup, an item with an id alone
MARKUP = "<img src=x onerror=\"document.title='hacked'\">"
USERS = {"ann": "mug", "bob": "lamp", "<b>cat</b>": "hat"}


def item_ids() -> list[str]:
    ids = [f"{kind}-{number}" for kind in KINDS for number in range(EACH)]
    return [SLASH if item == "mug-7" else item for item in ids]


def saved_shop(folder: Path, *, seed: int = 0) -> Path:
    """The folder of a recommender; another seed makes another order within each kind."""
    ids, kinds = item_ids(), [kind for kind in KINDS for _ in range(EACH)]
    bought = [(user, f"{kind}-{number}", TRAIN) for user, kind in USERS.items() for number in range(2)]
    data = dataset([*USERS, "dan"], ids, [*bought, ("dan", "lamp-2", TRAIN), ("dan", "mug-0", TRAIN)])
    made = recommender(data, Vectors(*_vectors(kinds, seed)))
    titles = [f"{kind.capitalize()} number {place % EACH}" for place, kind in enumerate(kinds)]
    catalog = replace(
        made.catalog,
        titles=tuple({HOSTILE: MARKUP, BARE: None}.get(item, title) for item, title in zip(ids, titles, strict=True)),
        images=tuple(None if item == BARE else _image(folder, kind) for item, kind in zip(ids, kinds, strict=True)),
        columns=pl.DataFrame(
            {
                "kind": kinds,
                "price": [float(place % EACH) + 0.5 for place in range(len(ids))],
                "in_stock": [place % 2 == 0 for place in range(len(ids))],
                "launched on": pl.Series([f"2024-01-{place + 1:02}" for place in range(len(ids))]).str.to_date(),
            }
        ),
    )
    save_recommender(replace(made, catalog=catalog), folder / "recommender")
    return folder / "recommender"


def _vectors(kinds: list[str], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    noise = np.random.default_rng(seed).uniform(0.1, 0.9, (len(kinds) + 4, len(KINDS)))
    likes = [*USERS.values(), "lamp"]
    items = [[float(kind == one) for one in KINDS] for kind in kinds]
    users = [[float(like == one) for one in KINDS] for like in likes]
    vectors = np.array([*users, *items]) + 0.4 * noise
    return torch.tensor(vectors[:4], dtype=torch.float32), torch.tensor(vectors[4:], dtype=torch.float32)


def _image(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.png"
    if not path.exists():
        Image.new("RGB", (32, 32), KINDS[kind]).save(path)
    return path
