"""NGCF compared with stored numbers of its release."""

from flatrec.models import NGCF
from tests.models.reference.checks import Checks
from tests.models.reference.shared import halves, norm_adj
from tests.models.reference.stored import Adapter, Place


def ngcf_places(case):
    places = dict(halves("nodes", "user_embedding.weight", "item_embedding.weight")(case))
    for layer in range(len(case.settings["hidden_size_list"])):
        for part in ("weight", "bias"):
            places[f"GNNlayers.{layer}.linear.{part}"] = Place(f"sums.{layer}.{part}")
            places[f"GNNlayers.{layer}.interActTransform.{part}"] = Place(f"products.{layer}.{part}")
    return places


ADAPTER = Adapter(
    make=lambda dataset, there: NGCF(
        dataset,
        NGCF.Config(
            embedding_dim=there["embedding_size"],
            hidden_dims=tuple(there["hidden_size_list"]),
            message_dropout=there["message_dropout"],
            node_dropout=there["node_dropout"],
            reg_weight=there["reg_weight"],
        ),
    ),
    places=ngcf_places,
    terms={"ranking": "bpr", "norms": "reg"},
    graphs=norm_adj,
)


class TestNGCF(Checks):
    adapter = ADAPTER
