"""BM3 compared with stored numbers of its release."""

from flatrec.models import BM3
from tests.models.reference.checks import Checks
from tests.models.reference.shared import EMBEDDINGS, feature_tables, norm_adj, numbered
from tests.models.reference.stored import Adapter, Place

ADAPTER = Adapter(
    make=lambda dataset, there: BM3(
        dataset,
        BM3.Config(
            embedding_dim=there["embedding_size"],
            n_layers=there["n_layers"],
            dropout=there["dropout"],
            reg_weight=there["reg_weight"],
            modality_weight=there["cl_weight"],
        ),
    ),
    places=lambda case: {
        **EMBEDDINGS(case),
        **feature_tables(),
        **numbered("{name}_trs", "projections.{number}"),
        "predictor.weight": Place("predictor.weight"),
        "predictor.bias": Place("predictor.bias"),
    },
    terms={
        "graph/users": "ui",
        "graph/items": "iu",
        "modalities/across_text": "t",
        "modalities/across_image": "v",
        "modalities/within_text": "tt",
        "modalities/within_image": "vv",
        "norms": "reg",
    },
    graphs=norm_adj,
)


class TestBM3(Checks):
    adapter = ADAPTER
