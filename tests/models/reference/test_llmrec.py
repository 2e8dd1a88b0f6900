"""LLMRec compared with stored numbers of its release."""

import json

import numpy as np
import torch

from flatrec.models import LLMRec
from tests.models.reference.checks import Checks
from tests.models.reference.shared import halves, numbered
from tests.models.reference.stored import Adapter, Place, close

ATTRIBUTES = ("year", "title", "director", "country", "language")


def make_llmrec(dataset, there, **options):
    settings = {
        "embedding_dim": there["embed_size"],
        "n_layers": len(json.loads(there["weight_size"])),
        "modality_weight": there["model_cat_rate"],
        "profile_weight": there["user_cat_rate"],
        "attribute_weight": there["item_cat_rate"],
        "modality_bpr_weight": there["mm_mf_rate"],
        "attribute_bpr_weight": there["aug_mf_rate"],
        "feature_reg_weight": there["feat_reg_decay"],
        "reg_weight": float(json.loads(there["regs"])[0]),
        "reg_rows": there["batch_size"],
        "penalty": "reciprocals",
        "prune_fraction": there["prune_loss_drop_rate"],
        "suggestion_fraction": there["aug_sample_rate"],
        "mask_fraction": there["masked_variant"]["mask_rate"],
        "restoration_weight": there["masked_variant"]["att_re_rate"],
        "restoration_exponent": there["alpha_l"],
    }
    return LLMRec(dataset, LLMRec.Config(**settings | options))


def llmrec_variant(case, prefix, monkeypatch):
    """The variant's settings, and the users and masks that were drawn there."""
    replaced = {"penalty": "squares", "reg_weight": case.settings["l2_and_denoise_variant"]["decay"]}
    options = {
        "l2/": replaced,
        "denoise/": {**replaced, "prune": "largest"},
        "maskedmse/": {"restoration": "squares"},
    }.get(prefix, {})
    case.load(make_llmrec(case.dataset, case.settings, **options))
    if not prefix.startswith("masked"):
        case.model.config = case.model.config.model_copy(update={"mask_fraction": 0.0})
        case.model.loss_weights = case.model._weights()
    case.renamed = {"squares": "l2_reg_weighted" if options.get("penalty") else "reciprocal_reg_weighted"}
    for side in ("user", "item"):
        case.there[f"maskedmse/train_out/{side}"] = case.there[f"masked/train_out/{side}"]
    drawn = case.there["input/aug_batch_users"]
    positions = [int(np.flatnonzero(case.batch.users.numpy() == user)[0]) for user in drawn]
    monkeypatch.setattr("flatrec.models.augmented.drawn", lambda *_: torch.tensor(positions))
    masks = {case.dataset.n_users: "users", case.dataset.n_items: "items"}
    monkeypatch.setattr(
        "flatrec.models.llmrec.drawn",
        lambda size, count, _: torch.from_numpy(case.there[f"masked/input/masked_{masks[size]}"])[:count],
    )


ADAPTER = Adapter(
    make=make_llmrec,
    places=lambda case: {
        **halves("nodes", "user_id_embedding.weight", "item_id_embedding.weight")(case),
        **numbered("{name}_trans", "projections.{number}"),
        **{
            f"{theirs}.{part}": Place(f"{ours}.{part}")
            for theirs, ours in {
                "user_trans": "profile_map",
                "item_trans": "attribute_map",
                "decoder.u_net.0": "profile_decoder",
                "decoder.i_net.0": "attribute_decoder",
            }.items()
            for part in ("weight", "bias")
        },
    },
    terms={
        "ranking": "bpr",
        "features": "feat_reg_weighted",
        "restoration/users": "restore_user",
        **{f"modalities/{name}": f"bpr_{name}" for name in ("image", "text")},
        **{f"attributes/{name}": f"bpr_attribute_{name}" for name in ATTRIBUTES},
        **{f"restoration/item_{name}": f"restore_{name}" for name in ATTRIBUTES},
    },
    graphs=lambda case: {name: graph.coo() for name, graph in zip(("ui", "iu"), case.model.graphs.full, strict=True)},
    prepare=llmrec_variant,
    variants=("", "l2/", "denoise/", "masked/", "maskedmse/"),
    weighted=frozenset({"squares", "features"}),
    partial=frozenset({"maskedmse/"}),
    representation=1e-5,
    score=5e-5,
    loss=2e-6,
)


class TestLLMRec(Checks):
    adapter = ADAPTER

    def test_every_view_of_users_and_items(self, prepared):
        parts = prepared.model.encode().aux
        names = {f"modality_{name}": name for name in ("image", "text")} | {"profiles": "profile"}
        names |= {name: name for name in parts if name.startswith("attribute_")}
        for ours, theirs in names.items():
            for side, rows in zip(("user", "item"), parts[ours].split(prepared.model.sizes), strict=True):
                close(rows, prepared.there[f"mid/{side}_{theirs}"], 5e-5)

    def test_the_extended_batch(self, prepared):
        batch = prepared.model.suggested.extended(prepared.batch, prepared.settings["aug_sample_rate"], random=True)
        for ours, theirs in zip(batch.indices, ("users", "pos", "neg"), strict=True):
            assert ours.flatten().tolist() == prepared.there[f"mid/batch_{theirs}"].tolist()
