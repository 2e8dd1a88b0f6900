"""LayerGCN compared with stored numbers of its release."""

from flatrec.models import LayerGCN
from tests.models.reference.checks import Checks
from tests.models.reference.shared import CLOSE, halves, norm_adj, thinned
from tests.models.reference.stored import Adapter

ADAPTER = Adapter(
    make=lambda dataset, there: LayerGCN(
        dataset,
        LayerGCN.Config(
            embedding_dim=there["embedding_size"],
            n_layers=there["n_layers"],
            reg_weight=there["reg_weight"],
            edge_dropout=there["dropout"],
        ),
    ),
    places=halves("nodes", "user_embeddings", "item_embeddings"),
    terms={"ranking": "bpr_sum", "squares": "l2_half_sum"},
    graphs=norm_adj,
    prepare=thinned,
    variants=("", "nodrop/"),
    **CLOSE,
)


class TestLayerGCN(Checks):
    adapter = ADAPTER
