"""What the public numbers have beside graphs, representations, losses and gradients, for models with more inside."""

import numpy as np
import pytest
import torch

from flatrec.graphs.cooccurrence import item_cooccurrence_matrix
from flatrec.models import da_mrs
from flatrec.models.diffusion import denoised, denoising_loss
from flatrec.ops.normalize import l2_normalize
from tests.models.test_reference import DENOISER, FILES, Case, adapter_of, close


def cases(stem):
    paths = [path for path in FILES if path.stem == stem]
    absent = pytest.param(None, marks=pytest.mark.skip(reason="no reference numbers"), id="absent")
    return [pytest.param(path, id=path.parent.name) for path in paths] or [absent]


def load(path, prefix, monkeypatch):
    case = Case(path, adapter_of(path))
    case.adapter.prepare(case, prefix, monkeypatch)
    return case


class TestDAMRS:
    @pytest.fixture(params=cases("damrs"))
    def case(self, request, monkeypatch):
        return load(request.param, "", monkeypatch)

    def test_each_graph_and_the_weights_of_interactions(self, case):
        encoded = case.model.encode()
        for name in ("image", "text"):
            close(encoded.aux[f"modality_{name}"], case.there[f"mid/h_{name}"], 2e-6)
        close(encoded.aux["session"], case.there["mid/h_session"], 2e-6)
        close(encoded.aux["feedback"], case.there["mid/graph_item"], 2e-6)
        users = encoded.node_embeddings[case.batch.users]
        units = [l2_normalize(encoded.aux[name]) for name in case.model.views]
        belief, doubt = da_mrs._weights(users, units, case.batch)
        close(belief, case.there["mid/positive_weight"], 2e-6)
        close(doubt, case.there["mid/negative_weight"], 2e-6)

    def test_labels_up_to_ties(self, case):
        encoded = case.model.encode()
        units = [l2_normalize(encoded.aux[name]).detach() for name in case.model.views]
        items = torch.from_numpy(case.there["mid/batch_items"])
        chances = [(unit[items] @ unit.T).softmax(dim=1) for unit in units]
        labels = da_mrs.pseudo_labels(units, items, case.settings["pseudo_labels"])
        for view, chance, (joint, single) in zip(case.model.views, chances, labels, strict=True):
            name = view.removeprefix("modality_")
            total = torch.stack(chances).sum(dim=0) + chance
            for kind, ours, values in (("joint", joint, total), ("single", single, chance)):
                theirs = torch.from_numpy(case.there[f"mid/{kind}_positive_{name}"])
                found, expected = (values.gather(1, one).sort(dim=1).values for one in (ours, theirs))
                torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)

    def test_session_neighbors_are_as_frequent(self, case):
        counts = item_cooccurrence_matrix(
            case.dataset.interactions, case.settings["session_topk"], np.arange(case.dataset.n_items)
        ).tocoo()
        often = counts.data >= case.settings["minimum_common_users"]
        items, frequencies = (case.there[f"input/session_{name}"] for name in ("item", "count"))
        ours = sorted(zip(counts.row[often].tolist(), counts.data[often].tolist(), strict=True))
        assert ours == sorted(zip(items.tolist(), np.float32(frequencies).tolist(), strict=True))


class TestLLMRec:
    @pytest.fixture(params=cases("llmrec"))
    def case(self, request, monkeypatch):
        return load(request.param, "", monkeypatch)

    def test_every_view_of_users_and_items(self, case):
        parts = case.model.encode().aux
        names = {f"modality_{name}": name for name in ("image", "text")} | {"profiles": "profile"}
        names |= {name: name for name in parts if name.startswith("attribute_")}
        for ours, theirs in names.items():
            for side, rows in zip(("user", "item"), parts[ours].split(case.model.sizes), strict=True):
                close(rows, case.there[f"mid/{side}_{theirs}"], 5e-5)

    def test_the_extended_batch(self, case):
        batch = case.model.suggested.extended(case.batch, case.settings["aug_sample_rate"], random=True)
        for ours, theirs in zip(batch.indices, ("users", "pos", "neg"), strict=True):
            assert ours.flatten().tolist() == case.there[f"mid/batch_{theirs}"].tolist()


class TestDiffMM:
    @pytest.fixture(params=cases("diffmm"))
    def case(self, request, monkeypatch):
        return load(request.param, "", monkeypatch)

    def test_the_schedule(self, case):
        schedule = case.model.rebuilt.schedule
        close(schedule.left, case.there["mid/alphas_cumprod"], 1e-6)
        close(schedule.forward_factor, case.there["mid/posterior_mean_coef1"], 1e-6)
        close(schedule.stay_factor, case.there["mid/posterior_mean_coef2"], 1e-6)

    def test_what_is_denoised_and_the_edges_of_it(self, case):
        rebuilt = case.model.rebuilt
        rows = rebuilt.interaction_rows(torch.arange(case.dataset.n_users))
        for number, name in enumerate(case.model.features.names):
            clean = denoised(rebuilt.denoisers[number], rebuilt.schedule, rows)
            close(clean, case.there[f"mid/denoised_{name}"], 5e-6)
            users, items = (case.there[f"mid/rebuilt_{name}_{side}"] for side in ("user", "item"))
            assert rebuilt.rebuilt[number, users, 0].tolist() == items.tolist()

    @pytest.mark.parametrize("prefix", ["", "linear/", "mixed/", "edgedrop/"])
    def test_the_views_of_the_contrast(self, case, prefix, monkeypatch):
        case.adapter.prepare(case, prefix, monkeypatch)
        parts = case.model.train().encode().aux
        for name in case.model.features.names:
            for side, rows in zip(("user", "item"), parts[f"view_{name}"].split(case.model.sizes), strict=True):
                close(rows, case.there[f"{prefix}mid/cl_{side}_{name}"], 5e-6)

    def test_a_step_of_each_denoiser(self, case):
        there, rebuilt = case.there, case.model.rebuilt
        rows = rebuilt.interaction_rows(torch.from_numpy(there["input/diffusion_users"]))
        ids = case.model.nodes.detach()[case.dataset.n_users :]
        for number, name in enumerate(case.model.features.names):
            modality = case.model.projections[number](case.model.features()[number]).detach()
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
            self.check_step(case, name, *denoiser.weights.gradients(objective))

    def check_step(self, case, name, total, slopes):
        assert total.item() == pytest.approx(float(case.there[f"diffusion/loss/total_{name}"]), rel=2e-6)
        slopes["down0_weight"] = torch.cat([slopes.pop("down0_rows"), slopes.pop("down0_step")], dim=1)
        for layer, theirs in DENOISER.items():
            for part in ("weight", "bias"):
                expected = case.there[f"diffusion/grad/denoise_{name}.{theirs}.{part}"]
                error = np.linalg.norm(slopes[f"{layer}_{part}"].numpy() - expected)
                assert error <= 1e-4 * max(1e-3, np.linalg.norm(expected)), (layer, part)
