"""How many operations a step of each model gives a device, counted on torch's device ``meta``.

    flatrec data shop baby-like --like baby --image-dim 4096 --text-dim 384
    python benchmarks/operations.py --data baby-like

A step is ``encode``, ``loss`` and the gradients by all parameters. Operators of flatrec count as what they consist of;
views and memory that is not filled do not count. A model that asks for the value of a number has no count.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import torch
from results import record
from steps import WITH_GROUPS
from torch.utils._python_dispatch import TorchDispatchMode

from flatrec.config import Component
from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.data.loading import load_data
from flatrec.models import MODELS, Model
from flatrec.registry.instantiate import build_model

FREE = {
    "alias", "as_strided", "detach", "empty_like", "expand", "new_empty", "permute", "promote_types", "select", "slice",
    "split", "split_with_sizes", "squeeze", "t", "transpose", "unbind", "_unsafe_view", "unsqueeze", "view",
}  # fmt: skip


class Operations(TorchDispatchMode):
    """Counts operations; a model that reads a number fails on ``meta``."""

    def __init__(self) -> None:
        super().__init__()
        self.count: int = 0

    def __torch_dispatch__(  # noqa: D105
        self,
        func: Callable[..., object],
        types: Sequence[type],  # noqa: ARG002 - the signature is torch's
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        self.count += str(func).split(".")[1] not in FREE
        return func(*args, **(kwargs or {}))


def operations(name: str, dataset: Dataset, batch_size: int) -> int | None:
    """Operations of a step; None if a size follows from values."""
    model = build_model(Component(name), dataset, seed=0)
    assert isinstance(model, Model)
    model.train().on_epoch_start(torch.Generator().manual_seed(0))
    model = model.to("meta")
    ids = torch.empty(batch_size, dtype=torch.int64, device="meta")
    batch = Batch(ids, ids, ids[:, None])
    params = [one for one in model.parameters() if one.requires_grad]
    try:
        with Operations() as counted, patch("torch.autocast", lambda *_, **__: nullcontext()):  # meta has none
            torch.autograd.grad(model.loss(model.encode(), batch), params, allow_unused=True)
    except (NotImplementedError, RuntimeError):
        return None
    return counted.count


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a JSON line a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", default=",".join(sorted(set(MODELS) - set(WITH_GROUPS))))
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    dataset = load_data(given.data)
    names = given.models.split(",")
    record(({"model": name, "operations": operations(name, dataset, given.batch_size)} for name in names), given.out)


if __name__ == "__main__":
    main()
