"""LGMRec compared with stored numbers of its release."""

import torch

from flatrec.models import LGMRec
from tests.models.reference.checks import Checks
from tests.models.reference.shared import halves, norm_adj, numbered
from tests.models.reference.stored import MODALITIES, Adapter


def stored_gumbel(case, prefix, monkeypatch):
    """Noise as stored, in the order in which it is drawn; none in the variant without a prefix."""
    draws = [case.there[f"gumbel/noise/{name}_{side}"] for name in MODALITIES.values() for side in ("item", "user")]
    stream = iter(draws * 100)
    monkeypatch.setattr(
        "flatrec.models.lgmrec.gumbel",
        lambda like: torch.from_numpy(next(stream)) if prefix else torch.zeros_like(like),
    )


def lgmrec_places(case):
    return {
        **halves("nodes", "user_embedding.weight", "item_id_embedding.weight")(case),
        **numbered("item_{name}_trs", "projections.{number}", parts=("",)),
        **numbered("{letter}_hyper", "hyperedges.{number}", parts=("",)),
    }


ADAPTER = Adapter(
    make=lambda dataset, there: LGMRec(
        dataset,
        LGMRec.Config(
            embedding_dim=there["embedding_size"],
            n_layers=there["n_ui_layers"],
            n_modality_layers=there["n_mm_layers"],
            n_hyper_layers=there["n_hyper_layer"],
            n_hyperedges=there["hyper_num"],
            dropout=1 - there["keep_rate"],
            hyper_weight=there["alpha"],
            temperature=there["tau"],
            contrastive_weight=there["cl_weight"],
            reg_weight=there["reg_weight"],
        ),
    ),
    places=lgmrec_places,
    terms={
        "ranking": "bpr",
        "norms": "reg",
        "contrast/users": "hcl_user_sum",
        "contrast/items": "hcl_item_sum",
    },
    graphs=norm_adj,
    prepare=stored_gumbel,
    variants=("", "gumbel/"),
)


class TestLGMRec(Checks):
    adapter = ADAPTER
