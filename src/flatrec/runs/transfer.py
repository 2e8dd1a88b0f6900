"""Parameters of an earlier run for a model on other data, by the ids of users and items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from flatrec.data.dataset import Dataset
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.trained_ids import RowsById
from flatrec.models import Baseline, Model
from flatrec.registry.objects import model_component
from flatrec.runs import run_dir
from flatrec.runs.earlier_run import EarlierRun, Load, read_earlier_run
from flatrec.runs.parameter_rows import parameter_owners
from flatrec.runs.warm_start import RowCounts, WarmStart, check_same_start, read_warm_start
from flatrec.testing.owners import Owner, Owners
from flatrec.training.checkpoint import tensors_digest
from flatrec.utils import user_classes
from flatrec.utils.messages import shortlist


@dataclass(frozen=True, eq=False)
class _Rows:
    """The indices of the rows that two runs share, in each of them."""

    before: Int64[Tensor, "n_shared"]
    now: Int64[Tensor, "n_shared"]
    n_before: int
    n_now: int

    @property
    def counts(self) -> RowCounts:
        return RowCounts(len(self.now), self.n_now - len(self.now), self.n_before - len(self.before))


def take_parameters(
    run: Path | None, out: Path | None, model: Model | Baseline, dataset: Dataset, *, resume: bool, load: Load
) -> WarmStart | None:
    """Give a model the parameters with which its run begins, where these are not its own initial ones.

    Args:
        run: the folder of the run to start from; None for no other than the one that the run in ``out`` began from.
        out: the folder of the run; None if there is none.
        model: the model that is to be trained; it is changed.
        dataset: the data that it was made from.
        resume: whether the run in ``out`` goes on. Its folder then holds all that is needed, and ``run`` may be gone.
        load: reads the data that a run names.

    Raises:
        FileNotFoundError: ``run`` holds no finished run.
        ValueError: that run has another model, or the run in ``out`` began in another way.
    """
    if resume and out is not None and run_dir.has_run(out):
        start = read_warm_start(out)
        if run is not None:
            check_same_start(out, start, run, run_dir.recorded_identity(run) if run_dir.has_run(run) else None)
        return start
    if run is None:
        return None
    if not isinstance(model, Model):
        raise ValueError(f"a baseline has no parameters, so that it cannot start from {run}; leave out --init-from")
    return transfer(model, dataset, read_earlier_run(run, load))


def transfer(model: Model, dataset: Dataset, earlier: EarlierRun) -> WarmStart:
    """Give a model the parameters of an earlier run, as far as they are for the same users, items and maps.

    Args:
        model: the model that is to be trained; it is changed.
        dataset: the data that it was made from.
        earlier: the run whose parameters are taken.

    Raises:
        ValueError: the earlier run has another model, other modalities or embeddings of another width; or it shares
            neither a user nor an item; or what the rows of the model are cannot be told.
    """
    _check_model(model, dataset, earlier)
    told = parameter_owners(model, dataset)
    rows = _all_rows(dataset, earlier)
    parameters = dict(model.named_parameters())
    values: dict[str, Tensor | None] = {}
    for name, parameter in parameters.items():
        try:
            values[name] = _taken(parameter.detach(), earlier.parameters.get(name), told[name], rows)
        except ValueError as error:
            raise ValueError(f"the parameter {name} of {earlier.folder} is {error}") from None
    with torch.no_grad():
        for name, value in values.items():
            if value is not None:
                parameters[name].copy_(value)
    return WarmStart(
        run=str(earlier.folder.resolve()),
        identity=earlier.identity,
        users=rows["users"].counts,
        items=rows["items"].counts,
        initial=tuple(name for name, value in values.items() if value is None),
        values=tensors_digest(model.state_dict()),
    )


def _taken(value: Tensor, before: Tensor | None, told: Owners | None, rows: Mapping[Owner, _Rows]) -> Tensor | None:
    """Return the value of a parameter with what the earlier run has for it; None if it has nothing that fits."""
    if told is None or before is None:
        return None
    owned = [(place, rows[owner]) for place, owner in enumerate(told) if owner is not None]
    expected = list(value.shape)
    for place, shared in owned:
        expected[place] = shared.n_before
    if before.shape == torch.Size(expected) and before.dtype == value.dtype:
        return _scattered(value.clone(), before.to(value.device), owned)
    if owned:
        raise ValueError(
            f"{tuple(before.shape)} of {before.dtype} instead of {tuple(expected)} of {value.dtype}; use the settings "
            "of that run, such as its model.embedding_dim, or train without --init-from"
        )
    return None


def _scattered(value: Tensor, before: Tensor, owned: list[tuple[int, _Rows]]) -> Tensor:
    """Return a value into which the shared rows of another were copied, along each of some dimensions."""
    if not owned:
        return before.clone()
    (place, rows), *others = owned
    now, earlier = rows.now.to(value.device), rows.before.to(value.device)
    shared = _scattered(value.index_select(place, now), before.index_select(place, earlier), others)
    return value.index_copy_(place, now, shared)


def _all_rows(dataset: Dataset, earlier: EarlierRun) -> dict[Owner, _Rows]:
    users, items = _shared(earlier.ids.users, dataset.users), _shared(earlier.ids.items, dataset.items)
    if not len(users.now) and not len(items.now):
        raise ValueError(
            f"{dataset.name!r} shares neither a user nor an item with {earlier.folder}, so there is nothing to start "
            "from; train without --init-from"
        )
    both = _Rows(
        before=torch.cat([users.before, items.before + users.n_before]),
        now=torch.cat([users.now, items.now + users.n_now]),
        n_before=users.n_before + items.n_before,
        n_now=users.n_now + items.n_now,
    )
    return {"users": users, "items": items, "nodes": both}


def _shared(before: RowsById, now: Vocabulary) -> _Rows:
    indices = [(before.rows[name], index) for index, name in enumerate(now) if name in before.rows]
    columns = torch.tensor(indices, dtype=torch.int64).reshape(-1, 2)
    return _Rows(columns[:, 0], columns[:, 1], before.total, len(now))


def _check_model(model: Model, dataset: Dataset, earlier: EarlierRun) -> None:
    name = model_component(model).name
    if user_classes.parsed(name).class_name != user_classes.parsed(earlier.model).class_name:
        raise ValueError(
            f"{earlier.folder} is a run of {user_classes.short(earlier.model)}, whose parameters "
            f"{user_classes.short(name)} cannot start from; name a run of the same model, or train without --init-from"
        )
    if model.MODALITIES != "none" and (now := frozenset(dataset.features)) != earlier.ids.modalities:
        raise ValueError(
            f"{earlier.folder} was trained with the modalities {shortlist(sorted(earlier.ids.modalities))}, and the "
            f"data now have {shortlist(sorted(now))}, so that its maps of features do not belong to these; give the "
            "data the same modalities, or train without --init-from"
        )
