"""What a language model is asked of an item."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from flatrec.content.encoders.images import BROKEN, opened
from flatrec.content.llm.prompts import AUGMENT, AUGMENT_TEXT, CAPTION, SUMMARY, TEXT

LONGEST_SIDE = 768  # pixels of an image that is sent


@dataclass(frozen=True)
class Question:
    """A prompt, with an image or without.

    Args:
        prompt: what is asked with the image.
        image: an image file's bytes.
        without: what is asked where there is no image that can be read; None if nothing can be asked then.
    """

    prompt: str
    image: bytes | None = None
    without: str | None = None


@dataclass(frozen=True)
class Wording:
    """A question as it is sent.

    Args:
        prompt: the words.
        image: the address of the image, which holds it all; None where there is none.
        remarks: what had to be left out.
    """

    prompt: str
    image: str | None = None
    remarks: tuple[str, ...] = ()


def augmenting(text: str | None, image: bytes | None, prompt: str = AUGMENT, without: str = AUGMENT_TEXT) -> Question:
    """Ask for a better text: the paper's question; of an item that has only an image, for a caption."""
    if not text:
        return Question(CAPTION, image)
    return Question(prompt.replace(TEXT, text), image, without.replace(TEXT, text))


def captioning(image: bytes) -> Question:
    """Ask what is to be seen."""
    return Question(CAPTION, image)


def summing_up(caption: str) -> Question:
    """Ask for a few words that stand for a caption."""
    return Question("", None, SUMMARY.replace(TEXT, caption))


def worded(question: Question) -> Wording | None:
    """The question as it is sent; None where nothing can be asked, as there is no image that can be read."""
    seen = None if question.image is None else opened(question.image).value
    if seen is None:
        remarks = (BROKEN,) if question.image is not None else ()
        return None if question.without is None else Wording(question.without, None, remarks)
    seen.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    file = io.BytesIO()
    seen.save(file, "JPEG", quality=85)
    return Wording(question.prompt, "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode())
