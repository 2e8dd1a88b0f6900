"""Numbers that public implementations gave, compared with what the models here give for the same input.

The numbers lie outside the repository: see their README for equations, sources and tolerances. Set FLATREC_REFERENCE
to a folder that holds a folder a set, each with <model>.npz and <model>.json. A further model is one more row of
ADAPTERS.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.interactions import Interactions
from flatrec.data.vocabulary import Vocabulary
from flatrec.graphs.interaction import normalized_graph, training_graph
from flatrec.graphs.knn import knn_matrix
from flatrec.models import (
    BM3,
    DRAGON,
    FREEDOM,
    GRCN,
    LATTICE,
    MMGCN,
    MODELS,
    NGCF,
    VBPR,
    DualGNN,
    LayerGCN,
    LGMRec,
    LightGCN,
    SLMRec,
)
from flatrec.ops.spmm import Graph
from flatrec.utils import seeding
from tests.models.settings import KNOWN_ANSWER

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / os.environ.get("FLATREC_REFERENCE", "../shared/reference")
GRAPH = 1e-6
MODALITIES = {"v": "image", "t": "text"}


@dataclass(frozen=True)
class Place:
    """Where a parameter of theirs stands in ours: all of it, or some rows."""

    name: str
    start: int = 0
    stop: int | None = None

    def of(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return tensors[self.name][self.start : self.stop]


@dataclass(frozen=True)
class Adapter:
    """How a model here answers to one there.

    ``places`` maps each parameter of theirs to ours; what it leaves out the original never trains, or it is in
    ``cancelling``: without influence on the loss. ``prepare`` puts in the inputs of a variant, given its prefix. The
    tolerances are those of the README: largest absolute difference of representations and of scores, relative
    difference of losses, and of gradients by norm.
    """

    make: Callable
    places: Callable[["Case"], Mapping[str, Place]]
    terms: Mapping[str, str]
    graphs: Callable = lambda _: {}
    prepare: Callable = lambda *_: None
    variants: Sequence[str] = ("",)
    cancelling: frozenset[str] = frozenset()
    representation: float = 5e-6
    score: float = 1e-5
    loss: float = 1e-6
    gradient: float = 1e-4


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
    if isinstance(case.model, DualGNN):
        case.model.config = case.model.config.model_copy(update={"fusion": "intended" if prefix else "released"})


def stored_gumbel(case, prefix, monkeypatch):
    """Noise as stored, in the order in which it is drawn; none in the variant without a prefix."""
    draws = [case.there[f"gumbel/noise/{name}_{side}"] for name in MODALITIES.values() for side in ("item", "user")]
    stream = iter(draws * 100)
    monkeypatch.setattr(
        "flatrec.models.lgmrec.gumbel",
        lambda like: torch.from_numpy(next(stream)) if prefix else torch.zeros_like(like),
    )


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


def towers():
    names = {"MLP.weight": "wide.weight", "MLP.bias": "wide.bias", "MLP_1.weight": "narrow.weight"}
    names |= {"MLP_1.bias": "narrow.bias", "preference": "preference"}
    return {
        f"{letter}_gcn.{theirs}": Place(f"towers.{number}.{ours}")
        for number, letter in enumerate(MODALITIES)
        for theirs, ours in names.items()
    }


def mmgcn_places(_):
    places = {"id_embedding": Place("nodes"), "v_gcn.MLP.weight": Place("maps.image.weight")}
    places["v_gcn.MLP.bias"] = Place("maps.image.bias")
    for number, letter in enumerate(MODALITIES):
        places[f"{letter}_gcn.preference"] = Place(f"preferences.{number}")
        for layer in range(3):
            ours = f"networks.{number}.{layer}"
            places[f"{letter}_gcn.conv_embed_{layer + 1}.weight"] = Place(f"{ours}.convolution")
            for part in ("weight", "bias"):
                places[f"{letter}_gcn.linear_layer{layer + 1}.{part}"] = Place(f"{ours}.own.{part}")
                places[f"{letter}_gcn.g_layer{layer + 1}.{part}"] = Place(f"{ours}.joined.{part}")
    return places


def ngcf_places(case):
    places = dict(halves("nodes", "user_embedding.weight", "item_embedding.weight")(case))
    for layer in range(len(case.settings["hidden_size_list"])):
        for part in ("weight", "bias"):
            places[f"GNNlayers.{layer}.linear.{part}"] = Place(f"sums.{layer}.{part}")
            places[f"GNNlayers.{layer}.interActTransform.{part}"] = Place(f"products.{layer}.{part}")
    return places


def slmrec_places(case):
    names = {
        "v_dense": "maps.0",
        "t_dense": "maps.1",
        "embedding_item_after_GCN": "fuse_items",
        "embedding_user_after_GCN": "fuse_users",
        "g_i_iv": "anchors.0",
        "g_v_iv": "partners.0",
        "g_iv_iva": "bridge",
        "g_iva_ivat": "anchors.1",
        "g_t_ivat": "partners.1",
    }
    maps = {
        f"{theirs}.{part}": Place(f"{ours}.{part}") for theirs, ours in names.items() for part in ("weight", "bias")
    }
    return {**halves("nodes", "embedding_user.weight", "embedding_item.weight")(case), **maps}


def vbpr_places(case):
    """Features stand text first there, and by name here."""
    texts = case.there["feat/text"].shape[1]
    for name in [one for one in case.there if one.endswith("item_linear.weight")]:
        case.there[name] = np.roll(case.there[name], -texts, axis=1)
    return {
        "u_embedding": Place("users"),
        "i_embedding": Place("items"),
        "item_linear.weight": Place("projection.weight"),
        "item_linear.bias": Place("projection.bias"),
    }


def lgmrec_places(case):
    return {
        **halves("nodes", "user_embedding.weight", "item_id_embedding.weight")(case),
        **numbered("item_{name}_trs", "projections.{number}", parts=("",)),
        **numbered("{letter}_hyper", "hyperedges.{number}", parts=("",)),
    }


EMBEDDINGS = halves("nodes", "user_embedding.weight", "item_id_embedding.weight")
CLOSE = {"representation": 1e-6, "score": 1e-6, "gradient": 1e-5}

ADAPTERS = {
    "lightgcn": Adapter(
        make=lambda dataset, there: LightGCN(
            dataset,
            LightGCN.Config(
                embedding_dim=there["embedding_size"], n_layers=there["n_layers"], reg_weight=there["reg_weight"]
            ),
        ),
        places=halves("nodes", "embedding_dict.user_emb", "embedding_dict.item_emb"),
        terms={"ranking": "bpr", "norms": "reg"},
        graphs=norm_adj,
        **CLOSE,
    ),
    "freedom": Adapter(
        make=lambda dataset, there: FREEDOM(
            dataset,
            FREEDOM.Config(
                embedding_dim=there["embedding_size"],
                n_layers=there["n_ui_layers"],
                n_item_layers=there["n_mm_layers"],
                n_neighbors=there["knn_k"],
                image_weight=there["mm_image_weight"],
                modality_weight=there["reg_weight"],
                features="trained",
                edge_dropout=there["dropout"],
            ),
        ),
        places=lambda case: {
            **EMBEDDINGS(case),
            **feature_tables(),
            **numbered("{name}_trs.weight", "projections.{number}.weight", parts=("",)),
        },
        terms={"ranking": "bpr", "bpr_image": "bpr_image", "bpr_text": "bpr_text"},
        graphs=lambda case: {**norm_adj(case), **item_graphs(case)},
        prepare=thinned,
        variants=("", "nodrop/"),
        cancelling=frozenset({"image_trs.bias", "text_trs.bias"}),
        **CLOSE,
    ),
    "layergcn": Adapter(
        make=lambda dataset, there: LayerGCN(
            dataset,
            LayerGCN.Config(
                embedding_dim=there["embedding_size"],
                n_layers=there["n_layers"],
                reg_weight=there["reg_weight"],
                edge_dropout=there["dropout"],
            ),
        ),
        places=halves("nodes", "user_embeddings", "item_embeddings"),
        terms={"ranking": "bpr_sum", "squares": "l2_half_sum"},
        graphs=norm_adj,
        prepare=thinned,
        variants=("", "nodrop/"),
        **CLOSE,
    ),
    "ngcf": Adapter(
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
    ),
    "vbpr": Adapter(
        make=lambda dataset, there: VBPR(
            dataset, VBPR.Config(embedding_dim=there["embedding_size"], reg_weight=there["reg_weight"])
        ),
        places=vbpr_places,
        terms={"ranking": "bpr", "norms": "reg"},
    ),
    "mmgcn": Adapter(
        make=lambda dataset, there: MMGCN(
            dataset, MMGCN.Config(embedding_dim=there["embedding_size"], reg_weight=there["reg_weight"])
        ),
        places=mmgcn_places,
        terms={"ranking": "bpr", "squares/ids": "reg_id", "squares/preferences": "reg_preference_image"},
        representation=1e-6,
        score=1e-6,
        gradient=3e-4,
    ),
    "grcn": Adapter(
        make=lambda dataset, there: GRCN(
            dataset,
            GRCN.Config(
                embedding_dim=there["embedding_size"],
                modality_dim=there["latent_embedding"],
                reg_weight=there["reg_weight"],
            ),
        ),
        places=lambda _: {
            "id_gcn.id_embedding": Place("nodes"),
            "model_specific_conf": Place("confidence"),
            **numbered("{letter}_gcn.preference", "preferences.{number}", parts=("",)),
            **numbered("{letter}_gcn.MLP", "projections.{number}"),
        },
        terms={
            "ranking": "bpr",
            "squares/ids": "reg_id",
            "squares/preferences": "reg_preference_image_all",
            "squares/preference_image": "reg_preference_image_batch",
            "squares/preference_text": "reg_preference_text_batch",
        },
        score=2e-5,
    ),
    "dualgnn": Adapter(
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
        prepare=drawn_user_graph,
        variants=("", "intended/"),
        score=2e-5,
    ),
    "lattice": Adapter(
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
        graphs=lattice_graphs,
        prepare=lattice_step,
        variants=("", "detached/"),
    ),
    "slmrec": Adapter(
        make=lambda dataset, there: SLMRec(
            dataset,
            SLMRec.Config(
                embedding_dim=there["recdim"],
                n_layers=there["layer_num"],
                temperature=there["temp"],
                alignment_temperature=there["ssl_temp"],
                alignment_weight=there["ssl_alpha"],
            ),
        ),
        places=slmrec_places,
        terms={"main": "main_infonce", "alignment/image": "fac_image", "alignment/text": "fac_text"},
        graphs=norm_adj,
    ),
    "bm3": Adapter(
        make=lambda dataset, there: BM3(
            dataset,
            BM3.Config(
                embedding_dim=there["embedding_size"],
                n_layers=there["n_layers"],
                dropout=there["dropout"],
                reg_weight=there["reg_weight"],
                modality_weight=there["cl_weight"],
            ),
        ),
        places=lambda case: {
            **EMBEDDINGS(case),
            **feature_tables(),
            **numbered("{name}_trs", "projections.{number}"),
            "predictor.weight": Place("predictor.weight"),
            "predictor.bias": Place("predictor.bias"),
        },
        terms={
            "graph/users": "ui",
            "graph/items": "iu",
            "modalities/across_text": "t",
            "modalities/across_image": "v",
            "modalities/within_text": "tt",
            "modalities/within_image": "vv",
            "norms": "reg",
        },
        graphs=norm_adj,
    ),
    "dragon": Adapter(
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
    ),
    "lgmrec": Adapter(
        make=lambda dataset, there: LGMRec(
            dataset,
            LGMRec.Config(
                embedding_dim=there["embedding_size"],
                n_layers=there["n_ui_layers"],
                n_modality_layers=there["n_mm_layers"],
                n_hyper_layers=there["n_hyper_layer"],
                n_hyperedges=there["hyper_num"],
                dropout=1 - there["keep_rate"],
                hyper_weight=there["alpha"],
                temperature=there["tau"],
                contrastive_weight=there["cl_weight"],
                reg_weight=there["reg_weight"],
            ),
        ),
        places=lgmrec_places,
        terms={
            "ranking": "bpr",
            "norms": "reg",
            "contrast/users": "hcl_user_sum",
            "contrast/items": "hcl_item_sum",
        },
        graphs=norm_adj,
        prepare=stored_gumbel,
        variants=("", "gumbel/"),
    ),
}


class Case:
    """One file of numbers, and our model with its parameters."""

    def __init__(self, path, adapter):
        with np.load(path) as there:
            self.there = dict(there)
        facts = json.loads(path.with_suffix(".json").read_text())
        self.settings = facts["hyper_parameters"]
        self.untrained = set(facts["run"]["parameters_without_gradient"])
        self.adapter = adapter
        self.dataset = dataset(self.there)
        self.model = adapter.make(self.dataset, self.settings)
        self.places = adapter.places(self)
        state = {name: torch.full_like(one, torch.nan) for name, one in self.model.named_parameters()}
        for theirs, place in self.places.items():
            target = place.of(state)
            target.copy_(torch.from_numpy(self.there[f"param/{theirs}"]).view_as(target))
        assert all(one.isfinite().all() for one in state.values()), "a parameter of ours has no origin"
        self.model.load_state_dict(state, strict=False)
        users, positives, negatives = (
            torch.from_numpy(self.there[f"batch/{name}"]) for name in ("users", "pos", "neg")
        )
        self.batch = Batch(users, positives, negatives[:, None])

    def matrix(self, name):
        row, column, values, shape = (self.there[f"graph/{name}/{part}"] for part in ("row", "col", "val", "shape"))
        return sparse.coo_array((values, (row, column)), shape=tuple(shape)).toarray()


def dataset(there):
    n_users, n_items = int(there["meta/n_users"]), int(there["meta/n_items"])
    users, items = (there[f"train/{name}"].astype(np.int32) for name in ("user", "item"))
    return Dataset(
        "reference",
        Interactions(users, items, np.zeros(len(users), np.int8), n_users, n_items),
        Vocabulary("user", [str(number) for number in range(n_users)]),
        Vocabulary("item", [str(number) for number in range(n_items)]),
        {name: Features.from_array(there[f"feat/{name}"], n_items, name) for name in ("image", "text")},
    )


def variants(path):
    """The prefixes under which a file holds losses."""
    with np.load(path) as there:
        return sorted(name.removesuffix("loss/total") for name in there.files if name.endswith("loss/total"))


FILES = [path for path in sorted(FOLDER.glob("*/*.npz")) if path.stem in ADAPTERS]
CASES = [
    pytest.param((path, variant), id=f"{path.parent.name}-{path.stem}-{variant or 'main/'}"[:-1])
    for path in FILES
    for variant in variants(path)
]
ABSENT = pytest.param(
    None, marks=pytest.mark.skip(reason=f"no reference numbers in {FOLDER}; set FLATREC_REFERENCE"), id="absent"
)


@pytest.fixture(params=CASES or [ABSENT])
def prefixed(request, monkeypatch):
    """A case with the inputs of one of its variants put in, and the prefix of that variant's numbers."""
    path, prefix = request.param
    case = Case(path, ADAPTERS[path.stem])
    case.adapter.prepare(case, prefix, monkeypatch)
    return case, prefix


