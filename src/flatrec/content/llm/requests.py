"""What a language model is asked of an item."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from flatrec.content.encoders.images import BROKEN, opened
from flatrec.content.llm.prompts import AUGMENT, AUGMENT_TEXT, CAPTION, SUMMARY, TEXT

LONGEST_SIDE = 768  # pixels of a picture that is sent


@dataclass(frozen=True)
class Question:
    """A prompt, with a picture or without.

    Args:
        prompt: what is asked with the picture.
        picture: an image file's bytes.
        without: what is asked where there is no picture that can be read; None if nothing can be asked then.
    """

    prompt: str
    picture: bytes | None = None
    without: str | None = None


@dataclass(frozen=True)
class Wording:
    """A question as it is sent.

    Args:
        prompt: the words.
        picture: the address of the picture, which holds it all; None where there is none.
        remarks: what had to be left out.
    """

    prompt: str
    picture: str | None = None
    remarks: tuple[str, ...] = ()


def augmenting(text: str | None, picture: bytes | None, prompt: str = AUGMENT, without: str = AUGMENT_TEXT) -> Question:
    """Ask for a better text: the paper's question; of an item that has only a picture, for a caption."""
    if not text:
        return Question(CAPTION, picture)
    return Question(prompt.replace(TEXT, text), picture, without.replace(TEXT, text))


def captioning(picture: bytes) -> Question:
    """Ask what is to be seen."""
    return Question(CAPTION, picture)


def summing_up(caption: str) -> Question:
    """Ask for a few words that stand for a caption."""
    return Question("", None, SUMMARY.replace(TEXT, caption))


def worded(question: Question) -> Wording | None:
    """The question as it is sent; None where nothing can be asked, as there is no picture that can be read."""
    seen = None if question.picture is None else opened(question.picture).value
    if seen is None:
        remarks = (BROKEN,) if question.picture is not None else ()
        return None if question.without is None else Wording(question.without, None, remarks)
    seen.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    file = io.BytesIO()
    seen.save(file, "JPEG", quality=85)
    return Wording(question.prompt, "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode())
