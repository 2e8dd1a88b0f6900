"""Encoding of new items by the recipe of the run: as the items that the recommender was trained on were encoded."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from PIL import Image

from flatrec.content import encoders
from flatrec.content.encode import recipe_of_source
from flatrec.content.encoders.images import FORMATS, decode_image
from flatrec.content.encoders.recipe import Recipe
from flatrec.content.encoders.texts import clean_text
from flatrec.runs import run_dir
from flatrec.serve.errors import Refused
from flatrec.serve.served import Served

GIVE_FEATURES = "give the vectors by features instead"


@runtime_checkable
class ItemEncoder(Protocol):
    """Turns the text and the image of one item into features; called in threads."""

    def text(self, text: str, served: Served) -> Float32[ndarray, "dim"]:
        """Return the vector of a text.

        Raises:
            Refused: texts cannot be encoded, or this one cannot be read.
        """

    def image(self, content: bytes, served: Served, most_pixels: int) -> Float32[ndarray, "dim"]:
        """Return the vector of an image, from the bytes of its file.

        Raises:
            Refused: images cannot be encoded, or this one is none, or has more than so many pixels.
        """


class RecipeEncoder:
    """Encodes by the ``encode.json`` beside the data of the run; an encoder is loaded when it is first needed."""

    def __init__(self) -> None:
        self._text_encoder, self._image_encoder = cache(encoders.text_encoder), cache(encoders.image_encoder)

    def text(self, text: str, served: Served) -> Float32[ndarray, "dim"]:
        """Return the vector of a text.

        Raises:
            Refused: there is no recipe for texts, its encoder is not installed, or the text cannot be read.
        """
        recipe = _recipe(served)
        if not recipe.text_columns:
            raise Refused(409, f"the items of this recommender were encoded without texts; {GIVE_FEATURES}")
        cleaned = clean_text(text)
        if cleaned.value is None:
            raise Refused(422, f"the text of new_item must be a text, but is none ({', '.join(cleaned.warnings)})")
        try:
            (vector,) = self._text_encoder(recipe.text_encoder).encode([cleaned.value])
        except ImportError as error:
            raise Refused(409, f"{error}; or {GIVE_FEATURES}") from None
        return as_vector(vector)

    def image(self, content: bytes, served: Served, most_pixels: int) -> Float32[ndarray, "dim"]:
        """Return the vector of an image, from the bytes of its file.

        Raises:
            Refused: there is no recipe for images, its encoder is not installed, or the bytes are no such image.
        """
        recipe = _recipe(served)
        if recipe.image_column is None and not recipe.images_by_id:
            raise Refused(409, f"the items of this recommender were encoded without images; {GIVE_FEATURES}")
        image = read_image(content, most_pixels)
        try:
            encoder = self._image_encoder(recipe.image_encoder)
        except ImportError as error:
            raise Refused(409, f"{error}; or {GIVE_FEATURES}") from None
        (vector,) = encoder.encode(np.stack([encoder.prepare(image)]))
        return as_vector(vector)


def as_vector(values: ndarray) -> Float32[ndarray, "dim"]:
    """Return numbers of an encoder as 32-bit floats."""
    vector: ndarray = values.astype(np.float32)
    return vector


def read_image(content: bytes, most_pixels: int) -> Image.Image:
    """Return the image in the bytes of a file; its size is read from its header, before anything is unpacked.

    Raises:
        Refused: it is no image, is broken, or has too many pixels.
    """
    too_large = Refused(422, f"the image of new_item may have {most_pixels} pixels, but has more; make it smaller")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            size = opened.width * opened.height
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_large from None
    except Exception:  # whatever a decoder raises on damage
        size = 0
    if size > most_pixels:
        raise too_large
    decoded = decode_image(content) if size else None
    if decoded is None or decoded.value is None:
        raise Refused(422, f"the image of new_item must be one of {', '.join(FORMATS)}, but cannot be read as one")
    return decoded.value


def _recipe(served: Served) -> Recipe:
    """Return how the items of a recommender were encoded.

    Raises:
        Refused: that is not known.
    """
    recipe = find_recipe(served.folder)
    if recipe is None:
        raise Refused(409, f"how the items of this recommender were encoded is not known here; {GIVE_FEATURES}")
    return recipe


def find_recipe(folder: Path) -> Recipe | None:
    """Return how the items of a recommender in the folder of a run were encoded; None if that cannot be found."""
    run = folder.parent
    if not run_dir.has_run(run):
        return None
    data = run_dir.read_experiment(run).data
    try:
        return None if data is None else recipe_of_source(Path(data))
    except (OSError, ValueError):
        return None
