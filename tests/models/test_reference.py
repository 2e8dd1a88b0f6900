"""Numbers that public implementations gave, compared with what the models here give for the same input.

The numbers lie outside the repository: see their README for equations, sources and tolerances. Set FLATREC_REFERENCE
to a folder that holds a folder a set, each with <model>.npz and <model>.json. A further model is one more row of
ADAPTERS.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.data.features import checked
from flatrec.data.ids import Ids
from flatrec.data.interactions import Interactions
from flatrec.graphs.interaction import normalised_graph, training_graph
from flatrec.graphs.similarity import neighbour_matrix
from flatrec.models import FREEDOM, LightGCN
from flatrec.models.losses import bpr, norm_penalty, rows

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / os.environ.get("FLATREC_REFERENCE", "../shared/reference")
GRAPH = 1e-6


def lightgcn_components(model, encoded, batch):
    n_users = model.sizes[0]
    return {
        "bpr": bpr(*rows(encoded.nodes, batch, n_users)),
        "reg": norm_penalty(*rows(model.nodes, batch, n_users)),
    }


def freedom_components(model, encoded, batch):
    users, positives, negatives = rows(encoded.nodes, batch, model.sizes[0])
    modalities = {
        f"bpr_{name}": bpr(users, table[batch.positives], table[batch.negatives])
        for name, table in encoded.parts.items()
    }
    return {"bpr": bpr(users, positives, negatives), **modalities}


def freedom_graphs(model, dataset, settings):
    parts = {
        f"item_item_{name}": neighbour_matrix(one.values, settings["knn_k"]) for name, one in dataset.features.items()
    }
    return {"norm_adj": model.graph.coo(), "item_item": model.item_graph.coo(), **parts}


def thin_freedom(model, dataset, users, items):
    model.epoch_graph = normalised_graph(dataset.interactions, users, items)
    return {"train_norm_adj": model.epoch_graph.coo()}


@dataclass(frozen=True)
class Adapter:
    """How a model here answers to one there.

    ``parameters`` maps each of our parameters to theirs, stacked row upon row; ``thin`` puts in the edges that the
    original drew. The tolerances are those of the README: largest absolute difference of representations and of
    scores, relative difference of losses, and of gradients by norm.
    """

    make: Callable
    parameters: Mapping[str, tuple[str, ...]]
    components: Callable
    graphs: Callable
    thin: Callable | None = None
    representation: float = 1e-6
    score: float = 1e-6
    loss: float = 1e-6
    gradient: float = 1e-5


ADAPTERS = {
    "lightgcn": Adapter(
        make=lambda dataset, there: LightGCN(
            dataset, dim=there["embedding_size"], layers=there["n_layers"], penalty=there["reg_weight"]
        ),
        parameters={"nodes": ("embedding_dict.user_emb", "embedding_dict.item_emb")},
        components=lightgcn_components,
        graphs=lambda model, *_: {"norm_adj": model.graph.coo()},
    ),
    "freedom": Adapter(
        make=lambda dataset, there: FREEDOM(
            dataset,
            dim=there["embedding_size"],
            layers=there["n_ui_layers"],
            item_layers=there["n_mm_layers"],
            neighbours=there["knn_k"],
            image_weight=there["mm_image_weight"],
            modality_weight=there["reg_weight"],
            thinning=there["dropout"],
        ),
        parameters={
            "nodes": ("user_embedding.weight", "item_id_embedding.weight"),
            "features.0": ("image_embedding.weight",),
            "features.1": ("text_embedding.weight",),
            "projections.0.weight": ("image_trs.weight",),
            "projections.0.bias": ("image_trs.bias",),
            "projections.1.weight": ("text_trs.weight",),
            "projections.1.bias": ("text_trs.bias",),
        },
        components=freedom_components,
        graphs=freedom_graphs,
        thin=thin_freedom,
    ),
}


class Case:
    """One file of numbers, and our model with its parameters."""

    def __init__(self, path, adapter):
        with np.load(path) as there:
            self.there = dict(there)
        self.settings = json.loads(path.with_suffix(".json").read_text())["hyper_parameters"]
        self.adapter = adapter
        self.dataset = dataset(self.there)
        self.model = adapter.make(self.dataset, self.settings)
        state = {
            ours: torch.cat([torch.from_numpy(self.there[f"param/{one}"]) for one in theirs])
            for ours, theirs in adapter.parameters.items()
        }
        self.model.load_state_dict(state, strict=True)
        self.batch = Batch(*(torch.from_numpy(self.there[f"batch/{name}"]) for name in ("users", "pos", "neg")))

    def thin(self, prefix):
        """Put in the stored draw, unless the variant or the model goes without."""
        if prefix or self.adapter.thin is None:
            return {}
        users, items = (self.there[f"thinned/{name}"].astype(np.int32) for name in ("user", "item"))
        return self.adapter.thin(self.model, self.dataset, users, items)

    def matrix(self, name):
        row, column, values, shape = (self.there[f"graph/{name}/{part}"] for part in ("row", "col", "val", "shape"))
        return sparse.coo_array((values, (row, column)), shape=tuple(shape)).toarray()


def dataset(there):
    n_users, n_items = int(there["meta/n_users"]), int(there["meta/n_items"])
    users, items = (there[f"train/{name}"].astype(np.int32) for name in ("user", "item"))
    return Dataset(
        "reference",
        Interactions(users, items, np.zeros(len(users), np.int8), n_users, n_items),
        Ids("user", [str(number) for number in range(n_users)]),
        Ids("item", [str(number) for number in range(n_items)]),
        {name: checked(there[f"feat/{name}"], n_items, name) for name in ("image", "text")},
    )


FILES = [path for path in sorted(FOLDER.glob("*/*.npz")) if path.stem in ADAPTERS]
ABSENT = pytest.param(
    None, marks=pytest.mark.skip(reason=f"no reference numbers in {FOLDER}; set FLATREC_REFERENCE"), id="absent"
)


@pytest.fixture(params=[pytest.param(path, id=f"{path.parent.name}-{path.stem}") for path in FILES] or [ABSENT])
def case(request):
    return Case(request.param, ADAPTERS[request.param.stem])


@pytest.fixture(params=["", "nodrop/"], ids=["thinned", "full"])
def variant(case, request):
    """A prefix under which the file holds training numbers, its graph put in."""
    if f"{request.param}loss/total" not in case.there:
        pytest.skip("this model has no such variant")
    case.thin(request.param)
    return request.param


def close(ours, theirs, tolerance):
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=0, atol=tolerance)


@pytest.mark.skipif(not FILES, reason="no reference numbers")
def test_every_set_has_every_model():
    expected = {(path.parent, name) for path in FILES for name in ADAPTERS}
    assert {(path.parent, path.stem) for path in FILES} == expected


def test_graphs(case):
    ours = case.adapter.graphs(case.model, case.dataset, case.settings) | case.thin("")
    theirs = {name.split("/")[1] for name in case.there if name.startswith("graph/") and name.endswith("/shape")}
    assert set(ours) == theirs
    for name, graph in ours.items():
        np.testing.assert_allclose(graph.toarray(), case.matrix(name), rtol=0, atol=GRAPH, err_msg=name)
        assert graph.nnz == len(case.there[f"graph/{name}/val"]), name


def test_weights_that_thinning_draws_by(case):
    if "graph/edge_sampling_weight" not in case.there:
        pytest.skip("this model does not thin")
    users, items = case.there["train/user"], case.there["train/item"]
    entries = training_graph(case.dataset.interactions).coo().toarray()[users, items + case.dataset.n_users]
    np.testing.assert_allclose(entries, case.there["graph/edge_sampling_weight"], rtol=0, atol=GRAPH)


def test_representations_and_scores_in_evaluation(case, variant):  # noqa: ARG001 - the training graph must not matter
    users, items = case.model.eval().representations(case.model.encode())
    close(users, case.there["out/user"], case.adapter.representation)
    close(items, case.there["out/item"], case.adapter.representation)
    close(users @ items.T, case.there["out/scores"], case.adapter.score)


def test_representations_in_training(case, variant):
    if f"{variant}train_out/user" not in case.there:
        pytest.skip("this model trains on what it ranks by")
    users, items = case.model.train().representations(case.model.encode())
    close(users, case.there[f"{variant}train_out/user"], case.adapter.representation)
    close(items, case.there[f"{variant}train_out/item"], case.adapter.representation)


def test_loss_and_each_of_its_components(case, variant):
    encoded = case.model.train().encode()
    ours = case.adapter.components(case.model, encoded, case.batch)
    ours["total"] = case.model.loss(encoded, case.batch)
    theirs = {name.removeprefix(f"{variant}loss/") for name in case.there if name.startswith(f"{variant}loss/")}
    assert set(ours) == theirs
    for name, value in ours.items():
        assert value.item() == pytest.approx(float(case.there[f"{variant}loss/{name}"]), rel=case.adapter.loss), name


def test_gradient_of_every_parameter(case, variant):
    loss = case.model.train().loss(case.model.encode(), case.batch)
    names, params = zip(*case.model.named_parameters(), strict=True)
    gradients = dict(zip(names, torch.autograd.grad(loss, params, materialize_grads=True), strict=True))
    assert set(gradients) == set(case.adapter.parameters)
    for ours, theirs in case.adapter.parameters.items():
        sizes = [len(case.there[f"param/{one}"]) for one in theirs]
        for name, part in zip(theirs, gradients[ours].split(sizes), strict=True):
            # A parameter that the original does not train has no stored gradient; ours must be zero then.
            there = case.there.get(f"{variant}grad/{name}", np.zeros(part.shape, np.float32))
            error = np.linalg.norm(part.numpy() - there) / max(1e-3, np.linalg.norm(there))
            assert error <= case.adapter.gradient, name
