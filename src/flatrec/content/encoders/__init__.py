"""Encoders of texts and images, by name."""

from __future__ import annotations

from flatrec.content.encoders.base import ImageEncoder, TextEncoder
from flatrec.content.encoders.clip import ClipImages, ClipTexts
from flatrec.content.encoders.efficientnet import EfficientNetLite0
from flatrec.content.encoders.sentence import SentenceEncoder
from flatrec.content.encoders.timm_images import TimmEncoder

__all__ = ["ImageEncoder", "TextEncoder", "image_encoder", "text_encoder"]


def text_encoder(name: str, *, device: str = "cpu") -> TextEncoder:
    """A text encoder by name.

    Args:
        name: ``all-minilm-l6-v2``, any other name or folder that sentence-transformers loads, or
            ``open_clip/MODEL/WEIGHTS``.
        device: where it computes.

    Raises:
        ModuleNotFoundError: a library is missing.
        ValueError: there is no such model, or it cannot be had.
    """
    library, _, rest = name.partition("/")
    return ClipTexts(rest, device=device) if library == "open_clip" else SentenceEncoder(name, device=device)


def image_encoder(name: str, *, device: str = "cpu") -> ImageEncoder:
    """An image encoder by name.

    Args:
        name: ``efficientnet-lite0``, ``timm/MODEL`` or ``open_clip/MODEL/WEIGHTS``.
        device: where it computes.

    Raises:
        ModuleNotFoundError: a library is missing.
        ValueError: there is no such model, or it cannot be had.
    """
    library, _, rest = name.partition("/")
    if library == "timm":
        return TimmEncoder(rest, device=device)
    if library == "open_clip":
        return ClipImages(rest, device=device)
    if name != "efficientnet-lite0":
        raise ValueError(
            f"there is no image encoder {name!r}; choose efficientnet-lite0, timm/MODEL or open_clip/MODEL/WEIGHTS"
        )
    return EfficientNetLite0(device=device)
