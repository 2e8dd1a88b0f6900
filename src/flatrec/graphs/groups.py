"""Graphs of groups: between groups and what belongs to them, and between groups that overlap."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from torch import nn

from flatrec.data.groups import Groups
from flatrec.data.interactions import Interactions
from flatrec.graphs.interaction import row_normalized


class GroupGraphs(nn.Module):
    """Averages between the G groups and the nodes, which are users, then items; each row sums to 1 or is empty.

    Rows and columns of groups are in the order of ``groups.indices``.

    Args:
        groups: who is a member of which group.
        interactions: the items of groups, by the training split.

    Attributes:
        members: the members of a group, (G, n_nodes).
        items: the items of a group in training, (G, n_nodes).
        nodes: the groups that a person is in, or that have an item, (n_nodes, G).
        overlap: the groups that a group overlaps with, itself included, by :func:`jaccard`, (G, G).
    """

    def __init__(self, groups: Groups, interactions: Interactions) -> None:
        super().__init__()
        blocks = sparse.block_array([[groups.matrix(), None], [None, interactions.matrix("train")]], format="csr")
        members, items = (blocks[start + groups.indices] for start in (0, groups.n_users))
        both = sparse.csr_array(members + items)
        self.members = row_normalized(members)
        self.items = row_normalized(items)
        self.nodes = row_normalized(sparse.csr_array(both.T))
        self.overlap = row_normalized(jaccard(both))


def jaccard(sets: sparse.csr_array) -> sparse.csr_array:
    """Return the Jaccard index of every two rows of a binary matrix that share a column: |both| / |either|.

    O(pairs of rows that share a column) memory, with no loop over rows.
    """
    sizes = np.diff(sets.indptr)
    shared = sparse.coo_array(sets.astype(np.float64) @ sets.T.astype(np.float64))
    either = sizes[shared.row] + sizes[shared.col] - shared.data
    return sparse.csr_array((shared.data / either, (shared.row, shared.col)), shape=shared.shape)
