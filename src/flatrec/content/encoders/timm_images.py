"""Image encoders of the timm library, by model name."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray
from PIL import Image

from flatrec.content.encoders.base import weights_digest
from flatrec.utils.optional import require_extra


class TimmEncoder:
    """The features before the classifier of any timm model, with the model's own preparation of images.

    Args:
        name: name of the model in timm, such as ``resnet50.a1_in1k``; its weights are downloaded.
        device: torch device that computes.
        pretrained: whether to download weights; otherwise they are random.

    Raises:
        ImportError: timm is not installed.
        ValueError: there is no such model, or its weights cannot be downloaded.
    """

    def __init__(self, name: str, *, device: str = "cpu", pretrained: bool = True) -> None:
        timm = require_extra("timm", "timm")
        try:
            self._network: Any = timm.create_model(name, pretrained=pretrained, num_classes=0)
        except (RuntimeError, ValueError, OSError, KeyError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(f"the image encoder timm/{name} cannot be loaded ({reason})") from None
        self._network.to(device).eval()
        self._device = device
        self._settings = timm.data.resolve_data_config({}, model=self._network)
        self._transform: Any = timm.data.create_transform(**self._settings, is_training=False)

    @cached_property
    def identity(self) -> str:
        """Digest of the weights, and the preparation of images."""
        return f"timm {sorted(self._settings.items())} {weights_digest(self._network)}"

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self._network.num_features)

    def prepare(self, image: Image.Image) -> Float32[ndarray, "..."]:
        """Return the image as the model was trained on it."""
        return np.asarray(self._transform(image).numpy(), dtype=np.float32)

    @torch.inference_mode()
    def encode(self, prepared: Float32[ndarray, "n ..."]) -> Float32[ndarray, "n dim"]:
        """Return one vector per prepared image."""
        vectors = self._network(torch.from_numpy(prepared).to(self._device))
        return np.asarray(vectors.float().cpu().numpy(), dtype=np.float32)
