"""Captions of item images and their summaries, by a language model or from a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flatrec.content.encoders.images import read_image
from flatrec.content.llm.batch_runner import BatchRunner, Usage
from flatrec.content.llm.chat_client import NO_RESPONSE
from flatrec.content.llm.prompts import CAPTION, SUMMARY, TEXT
from flatrec.content.llm.requests import Request

MAX_SUMMARY_WORDS, MAX_SUMMARY_LENGTH = 12, 120  # words and letters
NO_CAPTION = "no caption, so not adjusted"


@dataclass(frozen=True)
class Caption:
    """Caption of an image.

    Args:
        text: the caption, which becomes the item's text.
        summary: a few words that are printed on the image.
    """

    text: str
    summary: str


@dataclass(frozen=True)
class CaptionResult:
    """Captions of items.

    Args:
        captions: caption of each item that has one.
        warnings: warnings of each item that has any.
        missing: why there is no response yet, by item.
        usage: requests and tokens.
    """

    captions: Mapping[str, Caption]
    warnings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)


def generate_captions(items: Sequence[str], images: Mapping[str, Path | None], runner: BatchRunner) -> CaptionResult:
    """Have a language model caption images and sum up the captions.

    Raises:
        EndpointError: key, address or model are wrong.
        NoResponseError: ten consecutive requests had no response.
        OSError: an image or the cache cannot be read or written.
    """
    warnings: dict[str, tuple[str, ...]] = {}

    def requests() -> Iterator[tuple[str, Request]]:
        for item in items:
            image = read_image(images.get(item))
            warnings[item] = image.warnings
            if image.value is not None:
                yield item, Request(CAPTION, image.value)

    captions = runner.run(requests())
    texts = captions.texts
    summaries = runner.run((item, Request("", None, SUMMARY.replace(TEXT, text))) for item, text in texts.items())
    short = summaries.texts
    for item, response in [*captions.responses.items(), *summaries.responses.items()]:
        warnings[item] += response.warnings
    missing = {**captions.missing, **summaries.missing}
    for item in items:
        warnings[item] += (NO_RESPONSE,) if item in missing else ()
        warnings[item] += (NO_CAPTION,) if item not in short else ()
    return CaptionResult(
        {item: Caption(texts[item], shorten(short[item])) for item in items if item in short},
        {item: item_warnings for item, item_warnings in warnings.items() if item_warnings},
        missing,
        captions.usage.plus(summaries.usage),
    )


def read_captions(
    items: Sequence[str], texts: Mapping[str, str | None], summaries: Mapping[str, str | None] | None
) -> CaptionResult:
    """Take captions from columns of a table; without summaries, the first words of a caption are its summary."""
    captions = {}
    for item in items:
        text = (texts[item] or "").strip()
        summary = ((summaries[item] or "") if summaries else "").strip()
        if text:
            captions[item] = Caption(text, shorten(summary or text))
    return CaptionResult(captions, {item: (NO_CAPTION,) for item in items if item not in captions})


def shorten(text: str) -> str:
    """Return the first words of a text, at most twelve and 120 letters; some scripts have no blanks."""
    words = text.split()
    short = " ".join(words[:MAX_SUMMARY_WORDS])[:MAX_SUMMARY_LENGTH]
    return short + ("…" if len(short) < len(" ".join(words)) else "")
