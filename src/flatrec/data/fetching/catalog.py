"""What is known of a public data set: its files, encoders, license and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from flatrec.utils.messages import shortlist, unknown

REVIEWS, META, IMAGE_FEATURES, ARCHIVE = "reviews", "meta", "image-features", "archive"
INTERACTIONS, TITLES = "interactions", "titles"
NONE = "none"  # the choice of a modality that is left out
# How the files are laid out, which decides how the folder is made readable.
Layout: TypeAlias = Literal["amazon-2014", "amazon-2023", "movielens", "microlens", "mmrec", "mmrec-archive"]


@dataclass(frozen=True)
class RemoteFile:
    """A file of a data set."""

    kind: str  # what the file holds
    address: str  # the address of the file
    md5_address: str = ""  # the address of its published MD5; empty if none is published
    checksum: str = ""  # as its publisher states it: ``md5:…``, or ``git:…``, the id of a Git blob; empty if not stated
    size: int | None = None  # bytes, as its publisher states them; None if not stated
    saved_as: str = ""  # the name of the file on the disk; that of the address if empty
    listing: str = ""  # the address of the list of files of its Zenodo record, which states size and MD5; empty if none

    @property
    def published_name(self) -> str:
        """The name that its publisher gave the file."""
        return urlsplit(self.address).path.rsplit("/", 1)[-1]

    @property
    def name(self) -> str:
        """The name of the file on the disk."""
        return self.saved_as or self.published_name


@dataclass(frozen=True)
class Encoder:
    """Features of one modality, computed by one encoder."""

    modality: str
    name: str
    file: RemoteFile | None = None  # the file of the features; None if they are in the archive of the data set
    member: str = ""  # the end of their path in the archive


@dataclass(frozen=True)
class StatedCounts:
    """Counts as the publisher writes them, such as ``6,040`` or ``94.8K``; empty if not stated."""

    users: str = ""
    items: str = ""
    interactions: str = ""


@dataclass(frozen=True)
class PublicDataset:
    """A public data set, as its official description describes it."""

    name: str
    layout: Layout
    files: tuple[RemoteFile, ...]
    source: str  # the official description from which the rest was read
    read_on: str  # the date on which it was read
    encoders: tuple[Encoder, ...] = ()  # the first one of a modality is the default
    counts: StatedCounts = StatedCounts()
    license: str = ""  # the name of the license; empty if none is stated
    terms: str = ""  # the terms of use that the publisher states; empty if none are stated
    counts_listed_items: bool = False  # whether the count of items includes those without an interaction

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities of its features."""
        return tuple(dict.fromkeys(encoder.modality for encoder in self.encoders))

    def choose_encoders(self, choices: Mapping[str, str]) -> list[Encoder]:
        """Return one encoder per modality: the chosen one, or the default; ``none`` leaves a modality out.

        Raises:
            ValueError: the data set has no such modality or encoder.
        """
        for modality in choices:
            if modality not in self.modalities:
                raise ValueError(f"{self.name}: {unknown('modality', modality, self.modalities)}")
        chosen = []
        for modality in self.modalities:
            known = {encoder.name: encoder for encoder in self.encoders if encoder.modality == modality}
            name = choices.get(modality, next(iter(known)))
            if name != NONE and name not in known:
                raise ValueError(f"{self.name}: {unknown(f'encoder of {modality}', name, [*known, NONE])}")
            chosen += [known[name]] if name != NONE else []
        return chosen


def parse_choices(texts: Sequence[str]) -> dict[str, str]:
    """Return the choices of encoders that are written as ``MODALITY=ENCODER``.

    Raises:
        ValueError: a text has another form, or a modality is chosen twice.
    """
    choices: dict[str, str] = {}
    for text in texts:
        modality, equals, name = text.partition("=")
        if not (equals and modality and name) or modality in choices:
            raise ValueError(f"--encoder must be MODALITY=ENCODER, once per modality, but is {shortlist(texts)}")
        choices[modality] = name
    return choices
