"""MENTOR compared with stored numbers of its release."""

import itertools

import torch

from flatrec.models import MENTOR
from tests.models.reference.checks import Checks
from tests.models.reference.shared import dropping, item_graphs, keep, tower, towers
from tests.models.reference.stored import MODALITIES, Adapter, Place


def mentor_inputs(case, prefix, monkeypatch):
    """Noise and masks as drawn there, which the variant without a prefix has none of; one repair in two variants."""
    switches = {
        "views": "shared" if prefix == "shared/" else "released",
        "mask_loss": "trained" if prefix == "livemask/" else "released",
    }
    case.model.config = case.model.config.model_copy(update=switches)
    if not prefix:
        monkeypatch.setattr("flatrec.models.mentor.uniform", torch.zeros_like)
        return
    dropping(case, mask_rate=case.there["noisy/rate"])
    keep(monkeypatch, [case.there[f"noisy/keep_mask/{side}"] for side in ("user", "item")])
    places = itertools.product((1, 2), MODALITIES.values(), (1, 2))
    stored = [case.there[f"noisy/noise/{name}_view{view}_hop{hop}"] for view, name, hop in places]
    drawn = itertools.cycle(torch.from_numpy(noise) for noise in stored)
    monkeypatch.setattr("flatrec.models.mentor.uniform", lambda _: next(drawn))


def mentor_places(_):
    places = {"weight_u": Place("user_weights"), "id_feat": Place("items"), **tower("id_gcn", "id_tower"), **towers()}
    places |= {f"mlp.{part}": Place(f"mask_map.{part}") for part in ("weight", "bias")}
    for view in range(2):
        places |= towers(f"{{letter}}_gcn_n{view + 1}", f"view_towers.{view}.{{number}}")
    return places


VIEWS = {
    "view1": lambda aux: aux["view_0"],
    "view2": lambda aux: aux["view_1"],
    "guide": lambda aux: aux["ids"].tile(1, 2),
    "image_only": lambda aux: aux["modality_image"].tile(1, 2),
    "text_only": lambda aux: aux["modality_text"].tile(1, 2),
}


ADAPTER = Adapter(
    make=lambda dataset, there: MENTOR(
        dataset,
        MENTOR.Config(
            embedding_dim=there["embedding_size"],
            hidden_dim=4 * there["embedding_size"],
            n_item_layers=there["n_mm_layers"],
            n_neighbors=there["knn_k"],
            image_weight=there["mm_image_weight"],
            mask_rate=there["dropout"],
            temperature=there["temp"],
            alignment_weight=there["align_weight"],
            mask_weight=there["mask_weight_f"],
            contrastive_weight=there["mask_weight_g"],
            reg_weight=there["reg_weight"],
            views="released",
            mask_loss="released",
        ),
    ),
    places=mentor_places,
    terms={
        "ranking": "bpr_log2",
        "alignment": "align",
        "mask/users": "mask_user",
        "mask/items": "mask_item",
        "contrast/users": "graph_user",
        "contrast/items": "graph_item",
        "squares/preference_image": "reg_image",
        "squares/preference_text": "reg_text",
        "squares/user_weights": "reg_weight_u",
    },
    graphs=item_graphs,
    prepare=mentor_inputs,
    middle=VIEWS,
    variants=("", "noisy/", "shared/", "livemask/"),
    representation=6e-6,
    score=2e-5,
    loss=2e-6,
    gradient=2e-5,
)


class TestMENTOR(Checks):
    adapter = ADAPTER
