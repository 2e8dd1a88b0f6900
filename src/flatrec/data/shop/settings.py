"""How large a shop to build, and from which seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from flatrec.data.shop.purchases import MINIMUM

AVERAGE = 9  # purchases a user where no number of interactions is given


class Size(NamedTuple):
    """The size of a benchmark."""

    users: int
    items: int
    interactions: int


SIZES: dict[str, Size] = {  # the Amazon 5-core data sets as used with MMRec
    "baby": Size(19_445, 7_050, 160_792),
    "sports": Size(35_598, 18_357, 296_337),
    "clothing": Size(39_387, 23_033, 278_677),
}


@dataclass(frozen=True)
class ShopSettings:
    """What to generate; equal settings give equal shops.

    Args:
        users: number of users, at least 2.
        items: number of items, at least 20.
        seed: of everything that is drawn, not negative.
        interactions: number of distinct purchases; by default nine a user.
            Every user makes five or more, and buys at most half of the items.
        images: draw an image an item and compute image and text features from images and texts;
            otherwise draw the features from the attributes, which takes seconds at any size.
        image_dim: columns of the image features.
        text_dim: columns of the text features.
        name: of the data set.

    Example:
        >>> ShopSettings(users=100).n_interactions, ShopSettings.like("baby").n_interactions
        (900, 160792)

    Raises:
        ValueError: a number is out of its range.
    """

    users: int = 2000
    items: int = 800
    seed: int = 0
    interactions: int | None = None
    images: bool = True
    image_dim: int = 64
    text_dim: int = 64
    name: str = "shop"

    def __post_init__(self) -> None:
        least = {"users": 2, "items": 20, "seed": 0, "image_dim": 1, "text_dim": 1}
        for field, bound in least.items():
            if getattr(self, field) < bound:
                raise ValueError(f"{field} must be at least {bound}, but is {getattr(self, field)}; raise it")
        if self.name.startswith(".") or self.name != Path(self.name).name or not self.name:
            raise ValueError(f"name must be fit for a file, but is {self.name!r}; use letters, digits, hyphens")
        low, high = MINIMUM * self.users, self.users * (self.items // 2)
        if not low <= self.n_interactions <= high:
            raise ValueError(
                f"interactions must lie in [{low}, {high}] for {self.users} users and {self.items} items, "
                f"but is {self.n_interactions}; every user buys {MINIMUM} items or more, and at most half of them"
            )

    @property
    def n_interactions(self) -> int:
        """The number of purchases, given or by default."""
        return AVERAGE * self.users if self.interactions is None else self.interactions

    @classmethod
    def like(cls, benchmark: str, *, image_dim: int = 64, text_dim: int = 64, seed: int = 0) -> ShopSettings:
        """A shop without images, of exactly the size of a public benchmark: ``baby``, ``sports`` or ``clothing``.

        Raises:
            ValueError: the benchmark is not known.
        """
        if benchmark not in SIZES:
            known = ", ".join(SIZES)
            raise ValueError(f"benchmark must be one of {known}, but is {benchmark!r}; choose one of these")
        users, items, interactions = SIZES[benchmark]
        return cls(
            users=users,
            items=items,
            seed=seed,
            interactions=interactions,
            images=False,
            image_dim=image_dim,
            text_dim=text_dim,
            name=f"shop-like-{benchmark}",
        )