@pytest.fixture(params=[pytest.param(path, id=f"{path.parent.name}-{path.stem}") for path in FILES] or [ABSENT])
def case(request):
    return Case(request.param, ADAPTERS[request.param.stem])


def close(ours, theirs, tolerance):
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=0, atol=tolerance)


@pytest.mark.skipif(not FILES, reason="no reference numbers")
def test_the_sets_have_every_model_and_no_variant_is_passed_over():
    assert {path.stem for path in FILES} == set(ADAPTERS)
    for path in FILES:
        assert set(variants(path)) <= set(ADAPTERS[path.stem].variants), path


def test_a_folder_that_was_named_holds_numbers():
    assert FILES or "FLATREC_REFERENCE" not in os.environ, f"no reference numbers in {FOLDER}"


def test_every_model_has_reference_numbers_or_a_known_answer():
    assert set(ADAPTERS) | KNOWN_ANSWER == set(MODELS)


def test_graphs(case):
    ours = case.adapter.graphs(case) | thinned(case, "", None)
    theirs = {name.split("/")[1] for name in case.there if name.startswith("graph/") and name.endswith("/shape")}
    assert set(ours) == theirs
    for name, graph in ours.items():
        np.testing.assert_allclose(graph.toarray(), case.matrix(name), rtol=0, atol=GRAPH, err_msg=name)
        assert graph.nnz == len(case.there[f"graph/{name}/val"]), name
    if "thinned/user" in case.there:
        users, items = case.there["train/user"], case.there["train/item"]
        drawn_by = training_graph(case.dataset.interactions).coo().toarray()[users, items + case.dataset.n_users]
        np.testing.assert_allclose(drawn_by, case.there["graph/edge_sampling_weight"], rtol=0, atol=GRAPH)


