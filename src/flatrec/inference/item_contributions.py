"""What each item adds to the vectors of its users, in models where these are sums over the user's items."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from flatrec.data.interactions import Interactions
from flatrec.graphs.interaction import DEGREE_OFFSET
from flatrec.models.base import Model
from flatrec.models.freedom import FREEDOM
from flatrec.models.lightgcn import LightGCN
from flatrec.ops.propagation import propagate


@torch.no_grad()
def item_contributions(model: Model, interactions: Interactions) -> Float[Tensor, "n_items dim"] | None:
    """Return the contributions s_j of the items in the vectors of users; None if the vectors are no such sums.

    LightGCN and FREEDOM make a user's vector by the normalized graph M, with X the embeddings of users and items:

        h_u = (x_u + sum over the user's items j of M_uj z_j) / (L + 1),  Z = X + M X + ... + M^(L-1) X
            = x_u / (L + 1) + d_u^(-1/2) (sum over the user's items j of w_uj s_j),  s_j = d_j^(-1/2) z_j / (L + 1)

    w_uj is the weight of an interaction and d the sum of a node's weights, plus 1e-7. So the score of an item i is the
    user's own part <x_u, v_i> / (L + 1), and w_uj d_u^(-1/2) <s_j, v_i> of each of the user's items.

    Args:
        model: a trained model; subclasses of the two may compute otherwise, so that they have no contributions.
        interactions: what it was trained on. Weights that its graph ignores leave no contributions.
    """
    if type(model) not in (LightGCN, FREEDOM):
        return None
    assert isinstance(model, (LightGCN, FREEDOM))
    n_layers = model.config.n_layers
    if n_layers == 0 or (interactions.weights is not None and not model.config.weighted_edges):
        return None
    sums = propagate(model.graph.full, model.nodes.detach(), n_layers - 1, reduce="sum")[model.sizes[0] :].cpu()
    degrees = torch.from_numpy(interactions.item_weights("train")) + DEGREE_OFFSET
    return (sums.double() * degrees.rsqrt()[:, None] / (n_layers + 1)).float()
