"""Item texts, written again by a language model that sees text and image (RQ7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flatrec.content.encoders.images import content
from flatrec.content.llm.batch_runner import Answers, Asking
from flatrec.content.llm.endpoint import NO_ANSWER, NOTHING_TO_ASK
from flatrec.content.llm.prompts import AUGMENT, AUGMENT_TEXT, TEXT
from flatrec.content.llm.requests import Question, augmenting

KEPT = "text kept"


@dataclass(frozen=True)
class Prompts:
    """What is asked, ``{text}`` standing for the item's text.

    Args:
        with_image: of an item with an image; the paper's by default.
        without: of an item that has none, or where none are shown.

    Raises:
        ValueError: one that does not say where the text goes.
    """

    with_image: str = AUGMENT
    without: str = AUGMENT_TEXT

    def __post_init__(self) -> None:
        for prompt in (self.with_image, self.without):
            if TEXT not in prompt:
                raise ValueError(f"a prompt must hold {TEXT}, where the item's text goes, but is {prompt!r}")


@dataclass(frozen=True)
class Augmented:
    """What came of it.

    Args:
        texts: by item; the old one where there is no new one.
        answers: of the language model.
        remarks: what was remarked, by item, such as why a text is the old one.
    """

    texts: Mapping[str, str | None]
    answers: Answers
    remarks: Mapping[str, tuple[str, ...]]


def augment(
    texts: Mapping[str, str | None],
    images: Mapping[str, Path | None],
    asking: Asking,
    prompts: Prompts | None = None,
) -> Augmented:
    """Have the text of every item written again.

    An item with an image and no text gets a caption; one with neither stays without.

    Args:
        texts: by item.
        images: files by item; empty where none are to be shown.
        asking: whom to ask, and how.
        prompts: what to ask.

    Raises:
        UnusableError: key, address or model are wrong.
        UnansweredError: ten questions in a row had no answer.
        OSError: an image or the store of answers cannot be read or written.
    """
    prompts = prompts or Prompts()
    remarks: dict[str, tuple[str, ...]] = {}

    def questions() -> Iterator[tuple[str, Question]]:
        for item, text in texts.items():
            image = content(images.get(item)) if images else None
            remarks[item] = image.remarks if image else ()
            data = image.value if image else None
            stripped = (text or "").strip()
            if stripped or data is not None:
                yield item, augmenting(stripped, data, prompts.with_image, prompts.without)
            else:
                remarks[item] += (NOTHING_TO_ASK,)
                asking.on_items(1)

    answers = asking.ask(questions())
    new = dict(texts)
    for item, answer in answers.by_item.items():
        remarks[item] += answer.remarks
        new[item] = answer.text or texts[item]
        remarks[item] += () if answer.text else (KEPT,)
    for item in answers.unanswered:
        remarks[item] += (NO_ANSWER, KEPT)
    return Augmented(new, answers, {item: said for item, said in remarks.items() if said})
