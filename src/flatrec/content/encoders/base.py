"""Protocols of encoders, and what all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Generic, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float32
from numpy import ndarray
from PIL import Image
from torch import nn

Value = TypeVar("Value")


@runtime_checkable
class Encoder(Protocol):
    """Turns inputs of one modality into vectors."""

    @property
    def identity(self) -> str:
        """Everything that the vectors depend on, weights included: equal identities give equal vectors."""

    @property
    def dim(self) -> int:
        """Length of a vector."""


@runtime_checkable
class TextEncoder(Encoder, Protocol):
    """Turns texts into vectors."""

    def encode(self, texts: Sequence[str]) -> Float32[ndarray, "n dim"]:
        """Return one vector per text."""

    def warnings(self, text: str) -> tuple[str, ...]:
        """Say what the encoder cannot read of the text; each warning is one of a few fixed phrases."""


@runtime_checkable
class ImageEncoder(Encoder, Protocol):
    """Turns images into vectors."""

    def prepare(self, image: Image.Image) -> Float32[ndarray, "..."]:
        """Return the network's input for an RGB image, always of the same shape; called from several threads."""

    def encode(self, prepared: Float32[ndarray, "n ..."]) -> Float32[ndarray, "n dim"]:
        """Return one vector per prepared image."""


@dataclass(frozen=True)
class EncoderInput(Generic[Value]):
    """A text or image that is ready to be encoded, or the reason why there is none.

    Args:
        value: None if the item counts as one without the modality.
        warnings: what is wrong with the value or was changed; each is one of a few fixed phrases, so that they can be
            counted.
    """

    value: Value | None
    warnings: tuple[str, ...] = ()


def weights_digest(network: nn.Module) -> str:
    """Return a digest of all parameters and buffers with their names; it is equal on every device."""
    digest = blake2b(digest_size=12)
    for name, values in sorted(network.state_dict().items()):
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
