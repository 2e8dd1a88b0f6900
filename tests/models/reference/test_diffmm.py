"""DiffMM compared with stored numbers of its release."""

import json

import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.models import DiffMM
from flatrec.models.diffusion import denoised, denoising_loss
from flatrec.ops.spmm import Graph
from tests.models.reference.checks import Checks
from tests.models.reference.shared import norm_adj
from tests.models.reference.stored import MODALITIES, Adapter, Place, close


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


ADAPTER = Adapter(
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
)


class TestDiffMM(Checks):
    adapter = ADAPTER

    def test_the_schedule(self, prepared):
        schedule = prepared.model.rebuilt.schedule
        close(schedule.left, prepared.there["mid/alphas_cumprod"], 1e-6)
        close(schedule.forward_factor, prepared.there["mid/posterior_mean_coef1"], 1e-6)
        close(schedule.stay_factor, prepared.there["mid/posterior_mean_coef2"], 1e-6)

    def test_what_is_denoised_and_the_edges_of_it(self, prepared):
        rebuilt = prepared.model.rebuilt
        rows = rebuilt.interaction_rows(torch.arange(prepared.dataset.n_users))
        for number, name in enumerate(prepared.model.features.names):
            clean = denoised(rebuilt.denoisers[number], rebuilt.schedule, rows)
            close(clean, prepared.there[f"mid/denoised_{name}"], 5e-6)
            users, items = (prepared.there[f"mid/rebuilt_{name}_{side}"] for side in ("user", "item"))
            assert rebuilt.rebuilt[number, users, 0].tolist() == items.tolist()

    @pytest.mark.parametrize("prefix", ["", "linear/", "mixed/", "edgedrop/"])
    def test_the_views_of_the_contrast(self, prepared, prefix, monkeypatch):
        prepared.adapter.prepare(prepared, prefix, monkeypatch)
        parts = prepared.model.train().encode().aux
        for name in prepared.model.features.names:
            for side, rows in zip(("user", "item"), parts[f"view_{name}"].split(prepared.model.sizes), strict=True):
                close(rows, prepared.there[f"{prefix}mid/cl_{side}_{name}"], 5e-6)

    def test_a_step_of_each_denoiser(self, prepared):
        there, rebuilt = prepared.there, prepared.model.rebuilt
        rows = rebuilt.interaction_rows(torch.from_numpy(there["input/diffusion_users"]))
        ids = prepared.model.nodes.detach()[prepared.dataset.n_users :]
        for number, name in enumerate(prepared.model.features.names):
            modality = prepared.model.projections[number](prepared.model.features()[number]).detach()
            steps, noise = (torch.from_numpy(there[f"input/{kind}_{name}"]) for kind in ("timestep", "noise"))
            denoiser, noisy = rebuilt.denoisers[number], rebuilt.schedule.noisy(rows, steps, noise)
            close(noisy, there[f"diffusion/mid/x_t_{name}"], 5e-6)
            close(denoiser(noisy, steps), there[f"diffusion/mid/prediction_{name}"], 5e-6)
            weights = rebuilt.schedule.weights[steps]
            errors, gaps = denoising_loss(denoiser(noisy, steps), rows, weights, (modality, ids))
            for ours, theirs in ((errors, "elbo"), (gaps, "msi")):
                expected = there[f"diffusion/mid/{theirs}_row_{name}"]
                np.testing.assert_allclose(ours.numpy(), expected, rtol=4e-6, atol=1e-7)
                assert ours.mean().item() == pytest.approx(float(there[f"diffusion/loss/{theirs}_{name}"]), rel=2e-6)
            objective = rebuilt.objective(denoiser, rows, (modality, ids), steps, noise)
            self.check_step(prepared, name, *denoiser.weights.gradients(objective))

    def check_step(self, case, name, total, slopes):
        assert total.item() == pytest.approx(float(case.there[f"diffusion/loss/total_{name}"]), rel=2e-6)
        slopes["down0_weight"] = torch.cat([slopes.pop("down0_rows"), slopes.pop("down0_step")], dim=1)
        for layer, theirs in DENOISER.items():
            for part in ("weight", "bias"):
                expected = case.there[f"diffusion/grad/denoise_{name}.{theirs}.{part}"]
                error = np.linalg.norm(slopes[f"{layer}_{part}"].numpy() - expected)
                assert error <= 1e-4 * max(1e-3, np.linalg.norm(expected)), (layer, part)
