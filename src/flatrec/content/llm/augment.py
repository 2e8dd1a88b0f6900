"""Item texts, written anew by a language model that sees text and picture (RQ7)."""

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
        with_picture: of an item with a picture; the paper's by default.
        without: of an item that has none, or where none are shown.

    Raises:
        ValueError: one that does not say where the text goes.
    """

    with_picture: str = AUGMENT
    without: str = AUGMENT_TEXT

    def __post_init__(self) -> None:
        for prompt in (self.with_picture, self.without):
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
    pictures: Mapping[str, Path | None],
    asking: Asking,
    prompts: Prompts | None = None,
) -> Augmented:
    """Have the text of every item written anew.

    An item with a picture and no text gets a caption; one with neither stays without.

    Args:
        texts: by item.
        pictures: files by item; empty where none are to be shown.
        asking: whom to ask, and how.
        prompts: what to ask.

    Raises:
        UnusableError: key, address or model are wrong.
        UnansweredError: ten questions in a row had no answer.
        OSError: a picture or the store of answers cannot be read or written.
    """
    prompts = prompts or Prompts()
    remarks: dict[str, tuple[str, ...]] = {}

    def questions() -> Iterator[tuple[str, Question]]:
        for item, text in texts.items():
            picture = content(pictures.get(item)) if pictures else None
            remarks[item] = picture.remarks if picture else ()
            data = picture.value if picture else None
            stripped = (text or "").strip()
            if stripped or data is not None:
                yield item, augmenting(stripped, data, prompts.with_picture, prompts.without)
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
