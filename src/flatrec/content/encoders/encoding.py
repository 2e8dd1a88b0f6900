"""Feature files from the texts or images of all items, with a report of what was wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from flatrec.content.encoders.base import Encoder, EncoderInput, ImageEncoder, TextEncoder
from flatrec.content.encoders.images import decode_image, read_image, suppress_pillow_warnings
from flatrec.content.encoders.texts import clean_text
from flatrec.content.encoders.vector_cache import CachedVector, vector_key
from flatrec.content.report import count_warnings
from flatrec.data.encoded_items import begin_update
from flatrec.utils.atomic_write import atomic_write
from flatrec.utils.threads import Threads

ITEMS_PER_BLOCK = 256  # items between two writes to the cache
_BYTES_PER_WRITE = 1 << 20


@dataclass(frozen=True)
class EncodingReport:
    """What became of one modality of all items.

    Args:
        modality: name of the modality.
        encoder: identity of the encoder.
        dim: columns of the feature file.
        items: rows of the feature file.
        missing: items without the modality; their mask is False and their row is the mean of the other rows.
        computed: vectors that were computed rather than read from the cache; equal inputs share one.
        warnings: warnings of each item that has any.
    """

    modality: str
    encoder: str
    dim: int
    items: int
    missing: int
    computed: int
    warnings: Mapping[str, tuple[str, ...]]

    @property
    def counts(self) -> dict[str, int]:
        """Number of items of each warning, the most frequent first."""
        return count_warnings(self.warnings)


@runtime_checkable
class Vectors(Protocol):
    """Where earlier vectors are, such as :class:`flatrec.content.encoders.vector_cache.VectorCache`."""

    def get(self, keys: Sequence[bytes], dim: int) -> dict[bytes, CachedVector]:
        """Return the vectors that are there, by key."""

    def put(self, vectors: Mapping[bytes, CachedVector]) -> None:
        """Store vectors."""


class EncodingSettings(NamedTuple):
    """Settings of encoding.

    Args:
        cache: earlier vectors; new ones are stored there.
        batch_size: texts or images per pass of the encoder.
        workers: threads that read and decode images.
        on_items: is called with the number of items that are done.
    """

    cache: Vectors
    batch_size: int = 64
    workers: int = 2
    on_items: Callable[[int], None] = lambda _count: None


def encode_texts(
    texts: Mapping[str, str | None], encoder: TextEncoder, folder: Path, settings: EncodingSettings
) -> EncodingReport:
    """Write ``text_feat.npy`` and ``text_mask.npy``, one row per item.

    Args:
        texts: texts by item id, in the order of the rows.
        encoder: encoder of the texts.
        folder: existing folder of the files.
        settings: batch size, cache and so on.

    Raises:
        ValueError: the encoder returns vectors that are not finite.
        OSError: a file cannot be written.
    """
    return _encode(list(texts), _Texts(texts, encoder), folder, settings)


def encode_images(
    images: Mapping[str, Path | None], encoder: ImageEncoder, folder: Path, settings: EncodingSettings
) -> EncodingReport:
    """Write ``image_feat.npy`` and ``image_mask.npy``, as :func:`encode_texts` does.

    Args:
        images: image files by item id, in the order of the rows.
        encoder: encoder of the images.
        folder: existing folder of the files.
        settings: batch size, cache and so on.

    Raises:
        ValueError: the encoder returns vectors that are not finite.
        OSError: a file cannot be written, or an image not be read for lack of permission.
    """
    with Threads(settings.workers) as threads, suppress_pillow_warnings():
        return _encode(list(images), _Images(images, encoder, threads), folder, settings)


def store_texts(texts: Mapping[str, str | None], encoder: TextEncoder, settings: EncodingSettings) -> int:
    """Encode texts into the cache alone, and return how many vectors were computed.

    Raises:
        ValueError: the encoder returns vectors that are not finite.
        OSError: the cache cannot be written.
    """
    return _store(list(texts), _Texts(texts, encoder), settings)


def store_images(images: Mapping[str, Path | None], encoder: ImageEncoder, settings: EncodingSettings) -> int:
    """Encode images into the cache alone, as :func:`store_texts` does.

    Raises:
        ValueError: the encoder returns vectors that are not finite.
        OSError: the cache cannot be written, or an image not be read for lack of permission.
    """
    with Threads(settings.workers) as threads, suppress_pillow_warnings():
        return _store(list(images), _Images(images, encoder, threads), settings)


EncodeResult: TypeAlias = CachedVector | tuple[str, ...]  # a vector, or the reasons why there is none


@runtime_checkable
class _Modality(Protocol):
    """One modality of the items; files are named by it."""

    NAME: ClassVar[str]

    @property
    def encoder(self) -> Encoder:
        """The encoder of its vectors."""

    def inputs(self, items: Sequence[str]) -> list[EncoderInput[bytes]]:
        """Return the bytes of these items, which decide their vectors."""

    def vectors(self, inputs: Sequence[bytes], batch_size: int) -> Iterator[list[EncodeResult]]:
        """Yield the results of all inputs, batch by batch."""


@dataclass(frozen=True)
class _Texts:
    NAME: ClassVar[str] = "text"
    texts: Mapping[str, str | None]
    encoder: TextEncoder

    def inputs(self, items: Sequence[str]) -> list[EncoderInput[bytes]]:
        texts = (clean_text(self.texts[item]) for item in items)
        return [EncoderInput(None if text.value is None else text.value.encode(), text.warnings) for text in texts]

    def vectors(self, inputs: Sequence[bytes], batch_size: int) -> Iterator[list[EncodeResult]]:
        for batch in _batches(inputs, batch_size):
            texts = [data.decode() for data in batch]
            rows = self.encoder.encode(texts)
            yield [CachedVector(row, self.encoder.warnings(text)) for row, text in zip(rows, texts, strict=True)]


@dataclass(frozen=True)
class _Images:
    NAME: ClassVar[str] = "image"
    images: Mapping[str, Path | None]
    encoder: ImageEncoder
    threads: Threads

    def inputs(self, items: Sequence[str]) -> list[EncoderInput[bytes]]:
        return self.threads.map(read_image, [self.images[item] for item in items])

    def vectors(self, inputs: Sequence[bytes], batch_size: int) -> Iterator[list[EncodeResult]]:
        for batch in _batches(inputs, batch_size):
            prepared = self.threads.map(self._prepare, batch)
            values = [image.value for image in prepared if image.value is not None]
            rows = iter(self.encoder.encode(np.stack(values)) if values else ())
            yield [
                image.warnings if image.value is None else CachedVector(next(rows), image.warnings)
                for image in prepared
            ]

    def _prepare(self, data: bytes) -> EncoderInput[Float32[ndarray, "..."]]:
        image = decode_image(data)
        return EncoderInput(None if image.value is None else self.encoder.prepare(image.value), image.warnings)


def _encode(items: Sequence[str], modality: _Modality, folder: Path, settings: EncodingSettings) -> EncodingReport:
    dim, name = modality.encoder.dim, modality.NAME
    warnings: dict[str, tuple[str, ...]] = {}
    present = np.zeros(len(items), dtype=np.bool_)
    computed = 0
    path = folder / f"{name}_feat.npy"
    with atomic_write(path) as file, atomic_write(folder / f"{name}_mask.npy") as mask:  # which is put in place first
        rows = _allocate_npy(file, (len(items), dim))
        for block in _blocks(items, modality, settings):
            computed += block.n_computed
            for row, (vector, item_warnings) in enumerate(block.results, block.start):
                if vector is not None:
                    rows[row], present[row] = vector, True
                if item_warnings:
                    warnings[items[row]] = item_warnings
        if present.any():
            rows[~present] = rows[present].mean(axis=0, dtype=np.float64)  # for readers that ignore masks
        rows.flush()
        np.save(mask, present)
        begin_update(folder, [name])
        path.unlink(missing_ok=True)  # a kill would leave it beside the mask of other features
    missing = int((~present).sum())
    return EncodingReport(name, modality.encoder.identity, dim, len(items), missing, computed, warnings)


def _store(items: Sequence[str], modality: _Modality, settings: EncodingSettings) -> int:
    return sum(block.n_computed for block in _blocks(items, modality, settings))


def _allocate_npy(path: Path, shape: tuple[int, int]) -> np.memmap[Any, np.dtype[np.float32]]:
    """Write zeros to a file, so that there is room: writing to a mapped file on a full disk would end the process."""
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    left = 4 * shape[0] * shape[1]
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        while left:
            left -= file.write(bytes(min(left, _BYTES_PER_WRITE)))
    return np.lib.format.open_memmap(path, mode="r+")


class _Block(NamedTuple):
    """Encoded items that follow one another.

    Args:
        start: index of the first item.
        results: vector and warnings of each item; None for one without a vector.
        n_computed: number of vectors that had to be computed.
    """

    start: int
    results: Sequence[tuple[Float32[ndarray, "dim"] | None, tuple[str, ...]]]
    n_computed: int


def _blocks(items: Sequence[str], modality: _Modality, settings: EncodingSettings) -> Iterator[_Block]:
    """Encode all items, block by block; one counts as done when the next is asked for."""
    for start in range(0, len(items), ITEMS_PER_BLOCK):
        block = items[start : start + ITEMS_PER_BLOCK]
        yield _encode_block(start, block, modality, settings)
        settings.on_items(len(block))


def _encode_block(start: int, items: Sequence[str], modality: _Modality, settings: EncodingSettings) -> _Block:
    inputs = modality.inputs(items)
    identity = modality.encoder.identity
    keys = [b"" if entry.value is None else vector_key(identity, entry.value) for entry in inputs]
    data = {key: entry.value for key, entry in zip(keys, inputs, strict=True) if entry.value is not None}
    results: dict[bytes, EncodeResult] = {b"": (), **settings.cache.get(list(data), modality.encoder.dim)}
    n_cached = len(results)
    for batch in _compute(modality, {key: value for key, value in data.items() if key not in results}, settings):
        results |= batch
    n_computed = sum(isinstance(result, CachedVector) for result in list(results.values())[n_cached:])
    rows = []
    for key, entry in zip(keys, inputs, strict=True):
        result = results[key]
        vector, warnings = (result.vector, result.warnings) if isinstance(result, CachedVector) else (None, result)
        rows.append((vector, (*entry.warnings, *warnings)))
    return _Block(start, rows, n_computed)


def _compute(
    modality: _Modality, inputs: Mapping[bytes, bytes], settings: EncodingSettings
) -> Iterator[dict[bytes, EncodeResult]]:
    """Yield vectors that are not in the cache, and store each batch at once."""
    order = sorted(inputs, key=lambda key: len(inputs[key]))  # inputs of one length need no padding
    keys = iter(order)
    for batch in modality.vectors([inputs[key] for key in order], settings.batch_size):
        results = dict(zip((next(keys) for _ in batch), batch, strict=True))
        vectors = {key: result for key, result in results.items() if isinstance(result, CachedVector)}
        if not all(np.isfinite(cached.vector).all() for cached in vectors.values()):
            raise ValueError("the encoder returns vectors that are not finite; choose another, or another --device")
        settings.cache.put(vectors)
        yield results


def _batches(inputs: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    return (inputs[start : start + size] for start in range(0, len(inputs), size))
