"""Items whose texts and images are edited after training (RQ3, risk 2).

Each item is adjusted with a probability: a caption of its image becomes its text, and a summary of the caption is
printed on its image. The paper does not say how words get into an image; see
:mod:`flatrec.content.llm.text_overlay`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os.path import relpath
from pathlib import Path

import torch
from PIL import Image

from flatrec.content.encoders.images import content, opened
from flatrec.content.llm.batch_runner import Answers, Asking, Usage
from flatrec.content.llm.endpoint import NO_ANSWER
from flatrec.content.llm.requests import Question, captioning, summing_up
from flatrec.content.llm.text_overlay import NO_GLYPH, Printer
from flatrec.data.encoded_items import ITEM_IDS, begin_update
from flatrec.data.items import ItemTable
from flatrec.utils import seeding
from flatrec.utils.atomic_write import atomic_write
from flatrec.utils.integrity import read_sealed

FACTS, DETAILS, IMAGES = "adjustment.json", "adjustment.csv", "adjusted_images"
TEXT_COLUMN, IMAGE_COLUMN = "adjusted_text", "adjusted_image"
LONGEST_SUMMARY, MOST_LETTERS = 12, 120  # words and letters
NO_CAPTION, NOT_PRINTED = "no caption, so not adjusted", "text adjusted only"


@dataclass(frozen=True)
class Caption:
    """What is said of an image.

    Args:
        text: which becomes the item's.
        summary: which is printed on the image.
    """

    text: str
    summary: str


@dataclass(frozen=True)
class Captioned:
    """Captions by item, and what was remarked.

    Args:
        captions: those that there are.
        remarks: by item.
        unanswered: why there is no answer yet, by item.
        usage: what it took.
    """

    captions: Mapping[str, Caption]
    remarks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unanswered: Mapping[str, str] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class Adjustment:
    """Which items of a folder are adjusted.

    Args:
        probability: of each item.
        seed: of the draw.
        items: their ids.
    """

    probability: float
    seed: int
    items: tuple[str, ...]


def drawn(items: Sequence[str], probability: float, seed: int) -> list[str]:
    """The items to be adjusted, each drawn for itself.

    With one seed, those of a lower probability are among those of a higher one.

    Raises:
        ValueError: a probability outside of [0, 1].
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"a probability must lie in [0, 1], but is {probability}")
    lots = torch.rand(len(items), generator=seeding.generator(seed, "adjusted items"), dtype=torch.float64)
    return [item for item, lot in zip(items, lots.tolist(), strict=True) if lot < probability]


def captions_asked(items: Sequence[str], images: Mapping[str, Path | None], asking: Asking) -> Captioned:
    """Have a language model caption images, and sum the captions up.

    Raises:
        UnusableError: key, address or model are wrong.
        UnansweredError: ten questions in a row had no answer.
        OSError: an image or the store of answers cannot be read or written.
    """
    remarks: dict[str, tuple[str, ...]] = {}

    def questions() -> Iterator[tuple[str, Question]]:
        for item in items:
            image = content(images.get(item))
            remarks[item] = image.remarks
            if image.value is not None:
                yield item, captioning(image.value)

    captions = asking.ask(questions())
    texts = _texts(captions)
    summaries = asking.ask((item, summing_up(text)) for item, text in texts.items())
    short = _texts(summaries)
    for item, answer in [*captions.by_item.items(), *summaries.by_item.items()]:
        remarks[item] += answer.remarks
    unanswered = {**captions.unanswered, **summaries.unanswered}
    for item in items:
        remarks[item] += (NO_ANSWER,) if item in unanswered else ()
        remarks[item] += (NO_CAPTION,) if item not in short else ()
    return Captioned(
        {item: Caption(texts[item], shortened(short[item])) for item in items if item in short},
        {item: said for item, said in remarks.items() if said},
        unanswered,
        _both(captions.usage, summaries.usage),
    )


def captions_given(
    items: Sequence[str], texts: Mapping[str, str | None], summaries: Mapping[str, str | None] | None
) -> Captioned:
    """Captions from a table; without summaries the first words of a caption are its summary."""
    captions = {}
    for item in items:
        text = (texts[item] or "").strip()
        summary = ((summaries[item] or "") if summaries else "").strip()
        if text:
            captions[item] = Caption(text, shortened(summary or text))
    return Captioned(captions, {item: (NO_CAPTION,) for item in items if item not in captions})


def shortened(text: str) -> str:
    """The first words, twelve and 120 letters at most; some scripts have no blanks."""
    words = text.split()
    short = " ".join(words[:LONGEST_SUMMARY])[:MOST_LETTERS]
    return short + ("…" if len(short) < len(" ".join(words)) else "")


