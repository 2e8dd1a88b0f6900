"""Requests about items to a language model."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from flatrec.content.encoders.images import BROKEN, decode_image
from flatrec.content.llm.prompts import AUGMENT, AUGMENT_TEXT, CAPTION, TEXT

MAX_IMAGE_SIDE = 768  # pixels of an image that is sent


@dataclass(frozen=True)
class Request:
    """A prompt, with or without an image.

    Args:
        prompt: the prompt that goes with the image.
        image: bytes of an image file.
        prompt_without_image: the prompt if there is no readable image; None if there is nothing to send then.
    """

    prompt: str
    image: bytes | None = None
    prompt_without_image: str | None = None


@dataclass(frozen=True)
class Message:
    """A request as it is sent.

    Args:
        prompt: the prompt.
        image_url: data URL that contains the whole image; None for a message without an image.
        warnings: what had to be left out.
    """

    prompt: str
    image_url: str | None = None
    warnings: tuple[str, ...] = ()


def augment_request(
    text: str | None, image: bytes | None, prompt: str = AUGMENT, text_prompt: str = AUGMENT_TEXT
) -> Request:
    """Return the paper's request for a better text; for an item that has only an image, a request for a caption."""
    if not text:
        return Request(CAPTION, image)
    return Request(prompt.replace(TEXT, text), image, text_prompt.replace(TEXT, text))


def to_message(request: Request) -> Message | None:
    """Return a request as it is sent; None if it needs an image and there is no readable one."""
    image = None if request.image is None else decode_image(request.image).value
    if image is None:
        warnings = (BROKEN,) if request.image is not None else ()
        prompt = request.prompt_without_image
        return None if prompt is None else Message(prompt, None, warnings)
    image.thumbnail((MAX_IMAGE_SIDE, MAX_IMAGE_SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return Message(request.prompt, "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode())
