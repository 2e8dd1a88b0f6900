"""DRAGON compared with stored numbers of its release."""

from flatrec.models import DRAGON
from tests.models.reference.checks import Checks
from tests.models.reference.shared import drawn_user_graph, towers
from tests.models.reference.stored import Adapter, Place

ADAPTER = Adapter(
    make=lambda dataset, there: DRAGON(
        dataset,
        DRAGON.Config(
            embedding_dim=there["dim_latent"],
            hidden_dim=there["hidden"],
            n_item_layers=there["n_mm_layers"],
            n_neighbors=there["knn_k"],
            image_weight=there["mm_image_weight"],
            n_user_neighbors=there["user_graph_k"],
            reg_weight=there["reg_weight"],
        ),
    ),
    places=lambda _: {"weight_u": Place("user_weights"), **towers()},
    terms={
        "ranking": "bpr_log2",
        "squares/preference_image": "reg_preference_image",
        "squares/preference_text": "reg_preference_text",
        "squares/user_weights": "reg_weight_u",
    },
    graphs=lambda case: {"item_item": case.model.item_graph.coo()},
    prepare=drawn_user_graph,
    score=2e-5,
)


class TestDRAGON(Checks):
    adapter = ADAPTER
