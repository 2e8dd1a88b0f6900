"""Texts and images of all items into feature files, with a report of what was wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from flatrec.content.encoders.base import ImageEncoder, TextEncoder
from flatrec.content.encoders.images import content, opened, unwarned
from flatrec.content.encoders.raw import Raw
from flatrec.content.encoders.store import Known, VectorStore, key_of
from flatrec.content.encoders.texts import cleaned
from flatrec.data.encoded_items import begin_update
from flatrec.utils.atomic_write import atomic_write
from flatrec.utils.threads import Threads

BLOCK = 256  # items between two writes to the store
_PORTION = 1 << 20


@dataclass(frozen=True)
class Report:
    """What became of one modality of all items.

    Args:
        modality: its name.
        encoder: the identity of what encoded it.
        dim: columns of the feature file.
        items: rows of it.
        missing: items without the modality, whose flags are False and whose rows are the mean of the others.
        computed: vectors that were computed, rather than known from earlier; equal inputs share one.
        remarks: what was remarked, by item id.
    """

    modality: str
    encoder: str
    dim: int
    items: int
    missing: int
    computed: int
    remarks: Mapping[str, tuple[str, ...]]

    @property
    def counts(self) -> dict[str, int]:
        """Items by remark, the most frequent first."""
        return dict(Counter(one for remarks in self.remarks.values() for one in remarks).most_common())


class Settings(NamedTuple):
    """How to go about it.

    Args:
        store: vectors known from earlier, which gets those that are computed.
        batch_size: inputs a pass of the encoder.
        workers: threads that read and unpack images.
        on_items: hears how many items are done.
    """

    store: VectorStore
    batch_size: int = 64
    workers: int = 2
    on_items: Callable[[int], None] = lambda _count: None


class Target(NamedTuple):
    """Where feature files go: an existing folder, and the modality that their names begin with."""

    folder: Path
    modality: str


def encode_texts(texts: Mapping[str, str | None], encoder: TextEncoder, target: Target, settings: Settings) -> Report:
    """Write ``MODALITY_feat.npy`` and ``MODALITY_mask.npy``, a row an item.

    Args:
        texts: by item id, in the order of the rows.
        encoder: what reads them.
        target: where they go.
        settings: how to go about it.

    Raises:
        ValueError: the encoder gives vectors that are not finite.
        OSError: a file cannot be written.
    """
    return _encode(list(texts), _Texts(texts, encoder), target, settings)


def encode_images(
    images: Mapping[str, Path | None], encoder: ImageEncoder, target: Target, settings: Settings
) -> Report:
    """Write ``MODALITY_feat.npy`` and ``MODALITY_mask.npy``, a row an item.

    Args:
        images: files by item id, in the order of the rows.
        encoder: what sees them.
        target: where they go.
        settings: how to go about it.

    Raises:
        ValueError: the encoder gives vectors that are not finite.
        OSError: a file cannot be written, or an image not be read for lack of permission.
    """
    with Threads(settings.workers) as threads, unwarned():
        return _encode(list(images), _Images(images, encoder, threads), target, settings)


Found: TypeAlias = Known | tuple[str, ...]  # a vector, or the remarks on why there is none


@runtime_checkable
class _Source(Protocol):
    """One modality of the items."""

    @property
    def encoder(self) -> TextEncoder | ImageEncoder:
        """What makes the vectors."""

    def raw(self, items: Sequence[str]) -> list[Raw[bytes]]:
        """What is there of some items, as bytes that decide their vectors."""

    def vectors(self, raw: Sequence[bytes], batch_size: int) -> Iterator[list[Found]]:
        """What comes of each, batch by batch."""


@dataclass(frozen=True)
class _Texts:
    texts: Mapping[str, str | None]
    encoder: TextEncoder

    def raw(self, items: Sequence[str]) -> list[Raw[bytes]]:
        found = (cleaned(self.texts[item]) for item in items)
        return [Raw(None if one.value is None else one.value.encode(), one.remarks) for one in found]

    def vectors(self, raw: Sequence[bytes], batch_size: int) -> Iterator[list[Found]]:
        for some in _portions(raw, batch_size):
            texts = [one.decode() for one in some]
            rows = self.encoder.encode(texts)
            yield [Known(row, self.encoder.remarks(text)) for row, text in zip(rows, texts, strict=True)]


@dataclass(frozen=True)
class _Images:
    images: Mapping[str, Path | None]
    encoder: ImageEncoder
    threads: Threads

    def raw(self, items: Sequence[str]) -> list[Raw[bytes]]:
        return self.threads.map(content, [self.images[item] for item in items])

    def vectors(self, raw: Sequence[bytes], batch_size: int) -> Iterator[list[Found]]:
        for some in _portions(raw, batch_size):
            prepared = self.threads.map(self._prepared, some)
            there = [one.value for one in prepared if one.value is not None]
            rows = iter(self.encoder.encode(np.stack(there)) if there else ())
            yield [one.remarks if one.value is None else Known(next(rows), one.remarks) for one in prepared]

    def _prepared(self, data: bytes) -> Raw[Float32[ndarray, "..."]]:
        image = opened(data)
        return Raw(None if image.value is None else self.encoder.prepare(image.value), image.remarks)


def _encode(items: Sequence[str], source: _Source, target: Target, settings: Settings) -> Report:
    dim, modality = source.encoder.dim, target.modality
    remarks: dict[str, tuple[str, ...]] = {}
    present = np.zeros(len(items), dtype=np.bool_)
    computed = 0
    path = target.folder / f"{modality}_feat.npy"
    with (
        atomic_write(path) as file,
        atomic_write(path.with_name(f"{modality}_mask.npy")) as mask,
    ):  # whose turn is first
        rows = _reserved(file, (len(items), dim))
        for start in range(0, len(items), BLOCK):
            some = items[start : start + BLOCK]
            found, again = _block(source, some, settings)
            computed += again
            for place, (item, (vector, said)) in enumerate(zip(some, found, strict=True), start):
                if vector is not None:
                    rows[place], present[place] = vector, True
                if said:
                    remarks[item] = said
            settings.on_items(len(some))
        if present.any():
            rows[~present] = rows[present].mean(axis=0, dtype=np.float64)  # for readers that know no masks
        rows.flush()
        np.save(mask, present)
        begin_update(target.folder, [modality])
        path.unlink(missing_ok=True)  # a kill would leave it beside the mask of others
    missing = int((~present).sum())
    return Report(modality, source.encoder.identity, dim, len(items), missing, computed, remarks)


def _reserved(path: Path, shape: tuple[int, int]) -> np.memmap[Any, np.dtype[np.float32]]:
    """Zeros in a file, for which there is room: writing to a mapped file on a full disk would end the process."""
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    left = 4 * shape[0] * shape[1]
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        while left:
            left -= file.write(bytes(min(left, _PORTION)))
    return np.lib.format.open_memmap(path, mode="r+")


def _block(
    source: _Source, items: Sequence[str], settings: Settings
) -> tuple[list[tuple[Float32[ndarray, "dim"] | None, tuple[str, ...]]], int]:
    """Vectors of some items with all that is to be remarked, and how many had to be computed."""
    raw = source.raw(items)
    keys = [b"" if one.value is None else key_of(source.encoder.identity, one.value) for one in raw]
    wanted = {key: one.value for key, one in zip(keys, raw, strict=True) if one.value is not None}
    known: dict[bytes, Found] = {b"": (), **settings.store.get(list(wanted), source.encoder.dim)}
    before = len(known)
    for batch in _made(source, {key: one for key, one in wanted.items() if key not in known}, settings):
        known |= batch
    again = sum(isinstance(one, Known) for one in list(known.values())[before:])
    found = []
    for key, one in zip(keys, raw, strict=True):
        what = known[key]
        vector, said = (what.vector, what.remarks) if isinstance(what, Known) else (None, what)
        found.append((vector, (*one.remarks, *said)))
    return found, again


def _made(source: _Source, wanted: Mapping[bytes, bytes], settings: Settings) -> Iterator[dict[bytes, Found]]:
    """Vectors that nobody knows yet, kept as soon as a batch of them is there."""
    order = sorted(wanted, key=lambda key: len(wanted[key]))  # inputs of one length need no filling up
    places = iter(order)
    for batch in source.vectors([wanted[key] for key in order], settings.batch_size):
        made = dict(zip((next(places) for _ in batch), batch, strict=True))
        vectors = {key: one for key, one in made.items() if isinstance(one, Known)}
        if not all(np.isfinite(one.vector).all() for one in vectors.values()):
            raise ValueError("the encoder gives vectors that are not finite; choose another, or another --device")
        settings.store.put(vectors)
        yield made


def _portions(raw: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    return (raw[start : start + size] for start in range(0, len(raw), size))