@dataclass(frozen=True)
class Edition:
    """Raw items, of which some are to be adjusted.

    Args:
        table: of all items.
        texts: of all items, as they were.
        images: of all items, as they were; empty where there are none.
    """

    table: ItemTable
    texts: Mapping[str, str | None]
    images: Mapping[str, Path | None]

    def check(self, out: Path, *, overwrite: bool) -> None:
        """Make sure that adjusted items can be written there without losing anything.

        Raises:
            FileExistsError: the folder holds adjusted items, and they are not to be overwritten, or another table.
            NotADirectoryError: it is a file.
            ValueError: it holds the very table or images that are read, or the ids are in a column of its own.
            OSError: the table cannot be written there.
        """
        if self.table.id_column in (TEXT_COLUMN, IMAGE_COLUMN):
            raise ValueError(f"the ids cannot be in the column {self.table.id_column!r}, which is written; rename it")
        if out.exists() and not out.is_dir():
            raise NotADirectoryError(f"{out} is a file; name a folder")
        table, edited = table_of(out, self.table.path), (out / IMAGES).resolve()
        if table.resolve() == self.table.path.resolve() or any(
            path is not None and edited in path.resolve().parents for path in self.images.values()
        ):
            raise ValueError(f"{out} holds what is read; choose another folder")
        if (table.exists() or (out / FACTS).exists()) and not overwrite:
            raise FileExistsError(f"{out} holds items already; replace them (--overwrite) or choose another folder")
        if out.exists():
            self.table.check_writable(table)

    @staticmethod
    def begin(out: Path) -> None:
        """Make the folder, and take away what would not belong to what follows."""
        out.mkdir(parents=True, exist_ok=True)
        begin_update(out, ())
        for name in (FACTS, ITEM_IDS):  # without ids, the features there are those of no items
            (out / name).unlink(missing_ok=True)
        folder = out / IMAGES
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise FileExistsError(f"{folder} is no folder of ours; remove it, or choose another --out")
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()

    def write(self, out: Path, captions: Mapping[str, Caption], printer: Printer) -> dict[str, tuple[str, ...]]:
        """Write the table with the columns ``adjusted_text`` and ``adjusted_image``, and the images edited.

        The images that are as they were stay where they are, and are named relative to ``out``.

        Returns:
            What was remarked, by item.

        Raises:
            OSError: the folder cannot be written to.
        """
        self.begin(out)
        remarks: dict[str, tuple[str, ...]] = {}
        places = {item: None if path is None else _relative(path, out) for item, path in self.images.items()}
        for number, item in enumerate(self.table.ids):
            if item not in captions:
                continue
            image = _image(self.images.get(item))
            remarks[item] = () if image else (NOT_PRINTED,)
            if image is not None:
                remarks[item] += (NO_GLYPH,) if printer.lacks(captions[item].summary) else ()
                places[item] = f"{IMAGES}/{number}.png"
                with atomic_write(out / IMAGES / f"{number}.png") as temporary:
                    printer.printed(image, captions[item].summary).save(temporary, "PNG")
        texts = {item: captions[item].text if item in captions else text for item, text in self.texts.items()}
        table = self.table.with_column(TEXT_COLUMN, texts)
        table = table.with_column(IMAGE_COLUMN, places) if self.images else table
        table.write(table_of(out, self.table.path))
        return {item: said for item, said in remarks.items() if said}


def table_of(out: Path, original: Path) -> Path:
    """Where the table of adjusted items lies: in the format of the original."""
    return out / f"items{original.suffix.lower()}"


def read_adjustment(folder: Path) -> Adjustment:
    """Which items ``flatrec adjust`` adjusted there.

    Raises:
        FileNotFoundError: the folder is none of adjusted items.
        ValueError: its ``adjustment.json`` is malformed.
    """
    file = folder / FACTS
    if not file.is_file():
        raise FileNotFoundError(
            f"{folder} is no folder of adjusted items: it has no {FACTS}; write one with flatrec adjust, and its "
            "features into it with flatrec encode"
        )
    facts = read_sealed(file, advice="adjust the items again")
    try:
        items = tuple(map(str, facts["items"]))
        return Adjustment(float(facts["probability"]), int(facts["seed"]), items)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is not what flatrec adjust writes ({error!r}); adjust the items again") from None


def _relative(path: Path, out: Path) -> str:
    """The path as seen from a folder, links in either followed."""
    try:
        return relpath(path.resolve(), out.resolve())
    except ValueError:  # another drive
        return str(path.resolve())


def _image(path: Path | None) -> Image.Image | None:
    data = content(path).value
    return None if data is None else opened(data).value


def _texts(answers: Answers) -> dict[str, str]:
    return {item: one.text for item, one in answers.by_item.items() if one.text}


def _both(one: Usage, other: Usage) -> Usage:
    return replace(one, **{name: value + getattr(other, name) for name, value in vars(one).items()})
