"""DualGNN compared with stored numbers of its release."""

from flatrec.models import DualGNN
from tests.models.reference.checks import Checks
from tests.models.reference.shared import drawn_user_graph, towers
from tests.models.reference.stored import Adapter, Place


def fused(case, prefix, monkeypatch):
    """The neighbors as drawn there, and modalities fused as released or as intended."""
    drawn_user_graph(case, prefix, monkeypatch)
    case.model.config = case.model.config.model_copy(update={"fusion": "intended" if prefix else "released"})


ADAPTER = Adapter(
    make=lambda dataset, there: DualGNN(
        dataset,
        DualGNN.Config(
            embedding_dim=there["dim_latent"],
            hidden_dim=there["hidden"],
            n_user_neighbors=there["user_graph_k"],
            reg_weight=there["reg_weight"],
        ),
    ),
    places=lambda _: {"weight_u": Place("user_weights"), "weight_i": Place("item_weights"), **towers()},
    terms={
        "ranking": "bpr_log2",
        "squares/preference_image": "reg_preference_image",
        "squares/preference_text": "reg_preference_text",
        "squares/user_weights": "reg_weight_u",
        "squares/item_weights": "reg_weight_i",
    },
    prepare=fused,
    variants=("", "intended/"),
    ranked=frozenset({"intended/"}),
    score=2e-5,
)


class TestDualGNN(Checks):
    adapter = ADAPTER
