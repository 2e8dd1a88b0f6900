"""DualGNN: users learn from their neighbors which modality counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch

from flatrec.data.dataset import Dataset
from flatrec.models.base import Cold, Encoded
from flatrec.models.preferences import PreferenceModel, preference_weights
from flatrec.ops.columns import Columns, whole_rows
from flatrec.ops.propagation import propagate


class DualGNN(PreferenceModel):
    """DualGNN (Wang et al., IEEE TMM 2021, https://doi.org/10.1109/TMM.2021.3138298).

    With M the symmetrically normalized user-item graph and unit() bringing rows to length 1; for every modality m, P_m
    holds one preference vector per user and F_m the features:

        x_m = unit([P_m ; lrelu(F_m W1 + b1) W2 + b2])
        X_m = x_m + M x_m + ... + M^L x_m
        item i = sum over m of X_m[i]
        c_u = sum over m of w_u[m] X_m[u], w_u free weights
        user u = c_u + sum over neighbors v of a_uv c_v
        loss = -mean log2 sigma(margin) + reg_weight * (squares of P, w and w')

    Neighbors of a user are those with the most common items, a is a softmax over the counts of common items, to
    which ``weighted_edges`` adds no weights. The squares are the mean of P_m^2 over the batch's users, added up over m,
    the mean of w^2 over all users and that of w'^2 over all items, where w' are weights per item that occur nowhere
    else.

    As in the released code: logarithms to base 2; w starts as a softmax and is trained without constraint; a user with
    fewer than ``n_user_neighbors`` neighbors has random ones repeated, drawn again each epoch, each from the list as it
    has grown by then.

    Deviations: the release fuses users in place, so that the first modality's X is overwritten by the sum of all
    before it is weighted: ``fusion="released"`` does that, ``"intended"`` is the paper's. It ranks by what the last
    training forward left behind, and moves the batch's item indices in place: here every evaluation propagates again,
    over the user graph without repetitions. Layers that influence nothing are left out. Degrees have an offset of 1e-7,
    below what float32 shows.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = DualGNN(data, DualGNN.Config(embedding_dim=8, hidden_dim=16))
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0

    Raises:
        ValueError: the data set has no features.
    """

    class Config(PreferenceModel.Config):
        """Settings of DualGNN.

        Args:
            fusion: whether users are fused as the paper has it (``intended``) or in place (``released``).
        """

        fusion: Literal["intended", "released"] = "intended"

    config: Config
    COLUMNS: ClassVar[Mapping[str, Columns]] = {
        "*_weights": Columns(0),
        "towers.*.preference": Columns(1),
        "towers.*": Columns(0),
    }
    COLD: ClassVar[Cold] = "features"

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.item_weights = preference_weights(dataset.n_items, len(self.features))

    def encode(self) -> Encoded:
        """All modalities propagated at once, side by side; then users over the user graph."""
        inputs = [tower(table) for tower, table in zip(self.towers, self.features(), strict=True)]
        nodes = propagate(
            self.graph.current(),
            torch.cat(inputs, dim=1),
            self.config.n_layers,
            reduce="sum",
            dropout=self.config.message_dropout,
            training=self.training,
        )
        users, items = nodes.unflatten(1, (len(inputs), -1)).split(self.sizes)
        if self.config.fusion == "released":
            users = torch.cat([users.sum(dim=1, keepdim=True), users[:, 1:]], dim=1)
        own = (whole_rows(self.user_weights)[:, :, None] * users).sum(dim=1)
        return Encoded(torch.cat([own + self.user_graph(own), items.sum(dim=1)]))
