"""PGL compared with stored numbers of its release."""

import numpy as np
import torch

from flatrec.models import PGL
from tests.models.reference.checks import Checks
from tests.models.reference.shared import feature_tables, norm_adj, numbered, thinned
from tests.models.reference.stored import Adapter


def pgl_views(case, prefix, monkeypatch):
    """The graph as thinned there, and the entries that each of the two copies keeps."""
    thinned(case, "", monkeypatch)
    if not prefix:
        return
    for side in ("user", "item"):
        case.there[f"views/train_out/{side}"] = case.there[f"train_out/{side}"]
    keep = [
        torch.from_numpy(np.concatenate([case.there[f"views/input/keep_{side}_{copy}"] for side in ("user", "item")]))
        for copy in (1, 2)
    ]
    stream = iter(keep * 100)
    rate = case.settings["views_dropout"]
    monkeypatch.setattr("torch.nn.functional.dropout", lambda rows, *_: rows * next(stream) / (1 - rate))


ADAPTER = Adapter(
    make=lambda dataset, there: PGL(
        dataset,
        PGL.Config(
            embedding_dim=there["embedding_size"],
            n_layers=there["n_ui_layers"],
            n_item_layers=there["n_mm_layers"],
            n_neighbors=there["knn_k"],
            image_weight=there["mm_image_weight"],
            edge_dropout=1 - there["kept_share_of_edges"],
            dropout=there["dropout"],
            temperature=there["temperature"],
            contrastive_weight=there["reg_weight"],
        ),
    ),
    places=lambda _: {
        **numbered("user_{name}.weight", "preferences.{number}", parts=("",)),
        **feature_tables(),
        **numbered("{name}_trs", "projections.{number}"),
    },
    terms={"ranking": "bpr", "contrast/users": "contrastive_user", "contrast/items": "contrastive_item"},
    graphs=lambda case: {**norm_adj(case), "item_item": case.model.item_graph.coo()},
    prepare=pgl_views,
    variants=("", "views/"),
    representation=2e-6,
    score=2e-6,
    loss=2e-6,
)


class TestPGL(Checks):
    adapter = ADAPTER
