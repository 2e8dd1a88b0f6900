"""LATTICE compared with stored numbers of its release."""

from flatrec.models import LATTICE
from flatrec.utils import seeding
from tests.models.reference.checks import Checks
from tests.models.reference.shared import EMBEDDINGS, feature_tables, norm_adj, numbered
from tests.models.reference.stored import Adapter, Place


def lattice_step(case, prefix, monkeypatch):  # noqa: ARG001
    """The first step of an epoch, or a later one."""
    case.model.on_epoch_start(seeding.generator(0, "model", 1))
    if prefix:
        case.model.on_step_end()


def lattice_graphs(case):
    raw = {
        f"item_item_{name}_original": graph.coo()
        for name, graph in zip(case.model.features.names, case.model.raw_graphs, strict=True)
    }
    case.model.on_epoch_start(seeding.generator(0, "model", 1))
    return {**norm_adj(case), "item_item": case.model.frozen.coo(), **raw}


ADAPTER = Adapter(
    make=lambda dataset, there: LATTICE(
        dataset,
        LATTICE.Config(
            embedding_dim=there["embedding_size"],
            modality_dim=there["feat_embed_dim"],
            n_layers=len(there["weight_size"]),
            n_item_layers=there["n_layers"],
            n_neighbors=there["knn_k"],
            raw_fraction=there["lambda_coeff"],
            reg_weight=there["reg_weight"],
            reg_rows=there["train_batch_size"],
        ),
    ),
    places=lambda case: {
        "modal_weight": Place("modality_weights"),
        **EMBEDDINGS(case),
        **feature_tables(),
        **numbered("{name}_trs", "projections.{number}"),
    },
    terms={"ranking": "bpr", "squares": "emb_weighted"},
    weighted=frozenset({"squares"}),
    graphs=lattice_graphs,
    prepare=lattice_step,
    variants=("", "detached/"),
)


class TestLATTICE(Checks):
    adapter = ADAPTER
