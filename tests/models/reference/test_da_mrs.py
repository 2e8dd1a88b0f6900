"""DAMRS compared with stored numbers of its release."""

import numpy as np
import torch
from scipy import sparse

from flatrec.graphs.agreement import row_degree_graph, with_self_loops
from flatrec.graphs.cooccurrence import item_cooccurrence_matrix
from flatrec.models import DAMRS, da_mrs
from flatrec.ops.normalize import l2_normalize
from tests.models.reference.checks import Checks
from tests.models.reference.shared import EMBEDDINGS, norm_adj
from tests.models.reference.stored import Adapter, close


def stored_session(case, prefix, monkeypatch):  # noqa: ARG001
    """The session graph there: which of equally frequent items are neighbors is open."""
    items, neighbors, counts = (case.there[f"input/session_{name}"] for name in ("item", "neighbour", "count"))
    matrix = sparse.csr_array((counts.astype(np.float32), (items, neighbors)), shape=(case.dataset.n_items,) * 2)
    case.model.item_graphs[-1] = row_degree_graph(with_self_loops(matrix))


def da_mrs_graphs(case):
    stored_session(case, "", None)
    names = [f"item_item_{name.removeprefix('modality_')}" for name in case.model.views]
    return norm_adj(case) | {name: graph.coo() for name, graph in zip(names, case.model.item_graphs, strict=True)}


ADAPTER = Adapter(
    make=lambda dataset, there: DAMRS(
        dataset,
        DAMRS.Config(
            embedding_dim=there["embedding_size"],
            n_layers=there["n_ui_layers"],
            n_item_layers=there["n_mm_layers"],
            n_neighbors=there["knn_k"],
            n_session_neighbors=there["session_topk"],
            min_common_users=there["minimum_common_users"],
            n_pseudo_labels=there["pseudo_labels"],
            temperature=there["temperature"],
            neighbor_weight=there["neighbor_weight"],
            agreement_weight=there["kl_weight"],
        ),
    ),
    places=EMBEDDINGS,
    terms={
        "ranking": "weighted_bpr",
        "neighbors/modality_image": "neighbour_image",
        "neighbors/modality_text": "neighbour_text",
        "neighbors/session": "neighbour_session",
        "agreement": "kl",
    },
    graphs=da_mrs_graphs,
    prepare=stored_session,
    representation=1e-6,
    score=2e-6,
    loss=2e-6,
    gradient=2e-4,
    rounded={f"neighbour_{name}": 1e-4 for name in ("image", "text", "session")},
)


class TestDAMRS(Checks):
    adapter = ADAPTER

    def test_each_graph_and_the_weights_of_interactions(self, prepared):
        encoded = prepared.model.encode()
        for name in ("image", "text"):
            close(encoded.aux[f"modality_{name}"], prepared.there[f"mid/h_{name}"], 2e-6)
        close(encoded.aux["session"], prepared.there["mid/h_session"], 2e-6)
        close(encoded.aux["feedback"], prepared.there["mid/graph_item"], 2e-6)
        users = encoded.node_embeddings[prepared.batch.users]
        units = [l2_normalize(encoded.aux[name]) for name in prepared.model.views]
        belief, doubt = da_mrs._weights(users, units, prepared.batch)
        close(belief, prepared.there["mid/positive_weight"], 2e-6)
        close(doubt, prepared.there["mid/negative_weight"], 2e-6)

    def test_labels_up_to_ties(self, prepared):
        encoded = prepared.model.encode()
        units = [l2_normalize(encoded.aux[name]).detach() for name in prepared.model.views]
        items = torch.from_numpy(prepared.there["mid/batch_items"])
        chances = [(unit[items] @ unit.T).softmax(dim=1) for unit in units]
        labels = da_mrs.pseudo_labels(units, items, prepared.settings["pseudo_labels"])
        for view, chance, (joint, single) in zip(prepared.model.views, chances, labels, strict=True):
            name = view.removeprefix("modality_")
            total = torch.stack(chances).sum(dim=0) + chance
            for kind, ours, values in (("joint", joint, total), ("single", single, chance)):
                theirs = torch.from_numpy(prepared.there[f"mid/{kind}_positive_{name}"])
                found, expected = (values.gather(1, one).sort(dim=1).values for one in (ours, theirs))
                torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)

    def test_session_neighbors_are_as_frequent(self, prepared):
        counts = item_cooccurrence_matrix(
            prepared.dataset.interactions, prepared.settings["session_topk"], np.arange(prepared.dataset.n_items)
        ).tocoo()
        often = counts.data >= prepared.settings["minimum_common_users"]
        items, frequencies = (prepared.there[f"input/session_{name}"] for name in ("item", "count"))
        ours = sorted(zip(counts.row[often].tolist(), counts.data[often].tolist(), strict=True))
        assert ours == sorted(zip(items.tolist(), np.float32(frequencies).tolist(), strict=True))
