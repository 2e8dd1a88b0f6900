"""Numbers that public implementations gave, compared with what the models here give for the same input.

The numbers lie outside the repository: see their README for equations, sources and tolerances. Set FLATREC_REFERENCE
to a folder that holds a folder a set, each with <model>.npz and <model>.json. A further model is one more row of
ADAPTERS.
"""

import itertools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.data.augmentation import NOBODY, Augmentation
from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.interactions import Interactions
from flatrec.data.vocabulary import Vocabulary
from flatrec.graphs.agreement import row_degree_graph, with_self_loops
from flatrec.graphs.interaction import normalized_graph, training_graph
from flatrec.graphs.knn import knn_matrix
from flatrec.models import (
    BM3,
    COHESION,
    DAMRS,
    DRAGON,
    FREEDOM,
    GRCN,
    LATTICE,
    MENTOR,
    MGCN,
    MMGCN,
    MODELS,
    NGCF,
    PGL,
    SMORE,
    VBPR,
    DiffMM,
    DualGNN,
    FourierKANGCF,
    LayerGCN,
    LGMRec,
    LightGCN,
    LLMRec,
    SLMRec,
)
from flatrec.ops.sddmm import Edges
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
    ``cancelling``: without influence on the loss. ``weighted`` are terms that are stored there with their weights.
    ``middle`` gives intermediate values there, out of ``aux``. ``prepare`` puts in the inputs of a variant, given
    its prefix. The tolerances are those of the README: largest absolute difference of representations and of
    scores, relative difference of losses, and of gradients by norm.
    """

    make: Callable
    places: Callable[["Case"], Mapping[str, Place]]
    terms: Mapping[str, str]
    graphs: Callable = lambda _: {}
    prepare: Callable = lambda *_: None
    variants: Sequence[str] = ("",)
    cancelling: frozenset[str] = frozenset()
    weighted: frozenset[str] = frozenset()
    middle: Mapping[str, Callable[[Mapping[str, torch.Tensor]], torch.Tensor]] = field(default_factory=dict)
    representation: float = 5e-6
    score: float = 1e-5
    loss: float = 1e-6
    gradient: float = 1e-4
    rounded: Mapping[str, float] = field(default_factory=dict)  # terms of theirs with a larger tolerance
    weighted: frozenset[str] = frozenset()  # terms of ours that are stored weighted there
    partial: frozenset[str] = frozenset()  # variants of which only some terms are stored
    ranked: frozenset[str] = frozenset()  # variants that rank otherwise than the main one
    elsewhere: str = "\0"  # how the names of parameters begin that other tests compare


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


def cohesion_inputs(case, prefix, monkeypatch):
    """The neighbors as drawn there; edges are dropped, or the id tower is trained, in one variant each."""
    drawn_user_graph(case, prefix, monkeypatch)
    if prefix == "pruned/":
        thinned(case, "", monkeypatch)
    id_tower = "trained" if prefix == "idgrad/" else "released"
    case.model.config = case.model.config.model_copy(update={"id_tower": id_tower})


def mentor_inputs(case, prefix, monkeypatch):
    """Noise and masks as drawn there, which the variant without a prefix has none of; one repair in two variants."""
    switches = {
        "views": "shared" if prefix == "shared/" else "released",
        "mask_loss": "trained" if prefix == "livemask/" else "released",
    }
    case.model.config = case.model.config.model_copy(update=switches)
    if not prefix:
        monkeypatch.setattr("flatrec.models.mentor.uniform", torch.zeros_like)
        return
    dropping(case, mask_rate=case.there["noisy/rate"])
    keep(monkeypatch, [case.there[f"noisy/keep_mask/{side}"] for side in ("user", "item")])
    places = itertools.product((1, 2), MODALITIES.values(), (1, 2))
    stored = [case.there[f"noisy/noise/{name}_view{view}_hop{hop}"] for view, name, hop in places]
    drawn = itertools.cycle(torch.from_numpy(noise) for noise in stored)
    monkeypatch.setattr("flatrec.models.mentor.uniform", lambda _: next(drawn))


def mentor_places(_):
    places = {"weight_u": Place("user_weights"), "id_feat": Place("items"), **tower("id_gcn", "id_tower"), **towers()}
    places |= {f"mlp.{part}": Place(f"mask_map.{part}") for part in ("weight", "bias")}
    for view in range(2):
        places |= towers(f"{{letter}}_gcn_n{view + 1}", f"view_towers.{view}.{{number}}")
    return places


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


def smore_masks(case, prefix, monkeypatch):
    """Preferences as dropped there."""
    if prefix:
        dropping(case, preference_dropout=case.there["drop/rate"])
        keep(monkeypatch, [case.there[f"drop/keep_mask/{name}"] for name in ("fusion", "image", "text")])


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


def smore_graphs(case):
    return {**cosine_graphs(case), "item_item_fusion": case.model.fusion_graph.coo()}


def smore_places(case):
    return {
        **gated_places(case),
        **numbered("query_{letter}.0", "queries.{number}.0"),
        **numbered("query_{letter}.2", "queries.{number}.2", parts=("weight",)),
        **numbered("{name}_complex_weight", "filters.{number}", parts=("",)),
        "fusion_complex_weight": Place("fusion_filter"),
        **{f"gate_f.0.{part}": Place(f"fusion_purifier.{part}") for part in ("weight", "bias")},
        **{f"gate_fusion_prefer.0.{part}": Place(f"fusion_gate.{part}") for part in ("weight", "bias")},
    }


def mgcn_places(case):
    query = {"0.weight": "0.weight", "0.bias": "0.bias", "2.weight": "2.weight"}
    return {
        **gated_places(case),
        **{f"query_common.{theirs}": Place(f"query.{ours}") for theirs, ours in query.items()},
    }


def pgl_views(case, prefix, monkeypatch):
    """The graph as thinned there, and the entries that each of the two copies keeps."""
    thinned(case, "", monkeypatch)
    if not prefix:
        return
    for side in ("user", "item"):
        case.there[f"views/train_out/{side}"] = case.there[f"train_out/{side}"]
    keep = [
        torch.from_numpy(np.concatenate([case.there[f"views/input/keep_{side}_{copy}"] for side in ("user", "item")]))
        for copy in (1, 2)
    ]
    stream = iter(keep * 100)
    rate = case.settings["views_dropout"]
    monkeypatch.setattr("torch.nn.functional.dropout", lambda rows, *_: rows * next(stream) / (1 - rate))


def stored_session(case, prefix, monkeypatch):  # noqa: ARG001
    """The session graph there: which of equally frequent items are neighbors is open."""
    items, neighbors, counts = (case.there[f"input/session_{name}"] for name in ("item", "neighbour", "count"))
    matrix = sparse.csr_array((counts.astype(np.float32), (items, neighbors)), shape=(case.dataset.n_items,) * 2)
    case.model.item_graphs[-1] = row_degree_graph(with_self_loops(matrix))


def da_mrs_graphs(case):
    stored_session(case, "", None)
    names = [f"item_item_{name.removeprefix('modality_')}" for name in case.model.views]
    return norm_adj(case) | {name: graph.coo() for name, graph in zip(names, case.model.item_graphs, strict=True)}


def make_diffmm(dataset, there, **options):
    settings = {
        "embedding_dim": there["latdim"],
        "n_layers": there["gnn_layer"],
        "rebuilt_weight": there["ris_adj_lambda"],
        "residual_weight": there["ris_lambda"],
        "contrastive_weight": there["ssl_reg"],
        "temperature": there["temp"],
        "reg_weight": there["reg"],
        "ranking_rows": there["batch"],
        "rebuilt_edge_dropout": 1 - there["keepRate"],
        "n_rebuilt": there["rebuild_k"],
        "n_steps": there["steps"],
        "noise_scale": there["noise_scale"],
        "noise_min": there["noise_min"],
        "noise_max": there["noise_max"],
        "sampling_steps": there["sampling_steps"],
        "signal_weight": there["e_loss"],
        "hidden_dims": tuple(json.loads(there["dims"])),
        "time_dim": there["d_emb_size"],
        "unit_rows": there["norm"],
        "denoiser_dropout": there["denoiser_dropout_in_this_run"],
    }
    return DiffMM(dataset, DiffMM.Config(**settings | options))


DENOISER = {"time": "emb_layer", "down0": "in_layers.0", "up0": "out_layers.0"}


def load_denoisers(case):
    """Their denoisers; of the first map's columns the last belong to the step."""
    for name, denoiser in zip(MODALITIES.values(), case.model.rebuilt.denoisers, strict=True):
        ours = denoiser.weights()
        for layer, theirs in DENOISER.items():
            weight, bias = (
                torch.from_numpy(case.there[f"param/denoise_{name}.{theirs}.{part}"]) for part in ("weight", "bias")
            )
            ours[f"{layer}_bias"].copy_(bias)
            blocks = {f"{layer}_weight": weight}
            if layer == "down0":
                blocks = {
                    "down0_rows": weight[:, : case.dataset.n_items],
                    "down0_step": weight[:, case.dataset.n_items :],
                }
            for key, block in blocks.items():
                ours[key].copy_(block)


