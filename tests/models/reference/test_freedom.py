"""FREEDOM compared with stored numbers of its release."""

from flatrec.models import FREEDOM
from tests.models.reference.checks import Checks
from tests.models.reference.shared import CLOSE, EMBEDDINGS, feature_tables, item_graphs, norm_adj, numbered, thinned
from tests.models.reference.stored import Adapter

ADAPTER = Adapter(
    make=lambda dataset, there: FREEDOM(
        dataset,
        FREEDOM.Config(
            embedding_dim=there["embedding_size"],
            n_layers=there["n_ui_layers"],
            n_item_layers=there["n_mm_layers"],
            n_neighbors=there["knn_k"],
            image_weight=there["mm_image_weight"],
            modality_weight=there["reg_weight"],
            features="trained",
            edge_dropout=there["dropout"],
        ),
    ),
    places=lambda case: {
        **EMBEDDINGS(case),
        **feature_tables(),
        **numbered("{name}_trs.weight", "projections.{number}.weight", parts=("",)),
    },
    terms={"ranking": "bpr", "bpr_image": "bpr_image", "bpr_text": "bpr_text"},
    graphs=lambda case: {**norm_adj(case), **item_graphs(case)},
    prepare=thinned,
    variants=("", "nodrop/"),
    cancelling=frozenset({"image_trs.bias", "text_trs.bias"}),
    **CLOSE,
)


class TestFREEDOM(Checks):
    adapter = ADAPTER
