"""Titles and descriptions of items: the attributes in varied English, with sentences that say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flatrec.data.shop.catalog import Catalog

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "mug": ("mug", "cup", "coffee mug"),
    "lamp": ("lamp", "table lamp", "light"),
    "chair": ("chair", "dining chair", "seat"),
    "shirt": ("shirt", "tee", "top"),
    "bag": ("bag", "tote", "handbag"),
    "clock": ("clock", "wall clock", "timepiece"),
    "vase": ("vase", "flower vase", "urn"),
    "shoe": ("shoe", "trainer", "sneaker"),
    "cushion": ("cushion", "pillow", "throw pillow"),
    "hat": ("hat", "cap", "brimmed hat"),
    "teapot": ("teapot", "tea pot", "pot for tea"),
    "umbrella": ("umbrella", "brolly", "parasol"),
    "plain": ("plain", "unpatterned", "simple"),
    "striped": ("striped", "stripy", "banded"),
    "dotted": ("dotted", "spotted", "polka-dot"),
    "checked": ("checked", "chequered", "gingham"),
    "zigzag": ("zigzag", "chevron", "herringbone"),
    "floral": ("floral", "flowery", "blossom"),
    "budget": ("good value", "easy on the purse", "inexpensive"),
    "standard": ("fairly priced", "sensibly priced", "mid-range"),
    "premium": ("a luxury", "top of the range", "a splendid treat"),
    "grey": ("grey", "slate", "ash grey"),
    "teal": ("teal", "petrol", "blue-green"),
    "red": ("red", "crimson", "cherry red"),
    "blue": ("blue", "navy", "sky blue"),
    "wooden": ("wooden", "oak", "solid wood"),
    "wool": ("wool", "woollen", "felted wool"),
}
OPENINGS = (
    "{article_pattern} {pattern} {color} {kind}, made of {material} by {brand}.",
    "{brand} brings you {article_kind} {kind} in {color}, with {article_pattern} {pattern} finish in {material}.",
    "This {material} {kind} from {brand} comes in {color} and has {article_pattern} {pattern} look.",
    "Meet the {color} {kind}: {material}, {pattern}, and unmistakably {brand}.",
    "From the workshop of {brand}: {article_kind} {kind} of {material}, {color} and {pattern}.",
)
PRICES = ("It is {price}.", "Our customers call it {price}.", "For what it offers, it is {price}.")
FILLERS = (
    "Ships within two days.",
    "Wipe clean with a damp cloth.",
    "A present that is always welcome.",
    "Designed to last for years.",
    "Looks well in any room and on any day.",
    "Packed in recycled cardboard.",
    "Thirty days to change your mind.",
    "Photographed in daylight; the shade may differ a little on your screen.",
    "Part of our spring collection.",
    "As seen in the window of our high street branch.",
    "Every piece is checked by hand before it leaves us.",
    "Pairs nicely with what you already own.",
)


@dataclass(frozen=True)
class ItemText:
    """The title and description of one item."""

    title: str
    description: str


def describe(catalog: Catalog, rng: np.random.Generator) -> list[ItemText]:
    """Return one title and description per item; titles are plain, descriptions vary and digress."""
    items = [catalog.item(index) for index in range(len(catalog))]
    return [ItemText(_title(item), _description(item, rng)) for item in items]


def _title(item: Mapping[str, str]) -> str:
    pattern = "" if item["pattern"] == "plain" else f"{item['pattern']} "
    title = f"{item['color']} {pattern}{item['material']} {item['kind']} by {item['brand']}"
    return title[0].upper() + title[1:]


def _description(item: Mapping[str, str], rng: np.random.Generator) -> str:
    words = {name: _synonym(value, rng) for name, value in item.items()}
    words |= {f"article_{name}": _article(words[name]) for name in ("pattern", "kind")}
    opening = _pick(OPENINGS, rng).format(**words)
    opening = opening[0].upper() + opening[1:]
    fillers = [FILLERS[index] for index in rng.permutation(len(FILLERS))[: rng.integers(1, 4)]]
    return " ".join([opening, _pick(PRICES, rng).format(price=words["price_band"]), *fillers])


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _synonym(value: str, rng: np.random.Generator) -> str:
    return _pick(SYNONYMS[value], rng) if value in SYNONYMS else value


def _pick(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[rng.integers(len(choices))]
