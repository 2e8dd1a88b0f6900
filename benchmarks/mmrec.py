"""MMRec's own loader, model and trainer, from a local clone of the public repository, running on today's libraries.

Nothing in the clone is changed. What today's NumPy, SciPy and torch no longer have is put back at run time:

- ``numpy.float``, which NumPy removed;
- ``scipy.sparse.dok_matrix._update``, which SciPy removed;
- empty modules ``lmdb`` and ``torchvision.transforms``, which are imported to read images, and not used here;
- DRAGON's ``result_embed``, which stays a parameter on a CPU, so that torch refuses the tensor that is assigned to it.
  It becomes a plain tensor.

DRAGON wants the neighbors of every user as a file, which a script of the repository makes in hours; the file is made
here from the same counts. PyTorch Geometric runs without torch_scatter, by torch's own scatter operations.
"""

from __future__ import annotations

import os
import random
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from flatrec.data.dataset import Dataset
from flatrec.data.formats import mmrec as mmrec_format
from flatrec.graphs.cooccurrence import cooccurrence_matrix

SHARED = {
    "topk": [5, 10, 20],
    "save_recommended_topk": False,
    "learning_rate": 0.001,
    "seed": 0,
}
NEIGHBORS = 40


class MMRec:
    """One of its models with its trainer, stepping through its own batches."""

    def __init__(  # noqa: PLR0917 - where it is, and what it trains
        self, source: Path, folder: Path, model: str, settings: Mapping[str, Any], *, use_gpu: bool = False
    ) -> None:
        with _at_home(source):
            from common.trainer import Trainer  # noqa: PLC0415
            from utils.configurator import Config  # noqa: PLC0415
            from utils.dataloader import EvalDataLoader, TrainDataLoader  # noqa: PLC0415
            from utils.dataset import RecDataset  # noqa: PLC0415
            from utils.utils import get_model  # noqa: PLC0415

            given = {**SHARED, **settings, "data_path": f"{folder.parent}/", "use_gpu": use_gpu}
            config = Config(model, folder.name, {**given, "inter_file_name": next(folder.glob("*.inter")).name})
            random.seed(0)
            np.random.seed(0)  # noqa: NPY002 - it draws from the global generators
            torch.manual_seed(0)
            train, valid, _ = RecDataset(config).split()
            for part in (train, valid):
                str(part)  # counts its pairs
            self.loader = TrainDataLoader(config, train, batch_size=config["train_batch_size"], shuffle=True)
            started = perf_counter()
            self.valid = EvalDataLoader(config, valid, additional_dataset=train, batch_size=config["eval_batch_size"])
            self.seconds_to_load = perf_counter() - started
            self.loader.pretrain_setup()
            self.model = get_model(model)(config, self.loader)
            if model == "DRAGON":
                del self.model.result_embed
            self.trainer = Trainer(config, self.model)
        self.batches: Iterator[Tensor] = iter(())

    def begin(self) -> float:
        """Begin an epoch; the seconds it took."""
        started = perf_counter()
        self.model.pre_epoch_processing()
        self.loader.pr = 0
        self.batches = iter(self.loader)
        return perf_counter() - started

    def take(self, steps: int) -> float:
        """Train on so many batches of the epoch, which has them; the seconds a batch took, sampling included."""
        started = perf_counter()
        _, losses = self.trainer._train_epoch(islice(self.batches, steps), 0)
        assert len(losses) == steps
        return (perf_counter() - started) / steps

    def evaluate(self) -> tuple[dict[str, float], float]:
        """Metrics on the validation part, and the seconds they took without building the loader."""
        started = perf_counter()
        metrics = self.trainer.evaluate(self.valid)
        return metrics, perf_counter() - started


def write(dataset: Dataset, folder: Path) -> None:
    """The data set as it reads it, under a name that its settings know."""
    mmrec_format.write(dataset, folder)
    counts = cooccurrence_matrix(dataset.interactions, NEIGHBORS)
    edges = zip(counts.indptr[:-1], counts.indptr[1:], strict=True)
    neighbors = {
        user: [counts.indices[start:stop].tolist(), counts.data[start:stop].tolist()]
        for user, (start, stop) in enumerate(edges)
    }
    np.save(folder / "user_graph_dict.npy", np.array(neighbors, dtype=object), allow_pickle=True)


@contextmanager
def _at_home(source: Path) -> Iterator[None]:
    """In its folder, where it looks for its settings, with what it needs put back."""
    if "lmdb" not in sys.modules:
        np.float = float  # type: ignore[attr-defined]  # noqa: NPY001
        sparse.dok_matrix._update = lambda matrix, entries: matrix._dict.update(entries)
        for name in ("lmdb", "torchvision", "torchvision.transforms", "torchvision.transforms.functional"):
            sys.modules[name] = types.ModuleType(name)
        for name in ("pad", "resize"):
            setattr(sys.modules["torchvision.transforms.functional"], name, None)
        sys.path.insert(0, str(source / "src"))
    before = Path.cwd()
    os.chdir(source / "src")
    try:
        yield
    finally:
        os.chdir(before)
