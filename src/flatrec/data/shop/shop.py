"""The whole shop: a data set with its catalog and images, generated from settings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy import ndarray
from PIL import Image
from threadpoolctl import threadpool_limits

from flatrec.config.split import SplitSettings
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.interactions import Interactions
from flatrec.data.shop.catalog import ATTRIBUTES, Catalog, draw_catalog
from flatrec.data.shop.dates import Dates, draw_dates
from flatrec.data.shop.events import draw_events
from flatrec.data.shop.features import encode_images, encode_texts, project_attributes
from flatrec.data.shop.images import draw_images
from flatrec.data.shop.offers import draw_offers
from flatrec.data.shop.purchases import Market, Purchases, draw_purchases
from flatrec.data.shop.settings import ShopSettings
from flatrec.data.shop.texts import ItemText, describe
from flatrec.data.splitting import SplitReport
from flatrec.data.splitting.random import split_at_random
from flatrec.data.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Shop:
    """A generated shop.

    Example:
        >>> shop = generate(ShopSettings(users=50, items=40, images=False))
        >>> len(shop.dataset.interactions), shop.catalog.columns[:3]
        (450, ['id', 'title', 'description'])
    """

    dataset: Dataset  # users, items, dated purchases split 8:1:1, ``image`` and ``text`` features, and titles
    catalog: pl.DataFrame  # one row per item, in the order of the item indices: id, title, description, attributes
    images: tuple[Image.Image, ...] | None  # one image per item, in the same order; None if the settings ask for none
    seed: int  # of everything that was drawn

    @cached_property
    def events(self) -> pl.DataFrame:
        """The log of views, carts, purchases and returns; see :func:`flatrec.data.shop.events.draw_events`."""
        interactions = self.dataset.interactions
        purchases = {"user": interactions.users, "item": interactions.items, "timestamp": interactions.timestamps}
        return draw_events(pl.DataFrame(purchases), self.catalog, _streams(self.seed)[7])


def generate(settings: ShopSettings) -> Shop:
    """Generate a shop; equal settings give bit-identical data sets on one machine.

    Linear algebra runs on one thread, since several threads may add numbers in another order.
    Cost: the default shop takes seconds; the size of a benchmark without images less than a minute.
    """
    streams = _streams(settings.seed)
    catalog_rng, words_rng, images_rng, features_rng, purchases_rng, dates_rng, offers_rng, _ = streams
    catalog = draw_catalog(settings.items, catalog_rng)
    item_texts = describe(catalog, words_rng)
    images = draw_images(catalog, images_rng) if settings.images else None
    with threadpool_limits(limits=1):
        features = _encoded(images, item_texts, settings) if images else _projected(catalog, settings, features_rng)
        purchases = draw_purchases(catalog, settings.users, settings.n_interactions, market=Market(), rng=purchases_rng)
    dates = draw_dates(catalog, purchases, settings.users, dates_rng)
    offers = draw_offers(catalog, dates.launches, _last_sales(purchases, dates), offers_rng)
    items = Vocabulary("item", [f"item-{number:05d}" for number in range(settings.items)])
    users = Vocabulary("user", [f"user-{number:05d}" for number in range(settings.users)])
    titles = tuple(text.title for text in item_texts)
    interactions = _interactions(purchases, dates, settings)
    report = SplitReport(SplitSettings(method="given"), given=True)  # as of the folder that it is written to
    table = pl.concat([_table(catalog, items, item_texts), offers], how="horizontal")
    dataset = Dataset(
        settings.name,
        interactions,
        users,
        items,
        features=features,
        titles=titles,
        item_columns=table.drop("id", "title"),
        split_report=report,
    )
    return Shop(dataset, table, images, settings.seed)


def _streams(seed: int) -> list[np.random.Generator]:
    """Return one generator per purpose; a new purpose comes last, so that the others draw what they drew before."""
    return [np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(8)]


def _encoded(
    images: tuple[Image.Image, ...], item_texts: list[ItemText], settings: ShopSettings
) -> dict[str, Features]:
    texts = [f"{text.title}. {text.title}. {text.description}" for text in item_texts]  # a title counts twice
    return {
        "image": _features(encode_images(images, settings.image_dim)),
        "text": _features(encode_texts(texts, settings.text_dim)),
    }


def _projected(catalog: Catalog, settings: ShopSettings, rng: np.random.Generator) -> dict[str, Features]:
    widths = {"image": settings.image_dim, "text": settings.text_dim}
    return {name: _features(project_attributes(catalog, name, width, rng)) for name, width in widths.items()}


def _features(values: ndarray) -> Features:
    return Features(values, np.ones(len(values), dtype=np.bool_))


def _interactions(purchases: Purchases, dates: Dates, settings: ShopSettings) -> Interactions:
    return Interactions(
        purchases.users.astype(np.int32),
        purchases.items.astype(np.int32),
        split_at_random(purchases.users, settings.users, settings.seed),
        n_users=settings.users,
        n_items=settings.items,
        timestamps=dates.purchases,
    )


def _last_sales(purchases: Purchases, dates: Dates) -> ndarray:
    """Return when each item was last bought; the launch of an item that nobody bought."""
    last_sales = dates.launches.copy()
    np.maximum.at(last_sales, purchases.items, dates.purchases)
    return last_sales


def _table(catalog: Catalog, items: Vocabulary, item_texts: list[ItemText]) -> pl.DataFrame:
    columns = {
        "id": list(items),
        "title": [text.title for text in item_texts],
        "description": [text.description for text in item_texts],
    }
    return pl.DataFrame(columns | {name: catalog.column(name) for name in ATTRIBUTES})