def test_representations_and_scores_in_evaluation(prefixed):
    # The graph of a training epoch, and noise, must not matter.
    case, prefix = prefixed
    theirs = prefix if prefix == "intended/" else ""
    users, items = case.model.eval().user_item_embeddings(case.model.encode())
    close(users, case.there[f"{theirs}out/user"], case.adapter.representation)
    close(items, case.there[f"{theirs}out/item"], case.adapter.representation)
    close(users @ items.T, case.there[f"{theirs}out/scores"], case.adapter.score)


def test_representations_in_training(prefixed):
    case, prefix = prefixed
    # What has no training numbers of its own trains on what it ranks by; with noise the release ranks by noise too.
    name = next(one for one in (f"{prefix}train_out", f"{prefix}out", "out") if f"{one}/user" in case.there)
    users, items = case.model.train().user_item_embeddings(case.model.encode())
    close(users, case.there[f"{name}/user"], case.adapter.representation)
    close(items, case.there[f"{name}/item"], case.adapter.representation)


def test_loss_and_each_of_its_terms(prefixed):
    case, prefix = prefixed
    encoded = case.model.train().encode()
    weight = case.settings["reg_weight"] if isinstance(case.model, LATTICE) else 1  # stored weighted there
    terms = case.model.loss_terms(encoded, case.batch)
    ours = {case.adapter.terms[name]: value * (weight if name == "squares" else 1) for name, value in terms.items()}
    ours["total"] = case.model.loss(encoded, case.batch)
    theirs = {name.removeprefix(f"{prefix}loss/") for name in case.there if name.startswith(f"{prefix}loss/")}
    assert set(ours) == theirs
    for name, value in ours.items():
        assert value.item() == pytest.approx(float(case.there[f"{prefix}loss/{name}"]), rel=case.adapter.loss), name


def test_gradient_of_every_parameter(prefixed):
    case, prefix = prefixed
    loss = case.model.train().loss(case.model.encode(), case.batch)
    names, params = zip(*case.model.named_parameters(), strict=True)
    gradients = dict(zip(names, torch.autograd.grad(loss, params, materialize_grads=True), strict=True))
    for theirs, place in case.places.items():
        ours = place.of(gradients).numpy()
        # A parameter that the original does not train has no stored gradient; ours must be zero then.
        there = case.there.get(f"{prefix}grad/{theirs}", np.zeros(ours.shape, np.float32)).reshape(ours.shape)
        error = np.linalg.norm(ours - there) / max(1e-3, np.linalg.norm(there))
        assert error <= case.adapter.gradient, theirs


def test_what_is_left_out_the_original_never_trains(case):
    theirs = {name.removeprefix("param/") for name in case.there if name.startswith("param/")}
    left_out = theirs - set(case.places)
    assert left_out - case.adapter.cancelling <= case.untrained
    assert {f"grad/{name}" for name in left_out - case.adapter.cancelling}.isdisjoint(case.there)
    for name in case.adapter.cancelling:  # a gradient of rounding errors
        assert np.abs(case.there[f"grad/{name}"]).max() < 1e-8, name
