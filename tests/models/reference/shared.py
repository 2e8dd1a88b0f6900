"""What the models of several files have in common: places of parameters, graphs, and inputs of variants."""

import itertools

import numpy as np
import torch
from scipy import sparse

from flatrec.graphs.interaction import normalized_graph
from flatrec.graphs.knn import knn_matrix
from flatrec.ops.spmm import Graph
from tests.models.reference.stored import MODALITIES, Place


def norm_adj(case):
    return {"norm_adj": case.model.graph.full.coo()}


def halves(name, users, items):
    """Both tables of theirs are one table here."""
    return lambda case: {
        users: Place(name, stop=case.dataset.n_users),
        items: Place(name, start=case.dataset.n_users),
    }


def numbered(pattern, ours, parts=("weight", "bias")):
    """One module a modality, called by its letter there and by its number here."""
    return {
        f"{pattern.format(letter=letter, name=name)}{f'.{part}' if part else ''}": Place(
            f"{ours.format(number=number)}{f'.{part}' if part else ''}"
        )
        for number, (letter, name) in enumerate(MODALITIES.items())
        for part in parts
    }


def feature_tables():
    return numbered("{name}_embedding.weight", "features.tables.{number}.values", parts=("",))


def item_graphs(case):
    k = case.settings["knn_k"]
    parts = {f"item_item_{name}": knn_matrix(one.values, k) for name, one in case.dataset.features.items()}
    return {"item_item": case.model.item_graph.coo(), **parts}


def thinned(case, prefix, monkeypatch):  # noqa: ARG001
    if prefix or "thinned/user" not in case.there:
        return {}
    users, items = (case.there[f"thinned/{name}"].astype(np.int32) for name in ("user", "item"))
    case.model.graph.dropped = normalized_graph(case.dataset.interactions, users, items)
    return {"train_norm_adj": case.model.graph.dropped.coo()}


def drawn_user_graph(case, prefix, monkeypatch):  # noqa: ARG001
    """The neighbors as drawn there, repetitions included."""
    index, weight = (case.there[f"user_graph/{name}"] for name in ("index", "weight"))
    rows = np.repeat(np.arange(len(index)), index.shape[1])
    n_users = case.dataset.n_users
    matrix = sparse.csr_array((weight.ravel(), (rows, index.ravel())), shape=(n_users, n_users))
    case.model.user_graph.whole = case.model.user_graph.drawn = Graph(matrix, symmetric=False)


def tower(there, ours):
    names = {"MLP.weight": "wide.weight", "MLP.bias": "wide.bias", "MLP_1.weight": "narrow.weight"}
    names |= {"MLP_1.bias": "narrow.bias", "preference": "preference"}
    return {f"{there}.{theirs}": Place(f"{ours}.{name}") for theirs, name in names.items()}


def towers(pattern="{letter}_gcn", ours="towers.{number}"):
    """One tower a modality."""
    return {
        theirs: place
        for number, letter in enumerate(MODALITIES)
        for theirs, place in tower(pattern.format(letter=letter), ours.format(number=number)).items()
    }


def cosine_graphs(case):
    graphs = zip(case.model.features.names, case.model.item_graphs, strict=True)
    return {**norm_adj(case), **{f"item_item_{name}": graph.coo() for name, graph in graphs}}


def gated_places(case):
    """What MGCN and SMORE have in common."""
    return {
        **EMBEDDINGS(case),
        **feature_tables(),
        **numbered("{name}_trs", "projections.{number}"),
        **numbered("gate_{letter}.0", "purifiers.{number}"),
        **numbered("gate_{name}_prefer.0", "preference_gates.{number}"),
    }


def keep(monkeypatch, masks):
    """Dropout that keeps the entries of these masks, one after the other, and then from the first again."""
    drawn = itertools.cycle(torch.from_numpy(mask) for mask in masks)
    monkeypatch.setattr(
        "torch.nn.functional.dropout",
        lambda rows, rate, training=True: rows * next(drawn) / (1 - rate) if training else rows,
    )


def dropping(case, **rates):
    """The case's model with these rates, as floats."""
    case.model.config = case.model.config.model_copy(update={name: float(rate) for name, rate in rates.items()})


EMBEDDINGS = halves("nodes", "user_embedding.weight", "item_id_embedding.weight")
SIDES = {"content": lambda aux: aux["content"], "side": lambda aux: aux["side"]}
CONTRASTED = {"ranking": "bpr", "squares": "emb_weighted", "contrast/users": "cl_user", "contrast/items": "cl_item"}
CLOSE = {"representation": 1e-6, "score": 1e-6, "gradient": 1e-5}
TIGHT = {**CLOSE, "loss": 2e-6}