def diffmm_variant(case, prefix, monkeypatch):  # noqa: ARG001
    """The variant's settings and parameters; graphs as the denoisers rebuild them, or as they were dropped there."""
    options = {
        "linear/": {"projection": "linear", "contrast": "embeddings"},
        "mixed/": {"projection": "mixed"},
        "clmain/": {"contrast": "embeddings"},
    }.get(prefix, {})
    case.load(make_diffmm(case.dataset, case.settings, **options), prefix)
    load_denoisers(case)
    case.model.rebuilt.rebuild(torch.Generator())
    case.model.rebuilt.dropped = case.model.rebuilt.complete()
    if prefix == "edgedrop/":
        names = [f"{name}_ui" for name in MODALITIES.values()]
        graphs = [sparse.csr_array(case.matrix(name, prefix)) for name in names]
        case.model.rebuilt.dropped = torch.nn.ModuleList(Graph(graph, symmetric=False) for graph in graphs)


def diffmm_graphs(case):
    diffmm_variant(case, "", None)
    rebuilt = zip(MODALITIES.values(), case.model.rebuilt.complete(), strict=True)
    return norm_adj(case) | {f"{name}_ui": graph.coo() for name, graph in rebuilt}


ATTRIBUTES = ("year", "title", "director", "country", "language")


