"""Image encoders of the timm library, by model name."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray
from PIL import Image

from flatrec.content.encoders.base import require_extra
from flatrec.content.encoders.weights import digest_of


class TimmEncoder:
    """The features before the classifier of any timm model, with the model's own preparation of images.

    Args:
        name: as timm knows it, such as ``resnet50.a1_in1k``; its weights are downloaded.
        device: where it computes.
        pretrained: whether weights are fetched; without, they are random.

    Raises:
        ModuleNotFoundError: timm is not installed.
        ValueError: there is no such model, or its weights cannot be had.
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
        """Digest of the weights, and how images are prepared."""
        return f"timm {sorted(self._settings.items())} {digest_of(self._network)}"

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self._network.num_features)

    def prepare(self, image: Image.Image) -> Float32[ndarray, "..."]:
        """As the model was trained."""
        return np.asarray(self._transform(image).numpy(), dtype=np.float32)

    @torch.inference_mode()
    def encode(self, prepared: Float32[ndarray, "n ..."]) -> Float32[ndarray, "n dim"]:
        """One vector a prepared image."""
        found = self._network(torch.from_numpy(prepared).to(self._device))
        return np.asarray(found.float().cpu().numpy(), dtype=np.float32)
