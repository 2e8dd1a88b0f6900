"""The addresses of public data sets; no other module has addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_AMAZON = "https://snap.stanford.edu/data/amazon/productGraph"
_MOVIELENS = "https://files.grouplens.org/datasets/movielens"
REVIEWS, META, IMAGE_FEATURES, ARCHIVE = "reviews", "meta", "image-features", "archive"


@dataclass(frozen=True)
class RemoteFile:
    """A file of a data set."""

    kind: str  # what the file holds
    address: str  # the address of the file
    md5_address: str = ""  # the address of its published MD5; empty if none is published

    @property
    def name(self) -> str:
        """The name of the file on the disk."""
        return self.address.rsplit("/", 1)[-1]


def _amazon(category: str) -> tuple[RemoteFile, ...]:
    return (
        RemoteFile(REVIEWS, f"{_AMAZON}/categoryFiles/reviews_{category}_5.json.gz"),
        RemoteFile(META, f"{_AMAZON}/categoryFiles/meta_{category}.json.gz"),
        RemoteFile(IMAGE_FEATURES, f"{_AMAZON}/image_features/categoryFiles/image_features_{category}.b"),
    )


CATALOG: Mapping[str, tuple[RemoteFile, ...]] = {
    "baby": _amazon("Baby"),
    "sports": _amazon("Sports_and_Outdoors"),
    "clothing": _amazon("Clothing_Shoes_and_Jewelry"),
    "pet": _amazon("Pet_Supplies"),
    "office": _amazon("Office_Products"),
    "movielens": (RemoteFile(ARCHIVE, f"{_MOVIELENS}/ml-latest-small.zip", f"{_MOVIELENS}/ml-latest-small.zip.md5"),),
}