def make_llmrec(dataset, there, **options):
    settings = {
        "embedding_dim": there["embed_size"],
        "n_layers": len(json.loads(there["weight_size"])),
        "modality_weight": there["model_cat_rate"],
        "profile_weight": there["user_cat_rate"],
        "attribute_weight": there["item_cat_rate"],
        "modality_bpr_weight": there["mm_mf_rate"],
        "attribute_bpr_weight": there["aug_mf_rate"],
        "feature_reg_weight": there["feat_reg_decay"],
        "reg_weight": float(json.loads(there["regs"])[0]),
        "reg_rows": there["batch_size"],
        "penalty": "reciprocals",
        "prune_fraction": there["prune_loss_drop_rate"],
        "suggestion_fraction": there["aug_sample_rate"],
        "mask_fraction": there["masked_variant"]["mask_rate"],
        "restoration_weight": there["masked_variant"]["att_re_rate"],
        "restoration_exponent": there["alpha_l"],
    }
    return LLMRec(dataset, LLMRec.Config(**settings | options))


def llmrec_variant(case, prefix, monkeypatch):
    """The variant's settings, and the users and masks that were drawn there."""
    replaced = {"penalty": "squares", "reg_weight": case.settings["l2_and_denoise_variant"]["decay"]}
    options = {
        "l2/": replaced,
        "denoise/": {**replaced, "prune": "largest"},
        "maskedmse/": {"restoration": "squares"},
    }.get(prefix, {})
    case.load(make_llmrec(case.dataset, case.settings, **options))
    if not prefix.startswith("masked"):
        case.model.config = case.model.config.model_copy(update={"mask_fraction": 0.0})
        case.model.loss_weights = case.model._weights()
    case.renamed = {"squares": "l2_reg_weighted" if options.get("penalty") else "reciprocal_reg_weighted"}
    for side in ("user", "item"):
        case.there[f"maskedmse/train_out/{side}"] = case.there[f"masked/train_out/{side}"]
    drawn = case.there["input/aug_batch_users"]
    positions = [int(np.flatnonzero(case.batch.users.numpy() == user)[0]) for user in drawn]
    monkeypatch.setattr("flatrec.models.augmented.drawn", lambda *_: torch.tensor(positions))
    masks = {case.dataset.n_users: "users", case.dataset.n_items: "items"}
    monkeypatch.setattr(
        "flatrec.models.llmrec.drawn",
        lambda size, count, _: torch.from_numpy(case.there[f"masked/input/masked_{masks[size]}"])[:count],
    )


