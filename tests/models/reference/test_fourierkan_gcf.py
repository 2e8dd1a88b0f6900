"""FourierKANGCF compared with stored numbers of its release."""

from scipy import sparse

from flatrec.models import FourierKANGCF
from flatrec.ops.sddmm import Edges
from tests.models.reference.checks import Checks
from tests.models.reference.shared import dropping, halves, keep
from tests.models.reference.stored import Adapter, Place


def fourierkan_masks(case, prefix, monkeypatch):
    """Entries of the graph, then of each layer, as dropped there."""
    if prefix:
        dropping(case, node_dropout=case.there["drop/node_rate"], message_dropout=case.there["drop/message_rate"])
        entries = case.model.graph.full.coo()
        case.model.edges = Edges(entries.row, entries.col, entries.shape)
        kept = case.matrix("train_norm_adj")[entries.row, entries.col] > 0
        keep(monkeypatch, [kept, *(case.there[f"drop/keep_mask/{layer}"] for layer in range(case.model.depth))])


def fourierkan_graphs(case):
    """The entries that are left are input; their values are not."""
    whole = case.model.graph.full.coo()
    kept = case.matrix("train_norm_adj")[whole.row, whole.col] > 0
    values = whole.data[kept] / (1 - case.there["drop/node_rate"])
    left = sparse.coo_array((values, (whole.row[kept], whole.col[kept])), shape=whole.shape)
    return {"norm_adj": whole, "train_norm_adj": left}


def fourierkan_places(case):
    layers = {
        f"GNNlayers.{layer}.interActTransform.fouriercoeffs": Place(f"coefficients.{layer}")
        for layer in range(case.model.depth)
    }
    return {**halves("nodes", "user_embedding.weight", "item_embedding.weight")(case), **layers}


ADAPTER = Adapter(
    make=lambda dataset, there: FourierKANGCF(
        dataset,
        FourierKANGCF.Config(
            embedding_dim=there["embedding_size"],
            n_layers=there["n_layer"] - 1,
            grid_size=there["grid_size"],
            message_dropout=there["dropout_message"],
            node_dropout=there["dropout_node"],
            reg_weight=there["reg_weight"],
        ),
    ),
    places=fourierkan_places,
    terms={"ranking": "bpr", "norms": "reg"},
    graphs=fourierkan_graphs,
    prepare=fourierkan_masks,
    variants=("", "drop/"),
    score=2e-5,
    loss=2e-6,
    gradient=2e-5,
)


class TestFourierKANGCF(Checks):
    adapter = ADAPTER
