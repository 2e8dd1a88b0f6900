"""Arrays from files of unknown quality; reading them never runs code."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from jaxtyping import Bool, Shaped
from numpy import ndarray
from torch import Tensor

from flatrec.data.tables.malformed import reading


def read_array(path: Path) -> Shaped[ndarray, "..."]:
    """Read a numpy array from ``.npy`` or a tensor from ``.pt``; code in the file is never run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: malformed, pickled objects, or not a single array.
    """
    if path.suffix == ".pt":
        # torch warns about an unusual pickle before it refuses it; the refusal is enough.
        with (
            reading(path, "a single PyTorch tensor (other objects are refused: they could run code)"),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            return to_numpy(torch.load(path, map_location="cpu", weights_only=True))
    with (
        reading(path, "a single .npy array (pickled objects are refused: they could run code)"),
        path.open("rb") as file,
    ):
        array = np.load(file, allow_pickle=False)
        if not isinstance(array, ndarray):
            raise ValueError("it holds several arrays")
        return array


def mask_file(folder: Path, modality: str) -> Path:
    """Return the path of the flags of a modality, which are False for an item without it."""
    return folder / f"{modality}_mask.npy"


def read_mask(features: Path, shape: tuple[int, ...]) -> Bool[ndarray, "n_rows"] | None:
    """Read the flags of the rows beside a file of features ``MODALITY_feat.npy`` or ``.pt``; None if there are none.

    Raises:
        ValueError: the file is malformed, or does not hold one flag per row.
    """
    modality = features.stem.removesuffix("_feat")
    file = mask_file(features.parent, modality)
    if modality == features.stem or not file.is_file():
        return None
    present = read_array(file)
    if present.dtype != np.bool_ or present.shape != shape[:1]:
        raise ValueError(
            f"{file} must hold one true or false per row of {features.name}, of shape {shape[:1]}, "
            f"but has shape {present.shape} and type {present.dtype}"
        )
    return present


def read_tensors(path: Path) -> dict[str, Shaped[ndarray, "..."]]:
    """Read the arrays of a ``.safetensors`` file by key.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: malformed.
    """
    with reading(path, "a safetensors file"):
        return {key: to_numpy(tensor) for key, tensor in safetensors.torch.load_file(path).items()}


def to_numpy(tensor: object) -> Shaped[ndarray, "..."]:
    """Return a dense tensor as an array; half precisions become float32.

    Raises:
        TypeError: not a dense tensor.
    """
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided:
        raise TypeError(f"it holds {type(tensor).__name__} instead of a dense tensor")
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
