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

from flatrec.content.encoders.base import weights_digest
from flatrec.utils.optional import require_extra


class ClipImages:
    """The image tower of a CLIP model; vectors as the model returns them, not normalized.

    Args:
        name: name of the model in open_clip, a slash and its weights, such as ``ViT-B-32/laion2b_s34b_b79k``.
        device: torch device that computes.

    Raises:
        ImportError: open_clip is not installed.
        ValueError: there is no such model, or its weights cannot be downloaded.
    """

    def __init__(self, name: str, *, device: str = "cpu") -> None:
        self._name, self._device = name, device
        self._network, self._transform, _ = _load(name, device)

    @cached_property
    def identity(self) -> str:
        """Digest of the weights, and the preparation of images."""
        steps = re.sub(r" at 0x[0-9a-fA-F]+", "", str(self._transform))  # addresses of functions differ in each process
        return f"clip images {steps} {weights_digest(self._network)}"

    @cached_property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.encode(self.prepare(Image.new("RGB", (8, 8)))[None]).shape[1])

    def prepare(self, image: Image.Image) -> Float32[ndarray, "..."]:
        """Return the image as the model was trained on it."""
        return np.asarray(self._transform(image).numpy(), dtype=np.float32)

    @torch.inference_mode()
    def encode(self, prepared: Float32[ndarray, "n ..."]) -> Float32[ndarray, "n dim"]:
        """Return one vector per prepared image."""
        vectors = self._network.encode_image(torch.from_numpy(prepared).to(self._device))
        return np.asarray(vectors.float().cpu().numpy(), dtype=np.float32)


class ClipTexts:
    """The text tower of a CLIP model; vectors as the model returns them, not normalized.

    Args:
        name: as for :class:`ClipImages`.
        device: torch device that computes.

    Raises:
        ImportError: open_clip is not installed.
        ValueError: there is no such model, or its weights cannot be downloaded.
    """

    def __init__(self, name: str, *, device: str = "cpu") -> None:
        self._device = device
        self._network, _, self._tokenizer = _load(name, device)

    @cached_property
    def identity(self) -> str:
        """Digest of the weights."""
        return f"clip texts {weights_digest(self._network)}"

    @cached_property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.encode(["a"]).shape[1])

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Float32[ndarray, "n dim"]:
        """Return one vector per text; CLIP reads its first 77 tokens."""
        vectors = self._network.encode_text(self._tokenizer(list(texts)).to(self._device))
        return np.asarray(vectors.float().cpu().numpy(), dtype=np.float32)

    def warnings(self, text: str) -> tuple[str, ...]:
        """Warn if the text fills all 77 tokens, so that its end is probably cut off."""
        return ("longer than the encoder reads",) if bool((self._tokenizer([text]) != 0).all()) else ()


def _load(name: str, device: str) -> tuple[Any, Any, Any]:
    library = require_extra("open_clip", "clip")
    model, _, weights = name.partition("/")
    if not weights:
        raise ValueError(
            f"open_clip/{name} names no weights; write open_clip/MODEL/WEIGHTS, where WEIGHTS is a name or a file"
        )
    try:
        network, _, transform = library.create_model_and_transforms(model, pretrained=weights, device=device)
        return network.eval(), transform, library.get_tokenizer(model)
    except (RuntimeError, ValueError, OSError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"the encoder open_clip/{name} cannot be loaded ({reason})") from None
