"""SMORE compared with stored numbers of its release."""

from flatrec.models import SMORE
from tests.models.reference.checks import Checks
from tests.models.reference.shared import (
    CONTRASTED,
    SIDES,
    TIGHT,
    cosine_graphs,
    dropping,
    gated_places,
    keep,
    numbered,
)
from tests.models.reference.stored import Adapter, Place


def smore_masks(case, prefix, monkeypatch):
    """Preferences as dropped there."""
    if prefix:
        dropping(case, preference_dropout=case.there["drop/rate"])
        keep(monkeypatch, [case.there[f"drop/keep_mask/{name}"] for name in ("fusion", "image", "text")])


def smore_graphs(case):
    return {**cosine_graphs(case), "item_item_fusion": case.model.fusion_graph.coo()}


def smore_places(case):
    return {
        **gated_places(case),
        **numbered("query_{letter}.0", "queries.{number}.0"),
        **numbered("query_{letter}.2", "queries.{number}.2", parts=("weight",)),
        **numbered("{name}_complex_weight", "filters.{number}", parts=("",)),
        "fusion_complex_weight": Place("fusion_filter"),
        **{f"gate_f.0.{part}": Place(f"fusion_purifier.{part}") for part in ("weight", "bias")},
        **{f"gate_fusion_prefer.0.{part}": Place(f"fusion_gate.{part}") for part in ("weight", "bias")},
    }


ADAPTER = Adapter(
    make=lambda dataset, there: SMORE(
        dataset,
        SMORE.Config(
            embedding_dim=there["embedding_size"],
            n_layers=there["n_ui_layers"],
            n_item_layers=there["n_layers"],
            n_image_neighbors=there["image_knn_k"],
            n_neighbors=there["text_knn_k"],
            contrastive_weight=there["cl_loss"],
            reg_weight=there["reg_weight"],
            reg_rows=there["train_batch_size"],
            preference_dropout=there["dropout_rate"],
        ),
    ),
    places=smore_places,
    terms=CONTRASTED,
    middle=SIDES,
    graphs=smore_graphs,
    prepare=smore_masks,
    variants=("", "drop/"),
    weighted=frozenset({"squares"}),
    **TIGHT,
)


class TestSMORE(Checks):
    adapter = ADAPTER
