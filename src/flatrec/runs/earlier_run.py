"""An earlier run as a later one may start from it: its parameters, and whose rows they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from flatrec.config import SplitSettings
from flatrec.data.dataset import Dataset
from flatrec.inference.storage import has_recommender
from flatrec.inference.trained_ids import TrainedIds, read_trained_ids
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
        ids: whose rows its parameters have.
        parameters: the state of its model by name.
    """

    folder: Path
    identity: str
    model: str
    ids: TrainedIds
    parameters: Mapping[str, Tensor]


def read_earlier_run(folder: Path, load: Load) -> EarlierRun:
    """Return a finished run from its folder.

    Ids are read from the recommender in the folder; only if there is none, the data of the run are needed.

    Raises:
        FileNotFoundError: the folder holds no finished run, or neither a recommender nor the data are there.
        ValueError: the folder is damaged, the run is of a baseline, or its data have changed and it holds no
            recommender.
    """
    run_dir.read_result(folder)
    recorded = run_dir.read_experiment(folder)
    if recorded.model.name in BASELINES:
        raise ValueError(f"{folder} is a run of {recorded.model.name}, which has no parameters to start from")
    identity = run_dir.recorded_identity(folder)
    saved = checkpoint.load(folder / CHECKPOINT)
    if has_recommender(folder):
        ids = read_trained_ids(folder)
        if ids.run != identity:
            raise ValueError(f"the recommender in {folder} belongs to another run; train again with --overwrite")
    else:
        dataset = load(recorded.data, recorded.split)
        run_dir.check_data(folder, dataset)
        ids = TrainedIds.of(dataset)
    return EarlierRun(
        folder=folder,
        identity=identity,
        model=recorded.model.name,
        ids=ids,
        parameters=best_parameters(saved),
    )
