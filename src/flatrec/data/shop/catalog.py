"""The attributes of the items of the shop, drawn so that they go together as in a real shop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Float32, Int
from numpy import ndarray

MATERIALS_OF_KIND: Mapping[str, tuple[str, ...]] = {
    "mug": ("ceramic", "glass", "steel"),
    "lamp": ("brass", "linen", "wooden", "glass"),
    "chair": ("wooden", "steel", "leather"),
    "shirt": ("cotton", "linen", "wool"),
    "bag": ("leather", "canvas", "cotton"),
    "clock": ("brass", "wooden", "steel"),
    "vase": ("ceramic", "glass", "brass"),
    "shoe": ("leather", "canvas", "wool"),
    "cushion": ("cotton", "linen", "wool"),
    "hat": ("wool", "cotton", "canvas"),
    "teapot": ("ceramic", "steel", "glass"),
    "umbrella": ("canvas", "cotton", "linen"),
}
ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "kind": tuple(MATERIALS_OF_KIND),
    "color": ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "grey", "black"),
    "material": ("ceramic", "glass", "steel", "brass", "wooden", "leather", "cotton", "linen", "wool", "canvas"),
    "pattern": ("plain", "striped", "dotted", "checked", "zigzag", "floral"),
    "price_band": ("budget", "standard", "premium"),
    "brand": ("Nordby", "Halden", "Marlo", "Tindra", "Oakley Row", "Pavone", "Sorrel", "Wick & Weir"),
}


@dataclass(frozen=True, eq=False)
class Catalog:
    """The attributes of every item, as indices into ``ATTRIBUTES``.

    Example:
        >>> catalog = draw_catalog(3, np.random.default_rng(0))
        >>> sorted(catalog.item(0))
        ['brand', 'color', 'kind', 'material', 'pattern', 'price_band']
    """

    codes: Mapping[str, Int[ndarray, "n_items"]]  # for each attribute, the index of the value of each item

    def __len__(self) -> int:
        return len(self.codes["kind"])

    def item(self, index: int) -> dict[str, str]:
        """Return the attributes of one item, in words."""
        return {name: ATTRIBUTES[name][codes[index]] for name, codes in self.codes.items()}

    def column(self, attribute: str) -> list[str]:
        """Return one attribute of all items, in words."""
        return [ATTRIBUTES[attribute][code] for code in self.codes[attribute]]

    def one_hot(self, attribute: str) -> Float32[ndarray, "n_items n_values"]:
        """Return one attribute of all items, with one column per value."""
        codes: ndarray = self.codes[attribute]
        columns: ndarray = np.eye(len(ATTRIBUTES[attribute]), dtype=np.float32)[codes]
        return columns


def draw_catalog(n_items: int, rng: np.random.Generator) -> Catalog:
    """Draw items whose material suits their kind and whose price suits their brand; plain ones are common."""
    kind = rng.integers(len(ATTRIBUTES["kind"]), size=n_items)
    brands = rng.dirichlet(np.full(len(ATTRIBUTES["brand"]), 0.8), size=len(ATTRIBUTES["kind"]))
    brand = _drawn(brands[kind], rng)
    codes = {
        "kind": kind,
        "color": _drawn(np.tile(_falling("color"), (n_items, 1)), rng),
        "material": _drawn(_suitable_materials()[kind], rng),
        "pattern": _drawn(np.tile(_falling("pattern"), (n_items, 1)), rng),
        "price_band": _drawn(_brand_prices()[brand], rng),
        "brand": brand,
    }
    return Catalog(MappingProxyType(codes))


def _drawn(chances: Float[ndarray, "n n_values"], rng: np.random.Generator) -> Int[ndarray, "n"]:
    """Draw one value per row, with the weights of the row, which need not sum to one."""
    steps = np.cumsum(chances, axis=1)
    marks = rng.random(len(chances)) * steps[:, -1]
    values: ndarray = (marks[:, None] >= steps[:, :-1]).sum(axis=1)
    return values


def _falling(attribute: str) -> Float[ndarray, "n_values"]:
    """Return weights that decrease slowly from the first value to the last."""
    return 1 / np.sqrt(1 + np.arange(len(ATTRIBUTES[attribute])))


def _suitable_materials() -> Float[ndarray, "n_kinds n_materials"]:
    rows = [[material in made for material in ATTRIBUTES["material"]] for made in MATERIALS_OF_KIND.values()]
    return np.array(rows, dtype=np.float64)


def _brand_prices() -> Float[ndarray, "n_brands n_prices"]:
    """Return the weights of prices: every brand has its own price band, and sometimes another price."""
    n_brands, n_prices = len(ATTRIBUTES["brand"]), len(ATTRIBUTES["price_band"])
    return 0.15 + 0.7 * np.eye(n_prices)[np.arange(n_brands) % n_prices]
