"""COHESION compared with stored numbers of its release."""

from flatrec.models import COHESION
from tests.models.reference.checks import Checks
from tests.models.reference.shared import drawn_user_graph, item_graphs, norm_adj, thinned, tower, towers
from tests.models.reference.stored import Adapter, Place


def cohesion_inputs(case, prefix, monkeypatch):
    """The neighbors as drawn there; edges are dropped, or the id tower is trained, in one variant each."""
    drawn_user_graph(case, prefix, monkeypatch)
    if prefix == "pruned/":
        thinned(case, "", monkeypatch)
    id_tower = "trained" if prefix == "idgrad/" else "released"
    case.model.config = case.model.config.model_copy(update={"id_tower": id_tower})


ADAPTER = Adapter(
    make=lambda dataset, there: COHESION(
        dataset,
        COHESION.Config(
            embedding_dim=there["embedding_size"],
            hidden_dim=4 * there["embedding_size"],
            n_layers=there["num_layer"],
            n_item_layers=there["n_mm_layers"],
            n_neighbors=there["knn_k"],
            image_weight=there["mm_image_weight"],
            n_user_neighbors=there["user_graph_k"],
            reg_weight=there["reg_weight"],
            edge_dropout=there["dropout"],
            user_weights="released",
        ),
    ),
    places=lambda _: {
        "weight_u": Place("user_weights"),
        "id_feat": Place("items"),
        **tower("id_gcn", "id_tower"),
        **towers(),
    },
    terms={
        "ranking": "bpr_log2",
        "squares/preference_image": "reg_image",
        "squares/preference_text": "reg_text",
        "squares/user_weights": "reg_weight_u",
    },
    graphs=lambda case: {**norm_adj(case), **item_graphs(case)},
    prepare=cohesion_inputs,
    variants=("", "pruned/", "idgrad/"),
    score=2e-5,
    loss=2e-6,
    gradient=2e-5,
)


class TestCOHESION(Checks):
    adapter = ADAPTER
