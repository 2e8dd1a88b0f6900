"""The feature matrices that a model reads, with items that lack a modality filled in by one policy."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TypeAlias, cast

import torch
from jaxtyping import Bool, Float, Float32
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.ops.normalize import l2_normalize_

# mean: the mean row of the items that have the modality; zero: zeros; learned: one trained row, at first that mean.
# A modality that no item has is zero under all three. Trained tables begin like this.
MissingModality: TypeAlias = Literal["mean", "zero", "learned"]


class FeatureTables(nn.Module):
    """One matrix per modality, in the order of the modalities' names.

    Frozen tables are no part of the model's state: they come from the data set, also when a model is loaded. A model
    reads its features by calling the tables, and nowhere else, so that :meth:`replaced` reaches all that it reads.

    Args:
        dataset: gives the features.
        missing_modality: what an item that lacks a modality gets; see :data:`MissingModality`.
        trained: whether the tables are parameters, beginning as the features.
        normalized: the modalities whose rows are brought to length 1; rows of zeros stay.

    Example:
        >>> from flatrec.testing import block_dataset
        >>> tables = FeatureTables(block_dataset(modalities=("text", "image")))
        >>> tables.names, [table.shape[1] for table in tables()]
        (('image', 'text'), [5, 4])

    Raises:
        ValueError: the data set has no features.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        missing_modality: MissingModality = "mean",
        trained: bool = False,
        normalized: Collection[str] = (),
    ) -> None:
        super().__init__()
        require_features(dataset)
        self.missing_modality = missing_modality
        self.names = tuple(sorted(dataset.features))
        self.widths = tuple(dataset.features[name].width for name in self.names)
        self.tables = nn.ModuleList(
            _Table(
                dataset.features[name],
                missing_modality=missing_modality,
                trained=trained,
                normalized=name in normalized,
            )
            for name in self.names
        )
        self._given: tuple[Tensor, ...] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def forward(self) -> list[Float[Tensor, "n_items width"]]:
        """The matrices, every row filled."""
        return [cast(Tensor, table()) for table in self.tables] if self._given is None else list(self._given)

    @contextmanager
    def replaced(self, tables: Sequence[Float[Tensor, "n_items _"]]) -> Iterator[None]:
        """Inside the block other matrices are read, such as noisy ones; afterward the former, also when it raises.

        Args:
            tables: one per modality, in the order of ``names``; gradients flow to them. What was made of the features
                when the model was constructed, such as a graph of similar items, stays.
        """
        before, self._given = self._given, tuple(tables)
        try:
            yield
        finally:
            self._given = before


class _Table(nn.Module):
    values: Float[Tensor, "n_items width"]
    absent: Bool[Tensor, "n_items"]
    stand_in: nn.Parameter | None

    def __init__(
        self, features: Features, *, missing_modality: MissingModality, trained: bool, normalized: bool
    ) -> None:
        super().__init__()
        self.normalized = normalized
        values = torch.tensor(_filled(features, missing_modality))
        values = l2_normalize_(values) if normalized else values
        absent = torch.tensor(~features.present)
        if trained:
            self.values = nn.Parameter(values)
        else:
            self.register_buffer("values", values, persistent=False)
        self.register_buffer("absent", absent, persistent=False)
        learned = missing_modality == "learned" and bool(absent.any()) and not bool(absent.all())
        self.register_parameter("stand_in", nn.Parameter(values[absent][0].clone()) if learned else None)

    def forward(self) -> Float[Tensor, "n_items width"]:
        if self.stand_in is None:
            return self.values
        row = F.normalize(self.stand_in, dim=0) if self.normalized else self.stand_in
        return torch.where(self.absent[:, None], row, self.values)


def require_features(dataset: Dataset) -> None:
    """Make sure that a data set has features of at least one modality.

    Raises:
        ValueError: it has none.
    """
    if not dataset.features:
        raise ValueError(
            f"this model needs item features of at least one modality, but data set {dataset.name!r} has none; "
            "add features, or choose a model without modalities such as lightgcn"
        )


def filled_features(dataset: Dataset, missing: MissingModality) -> dict[str, Float32[ndarray, "n_items width"]]:
    """The matrices as they stand before training, by name; what graphs of similar items are built from."""
    return {name: _filled(one, missing) for name, one in dataset.features.items()}


def _filled(features: Features, missing: MissingModality) -> Float32[ndarray, "n_items width"]:
    return features.impute("zero" if missing == "zero" else "mean")
