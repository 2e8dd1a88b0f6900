"""LightGCN compared with stored numbers of its release."""

from flatrec.models import LightGCN
from tests.models.reference.checks import Checks
from tests.models.reference.shared import CLOSE, halves, norm_adj
from tests.models.reference.stored import Adapter

ADAPTER = Adapter(
    make=lambda dataset, there: LightGCN(
        dataset,
        LightGCN.Config(
            embedding_dim=there["embedding_size"], n_layers=there["n_layers"], reg_weight=there["reg_weight"]
        ),
    ),
    places=halves("nodes", "embedding_dict.user_emb", "embedding_dict.item_emb"),
    terms={"ranking": "bpr", "norms": "reg"},
    graphs=norm_adj,
    **CLOSE,
)


class TestLightGCN(Checks):
    adapter = ADAPTER
