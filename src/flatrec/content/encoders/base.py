"""What an encoder is."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Protocol, runtime_checkable

from jaxtyping import Float32
from numpy import ndarray
from PIL import Image


@runtime_checkable
class TextEncoder(Protocol):
    """Turns texts into vectors."""

    @property
    def identity(self) -> str:
        """What its vectors depend on, weights included: equal identities give equal vectors."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def encode(self, texts: Sequence[str]) -> Float32[ndarray, "n dim"]:
        """One vector a text."""

    def remarks(self, text: str) -> tuple[str, ...]:
        """What of the text the encoder cannot read, in a few fixed words each."""


@runtime_checkable
class ImageEncoder(Protocol):
    """Turns images into vectors."""

    @property
    def identity(self) -> str:
        """What its vectors depend on, weights included: equal identities give equal vectors."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def prepare(self, image: Image.Image) -> Float32[ndarray, "..."]:
        """What the network reads of an RGB image, always of the same shape; called from several threads."""

    def encode(self, prepared: Float32[ndarray, "n ..."]) -> Float32[ndarray, "n dim"]:
        """One vector a prepared image."""


def require_extra(module: str, extra: str) -> ModuleType:
    """A module of an extra.

    Args:
        module: its name.
        extra: that brings it.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name and not module.startswith(error.name):
            raise
        raise ModuleNotFoundError(f"{module} is not installed; pip install 'flatrec[{extra}]'") from None
