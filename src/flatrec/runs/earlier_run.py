"""An earlier run as a later one may start from it: its parameters, and whose rows they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from flatrec.config import Experiment, SplitSettings
from flatrec.data.dataset import Dataset
from flatrec.data.vocabulary import Vocabulary
from flatrec.models import BASELINES
from flatrec.runs import run_dir
from flatrec.training import checkpoint
from flatrec.training.trainer import CHECKPOINT, best_parameters

Load = Callable[[str, SplitSettings], Dataset]  # reads the data that a run names


@dataclass(frozen=True, eq=False)
class EarlierRun:
    """The parameters of a finished run at its kept epoch.

    Args:
        folder: the folder of the run.
        identity: the digest of the run, by which it is told from others wherever its folder is.
        model: the name of its model.
        users: the ids of its users in the order of the rows of its parameters.
        items: the same for its items.
        modalities: the names of the modalities of its items.
        parameters: the state of its model by name.
    """

    folder: Path
    identity: str
    model: str
    users: Vocabulary
    items: Vocabulary
    modalities: frozenset[str]
    parameters: Mapping[str, Tensor]


def read_earlier_run(folder: Path, load: Load) -> EarlierRun:
    """Return a finished run from its folder; its data are read only if the folder holds no recommender.

    Raises:
        FileNotFoundError: the folder holds no finished run, or neither a recommender nor the data are there.
        ValueError: the folder is damaged, the run is of a baseline, or its data have changed and it holds no
            recommender.
    """
    run_dir.read_result(folder)
    recorded = run_dir.read_experiment(folder)
    if recorded.model.name in BASELINES:
        raise ValueError(f"{folder} is a run of {recorded.model.name}, which has no parameters to start from")
    saved = checkpoint.load(folder / CHECKPOINT)
    users, items, modalities = run_ids(folder, recorded, load)
    return EarlierRun(
        folder=folder,
        identity=run_dir.recorded_identity(folder),
        model=recorded.model.name,
        users=users,
        items=items,
        modalities=modalities,
        parameters=best_parameters(saved),
    )


def run_ids(folder: Path, recorded: Experiment, load: Load) -> tuple[Vocabulary, Vocabulary, frozenset[str]]:
    """Return the ids of users and items in the order in which a run was trained on them, and its modalities.

    Raises:
        FileNotFoundError: the data of the run are gone.
        ValueError: they have changed.
    """
    dataset = load(recorded.data, recorded.split)
    run_dir.check_data(folder, dataset)
    return dataset.users, dataset.items, frozenset(dataset.features)
