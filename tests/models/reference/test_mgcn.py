"""MGCN compared with stored numbers of its release."""

from flatrec.models import MGCN
from tests.models.reference.checks import Checks
from tests.models.reference.shared import CONTRASTED, SIDES, TIGHT, cosine_graphs, gated_places
from tests.models.reference.stored import Adapter, Place


def mgcn_places(case):
    query = {"0.weight": "0.weight", "0.bias": "0.bias", "2.weight": "2.weight"}
    return {
        **gated_places(case),
        **{f"query_common.{theirs}": Place(f"query.{ours}") for theirs, ours in query.items()},
    }


ADAPTER = Adapter(
    make=lambda dataset, there: MGCN(
        dataset,
        MGCN.Config(
            embedding_dim=there["embedding_size"],
            n_layers=there["n_ui_layers"],
            n_item_layers=there["n_layers"],
            n_neighbors=there["knn_k"],
            contrastive_weight=there["cl_loss"],
            reg_weight=there["reg_weight"],
            reg_rows=there["train_batch_size"],
        ),
    ),
    places=mgcn_places,
    terms=CONTRASTED,
    middle=SIDES,
    graphs=cosine_graphs,
    weighted=frozenset({"squares"}),
    **TIGHT,
)


class TestMGCN(Checks):
    adapter = ADAPTER
