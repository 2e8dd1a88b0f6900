"""Item-kNN: items bought by the same users."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy import sparse
from torch import Tensor

from flatrec.data.dataset import Dataset
from flatrec.models.base import Baseline, ModelConfig
from flatrec.utils.ranges import NonNegativeFloat, PositiveInt

BLOCK_ROWS = 1024  # item rows whose similarities are dense at once


class ItemKNN(Baseline):
    """Item-based collaborative filtering (Deshpande & Karypis, TOIS 2004, https://doi.org/10.1145/963770.963776).

    sim(i, j) = |users of both| / (sqrt(|users of i| |users of j|) + shrink); a row keeps its ``n_neighbors`` largest;
    score(u, i) = sum over the items j of u of sim(j, i).

    Example:
        >>> from flatrec.testing import block_dataset
        >>> data = block_dataset()
        >>> ItemKNN(data).scores(torch.tensor([0, 1])).shape == (2, data.n_items)
        True
    """

    class Config(ModelConfig):
        """Settings of ItemKNN.

        Args:
            n_neighbors: number of similar items that are stored per item.
            shrinkage: damps similarities that rest on few users.
        """

        n_neighbors: PositiveInt = 100
        shrinkage: NonNegativeFloat = 10.0

    config: Config

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.bought = dataset.interactions.matrix("train")
        by_item = sparse.csr_array(self.bought.T)
        starts = range(0, dataset.n_items, BLOCK_ROWS)
        blocks = [
            _similar(by_item, start, min(self.config.n_neighbors, dataset.n_items), self.config.shrinkage)
            for start in starts
        ]
        self.similarities = sparse.csr_array(sparse.vstack(blocks))

    def scores(self, users: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        """Summed similarities to what each user bought."""
        block = self.bought[users.cpu().numpy()] @ self.similarities
        return torch.from_numpy(block.toarray())

    def item_similarities(self, item: int) -> Float[Tensor, "n_items"]:
        """The stored similarities of the item, and 1 for the item itself."""
        row = torch.from_numpy(self.similarities[[item]].toarray()[0])
        row[item] = 1
        return row


def _similar(by_item: sparse.csr_array, start: int, neighbors: int, shrink: float) -> sparse.csr_array:
    """Rows ``start`` to ``start + BLOCK_ROWS`` of the similarity matrix, without the diagonal."""
    counts = np.diff(by_item.indptr).astype(np.float32)
    together = (by_item[start : start + BLOCK_ROWS] @ by_item.T).toarray()
    norms = np.sqrt(np.outer(counts[start : start + BLOCK_ROWS], counts)) + shrink
    dense = torch.from_numpy(np.divide(together, norms, out=np.zeros_like(together), where=norms > 0))
    dense.diagonal(start).zero_()
    values, columns = dense.topk(neighbors, dim=1)
    rows = torch.arange(len(dense)).repeat_interleave(neighbors)
    entries = (values.flatten().numpy(), (rows.numpy(), columns.flatten().numpy()))
    block = sparse.csr_array(entries, shape=(len(dense), dense.shape[1]))
    block.eliminate_zeros()
    return block