EMBEDDINGS = halves("nodes", "user_embedding.weight", "item_id_embedding.weight")
SIDES = {"content": lambda aux: aux["content"], "side": lambda aux: aux["side"]}
VIEWS = {
    "view1": lambda aux: aux["view_0"],
    "view2": lambda aux: aux["view_1"],
    "guide": lambda aux: aux["ids"].tile(1, 2),
    "image_only": lambda aux: aux["modality_image"].tile(1, 2),
    "text_only": lambda aux: aux["modality_text"].tile(1, 2),
}
CONTRASTED = {"ranking": "bpr", "squares": "emb_weighted", "contrast/users": "cl_user", "contrast/items": "cl_item"}
CLOSE = {"representation": 1e-6, "score": 1e-6, "gradient": 1e-5}
TIGHT = {**CLOSE, "loss": 2e-6}

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
    "fourierkan-gcf": Adapter(
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
        ranked=frozenset({"intended/"}),
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
        weighted=frozenset({"squares"}),
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
    "cohesion": Adapter(
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
    ),
    "mentor": Adapter(
        make=lambda dataset, there: MENTOR(
            dataset,
            MENTOR.Config(
                embedding_dim=there["embedding_size"],
                hidden_dim=4 * there["embedding_size"],
                n_item_layers=there["n_mm_layers"],
                n_neighbors=there["knn_k"],
                image_weight=there["mm_image_weight"],
                mask_rate=there["dropout"],
                temperature=there["temp"],
                alignment_weight=there["align_weight"],
                mask_weight=there["mask_weight_f"],
                contrastive_weight=there["mask_weight_g"],
                reg_weight=there["reg_weight"],
                views="released",
                mask_loss="released",
            ),
        ),
        places=mentor_places,
        terms={
            "ranking": "bpr_log2",
            "alignment": "align",
            "mask/users": "mask_user",
            "mask/items": "mask_item",
            "contrast/users": "graph_user",
            "contrast/items": "graph_item",
            "squares/preference_image": "reg_image",
            "squares/preference_text": "reg_text",
            "squares/user_weights": "reg_weight_u",
        },
        graphs=item_graphs,
        prepare=mentor_inputs,
        middle=VIEWS,
        variants=("", "noisy/", "shared/", "livemask/"),
        representation=6e-6,
        score=2e-5,
        loss=2e-6,
        gradient=2e-5,
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
    "mgcn": Adapter(
        make=lambda dataset, there: MGCN(
            dataset,
            MGCN.Config(
                embedding_dim=there["embedding_size"],
                n_layers=there["n_ui_layers"],
                n_item_layers=there["n_layers"],
                n_neighbors=there["knn_k"],
                contrastive_weight=there["cl_loss"],
                reg_weight=there["reg_weight"],
                reg_rows=there["train_batch_size"],
            ),
        ),
        places=mgcn_places,
        terms=CONTRASTED,
        middle=SIDES,
        graphs=cosine_graphs,
        weighted=frozenset({"squares"}),
        **TIGHT,
    ),
    "smore": Adapter(
        make=lambda dataset, there: SMORE(
            dataset,
            SMORE.Config(
                embedding_dim=there["embedding_size"],
                n_layers=there["n_ui_layers"],
                n_item_layers=there["n_layers"],
                n_image_neighbors=there["image_knn_k"],
                n_neighbors=there["text_knn_k"],
                contrastive_weight=there["cl_loss"],
                reg_weight=there["reg_weight"],
                reg_rows=there["train_batch_size"],
                preference_dropout=there["dropout_rate"],
            ),
        ),
        places=smore_places,
        terms=CONTRASTED,
        middle=SIDES,
        graphs=smore_graphs,
        prepare=smore_masks,
        variants=("", "drop/"),
        weighted=frozenset({"squares"}),
        **TIGHT,
    ),
    "diffmm": Adapter(
        make=make_diffmm,
        places=lambda case: {
            "uEmbeds": Place("nodes", stop=case.dataset.n_users),
            "iEmbeds": Place("nodes", start=case.dataset.n_users),
            "modal_weight": Place("modality_weights"),
            **{
                f"{name}_trans{f'.{part}' if linear else ''}": Place(f"projections.{number}.{part}")
                for number, name in enumerate(case.model.features.names)
                for linear in [case.model._is_linear(name)]
                for part in (("weight", "bias") if linear else ("weight",))
            },
        },
        terms={"ranking": "bpr", "squares": "reg_weighted", "contrast": "cl_weighted"},
        graphs=diffmm_graphs,
        prepare=diffmm_variant,
        variants=("", "linear/", "mixed/", "clmain/", "edgedrop/"),
        weighted=frozenset({"squares", "contrast"}),
        partial=frozenset({"clmain/"}),
        ranked=frozenset({"linear/", "mixed/"}),
        elsewhere="denoise_",
        score=2e-5,
        loss=2e-6,
    ),
    "llmrec": Adapter(
        make=make_llmrec,
        places=lambda case: {
            **halves("nodes", "user_id_embedding.weight", "item_id_embedding.weight")(case),
            **numbered("{name}_trans", "projections.{number}"),
            **{
                f"{theirs}.{part}": Place(f"{ours}.{part}")
                for theirs, ours in {
                    "user_trans": "profile_map",
                    "item_trans": "attribute_map",
                    "decoder.u_net.0": "profile_decoder",
                    "decoder.i_net.0": "attribute_decoder",
                }.items()
                for part in ("weight", "bias")
            },
        },
        terms={
            "ranking": "bpr",
            "features": "feat_reg_weighted",
            "restoration/users": "restore_user",
            **{f"modalities/{name}": f"bpr_{name}" for name in ("image", "text")},
            **{f"attributes/{name}": f"bpr_attribute_{name}" for name in ATTRIBUTES},
            **{f"restoration/item_{name}": f"restore_{name}" for name in ATTRIBUTES},
        },
        graphs=lambda case: {
            name: graph.coo() for name, graph in zip(("ui", "iu"), case.model.graphs.full, strict=True)
        },
        prepare=llmrec_variant,
        variants=("", "l2/", "denoise/", "masked/", "maskedmse/"),
        weighted=frozenset({"squares", "features"}),
        partial=frozenset({"maskedmse/"}),
        representation=1e-5,
        score=5e-5,
        loss=2e-6,
    ),
    "da-mrs": Adapter(
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
    ),
    "pgl": Adapter(
        make=lambda dataset, there: PGL(
            dataset,
            PGL.Config(
                embedding_dim=there["embedding_size"],
                n_layers=there["n_ui_layers"],
                n_item_layers=there["n_mm_layers"],
                n_neighbors=there["knn_k"],
                image_weight=there["mm_image_weight"],
                edge_dropout=1 - there["kept_share_of_edges"],
                dropout=there["dropout"],
                temperature=there["temperature"],
                contrastive_weight=there["reg_weight"],
            ),
        ),
        places=lambda _: {
            **numbered("user_{name}.weight", "preferences.{number}", parts=("",)),
            **feature_tables(),
            **numbered("{name}_trs", "projections.{number}"),
        },
        terms={"ranking": "bpr", "contrast/users": "contrastive_user", "contrast/items": "contrastive_item"},
        graphs=lambda case: {**norm_adj(case), "item_item": case.model.item_graph.coo()},
        prepare=pgl_views,
        variants=("", "views/"),
        representation=2e-6,
        score=2e-6,
        loss=2e-6,
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
        self.renamed = {}  # terms that have another name in the variant
        self.dataset = dataset(self.there)
        users, positives, negatives = (
            torch.from_numpy(self.there[f"batch/{name}"]) for name in ("users", "pos", "neg")
        )
        self.batch = Batch(users, positives, negatives[:, None])
        self.load(adapter.make(self.dataset, self.settings))

    def load(self, model, prefix=""):
        """Put their parameters into our model, those of a variant where it has its own."""
        self.model = model
        self.places = self.adapter.places(self)
        state = {name: torch.full_like(one, torch.nan) for name, one in self.model.named_parameters()}
        for theirs, place in self.places.items():
            target = place.of(state)
            stored = self.there.get(f"{prefix}param/{theirs}", self.there.get(f"param/{theirs}"))
            target.copy_(torch.from_numpy(stored).view_as(target))
        assert all(one.isfinite().all() for one in state.values()), "a parameter of ours has no origin"
        self.model.load_state_dict(state, strict=False)

    def matrix(self, name, prefix=""):
        row, column, values, shape = (
            self.there[f"{prefix}graph/{name}/{part}"] for part in ("row", "col", "val", "shape")
        )
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
        augmentation=augmentation(there, n_users, n_items),
    )


def augmentation(there, n_users, n_items):
    if "input/profile" not in there:
        return None
    attributes = {name.split("_")[1]: values for name, values in there.items() if name.startswith("input/attribute_")}
    pairs = np.stack([there["input/llm_pos"], there["input/llm_neg"]], axis=1)
    return Augmentation(
        Features.from_array(there["input/profile"], n_users, "profile"),
        {name: Features.from_array(values, n_items, name) for name, values in attributes.items()},
        np.where(pairs < n_items, pairs, NOBODY),
    )


def variants(path):
    """The prefixes under which a file holds losses of models; that of denoisers is compared in test_reference_more."""
    with np.load(path) as there:
        prefixes = {name.removesuffix("loss/total") for name in there.files if name.endswith("loss/total")}
        return sorted(prefixes - {"diffusion/"})


BY_FILE = {name.replace("-", ""): adapter for name, adapter in ADAPTERS.items()}


def adapter_of(path):
    """Files are called by the names of the models, in spellings of their own."""
    return BY_FILE.get(path.stem.replace("_", ""))


FILES = [path for path in sorted(FOLDER.glob("*/*.npz")) if adapter_of(path)]
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
    case = Case(path, adapter_of(path))
    case.adapter.prepare(case, prefix, monkeypatch)
    return case, prefix


@pytest.fixture(params=[pytest.param(path, id=f"{path.parent.name}-{path.stem}") for path in FILES] or [ABSENT])
def case(request):
    return Case(request.param, adapter_of(request.param))


def close(ours, theirs, tolerance):
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=0, atol=tolerance)


@pytest.mark.skipif(not FILES, reason="no reference numbers")
def test_the_sets_have_every_model_and_no_variant_is_passed_over():
    assert {path.stem.replace("_", "") for path in FILES} == set(BY_FILE)
    for path in FILES:
        assert set(variants(path)) <= set(adapter_of(path).variants), path


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
    theirs = prefix if prefix in case.adapter.ranked else ""
    users, items = case.model.eval().user_item_embeddings(case.model.encode())
    close(users, case.there[f"{theirs}out/user"], case.adapter.representation)
    close(items, case.there[f"{theirs}out/item"], case.adapter.representation)
    close(users @ items.T, case.there[f"{theirs}out/scores"], case.adapter.score)


def test_scores_as_released(case):
    if "out/scores_released" not in case.there:
        return  # the release ranks by what it trains
    case.model.config = case.model.config.model_copy(update={"scoring": "released"})
    users, items = case.model.eval().user_item_embeddings(case.model.encode())
    close(users @ items.T, case.there["out/scores_released"], case.adapter.score)


def test_representations_in_training(prefixed):
    case, prefix = prefixed
    # What has no training numbers of its own trains on what it ranks by; with noise the release ranks by noise too.
    name = next(one for one in (f"{prefix}train_out", f"{prefix}out", "out") if f"{one}/user" in case.there)
    users, items = case.model.train().user_item_embeddings(case.model.encode())
    close(users, case.there[f"{name}/user"], case.adapter.representation)
    close(items, case.there[f"{name}/item"], case.adapter.representation)


def test_what_the_loss_reads_beside_the_embeddings(prefixed):
    case, prefix = prefixed
    aux = case.model.train().encode().aux
    for name, value in case.adapter.middle.items():
        if f"{prefix}mid/{name}" in case.there:
            close(value(aux), case.there[f"{prefix}mid/{name}"], 1e-5)


def test_loss_and_each_of_its_terms(prefixed):
    case, prefix = prefixed
    encoded = case.model.train().encode()
    terms = case.model.loss_terms(encoded, case.batch)
    weights = {name: case.model.loss_weights[name.partition("/")[0]] for name in terms if name in case.adapter.weighted}
    named = {**case.adapter.terms, **case.renamed}
    ours = {named[name]: value * weights.get(name, 1) for name, value in terms.items()}
    ours["total"] = case.model.loss(encoded, case.batch)
    theirs = {name.removeprefix(f"{prefix}loss/") for name in case.there if name.startswith(f"{prefix}loss/")}
    assert set(ours) == theirs or (prefix in case.adapter.partial and set(ours) > theirs)
    for name in theirs:
        value = ours[name]
        rel = case.adapter.rounded.get(name, case.adapter.loss)
        assert value.item() == pytest.approx(float(case.there[f"{prefix}loss/{name}"]), rel=rel), name


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
    left_out = {name for name in theirs - set(case.places) if not name.startswith(case.adapter.elsewhere)}
    assert left_out - case.adapter.cancelling <= case.untrained
    assert {f"grad/{name}" for name in left_out - case.adapter.cancelling}.isdisjoint(case.there)
    for name in case.adapter.cancelling:  # a gradient of rounding errors
        assert np.abs(case.there[f"grad/{name}"]).max() < 1e-8, name
