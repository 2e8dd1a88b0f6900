"""Image and text towers of CLIP models, by open_clip."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray
from PIL import Image

from flatrec.content.encoders.base import require_extra
from flatrec.content.encoders.weights import digest_of


class ClipImages:
    """The image tower of a CLIP model; vectors as the model gives them, not normalized.

    Args:
        name: as open_clip knows it, with the weights behind a slash, such as ``ViT-B-32/laion2b_s34b_b79k``.
        device: where it computes.

    Raises:
        ModuleNotFoundError: open_clip is not installed.
        ValueError: there is no such model, or its weights cannot be had.
    """

    def __init__(self, name: str, *, device: str = "cpu") -> None:
        self._name, self._device = name, device
        self._network, self._transform, _ = _loaded(name, device)

    @cached_property
    def identity(self) -> str:
        """Digest of the weights, and how images are prepared."""
        steps = re.sub(r" at 0x[0-9a-fA-F]+", "", str(self._transform))  # where a function lies says nothing
        return f"clip images {steps} {digest_of(self._network)}"

    @cached_property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.encode(self.prepare(Image.new("RGB", (8, 8)))[None]).shape[1])

    def prepare(self, image: Image.Image) -> Float32[ndarray, "..."]:
        """As the model was trained."""
        return np.asarray(self._transform(image).numpy(), dtype=np.float32)

    @torch.inference_mode()
    def encode(self, prepared: Float32[ndarray, "n ..."]) -> Float32[ndarray, "n dim"]:
        """One vector a prepared image."""
        found = self._network.encode_image(torch.from_numpy(prepared).to(self._device))
        return np.asarray(found.float().cpu().numpy(), dtype=np.float32)


class ClipTexts:
    """The text tower of a CLIP model; vectors as the model gives them, not normalized.

    Args:
        name: as for :class:`ClipImages`.
        device: where it computes.

    Raises:
        ModuleNotFoundError: open_clip is not installed.
        ValueError: there is no such model, or its weights cannot be had.
    """

    def __init__(self, name: str, *, device: str = "cpu") -> None:
        self._device = device
        self._network, _, self._tokenizer = _loaded(name, device)

    @cached_property
    def identity(self) -> str:
        """Digest of the weights."""
        return f"clip texts {digest_of(self._network)}"

    @cached_property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.encode(["a"]).shape[1])

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Float32[ndarray, "n dim"]:
        """One vector a text, of which CLIP reads the first 77 tokens."""
        found = self._network.encode_text(self._tokenizer(list(texts)).to(self._device))
        return np.asarray(found.float().cpu().numpy(), dtype=np.float32)

    def remarks(self, text: str) -> tuple[str, ...]:
        """Whether the text fills the 77 tokens, so that its end is probably cut off."""
        return ("longer than the encoder reads",) if bool((self._tokenizer([text]) != 0).all()) else ()


def _loaded(name: str, device: str) -> tuple[Any, Any, Any]:
    library = require_extra("open_clip", "clip")
    model, _, weights = name.partition("/")
    if not weights:
        raise ValueError(f"open_clip/{name} names no weights; write open_clip/MODEL/WEIGHTS, weights or a file of them")
    try:
        network, _, transform = library.create_model_and_transforms(model, pretrained=weights, device=device)
        return network.eval(), transform, library.get_tokenizer(model)
    except (RuntimeError, ValueError, OSError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"the encoder open_clip/{name} cannot be loaded ({reason})") from None
