"""Graphs that denoisers rebuild: what an epoch draws and trains on, recomputed from the same stream."""

import numpy as np
import pytest
import torch

from flatrec import testing
from flatrec.models.auxiliary import AuxiliaryWeights
from flatrec.models.diffusion import NoiseSchedule
from flatrec.utils import seeding
from tests.models.settings import make

DATA = testing.block_dataset(blocks=2, users=6, items=6)


def stream():
    return seeding.generator(3, "model", 1)


def noisy(schedule, rows, steps, noise):
    left = schedule.left[steps].double()[:, None]
    return (left.sqrt() * rows + (1 - left).sqrt() * noise).float()


def test_an_epoch_trains_each_denoiser_on_all_users_under_noise_and_masks(monkeypatch):
    settings = {"denoiser_batch_size": 5, "denoiser_dropout": 0.25, "signal_weight": 0.3, "n_rebuilt": 2}
    rebuilt = make("diffmm", DATA, **settings).rebuilt
    losses = []
    monkeypatch.setattr(AuxiliaryWeights, "step", lambda weights, loss: losses.append(loss(weights()).item()))
    torch.manual_seed(0)
    *modalities, ids = torch.randn(3, DATA.n_items, 8)
    rebuilt.draw(modalities, ids, stream())
    generator, expected = stream(), []
    bought = torch.from_numpy(DATA.interactions.matrix("train").toarray())
    for users in torch.randperm(DATA.n_users, generator=generator).split(5):
        rows = bought[users]
        for denoiser, modality in zip(rebuilt.denoisers, modalities, strict=True):
            steps = torch.randint(len(rebuilt.schedule), (len(users),), generator=generator)
            noise = torch.randn(rows.shape, generator=generator)
            kept = torch.rand(rows.shape, generator=generator) >= 0.25
            predicted = denoiser(noisy(rebuilt.schedule, rows, steps, noise) * kept / 0.75, steps)
            errors = rebuilt.schedule.weights[steps] * ((rows - predicted) ** 2).mean(dim=1)
            gaps = ((predicted @ modality - rows @ ids) ** 2).mean(dim=1)
            expected.append((errors.mean() + 0.3 * gaps.mean()).item())
    assert losses == pytest.approx(expected, rel=1e-5)
    assert len(losses) == 2 * 3  # twelve users in batches of five
    assert (rebuilt.rebuilt >= 0).all()


@pytest.mark.parametrize("sampling_steps", [0, 1, 3])
def test_steps_are_taken_back_from_rows_with_the_noise_that_is_asked_for(sampling_steps, monkeypatch):
    rebuilt = make("diffmm", DATA, sampling_steps=sampling_steps, n_rebuilt=2).rebuilt
    seen = []
    monkeypatch.setattr("flatrec.models.rebuilding.denoised", lambda *words: seen.append(words[2]) or words[2])
    rebuilt.rebuild(stream())
    rows = torch.from_numpy(DATA.interactions.matrix("train").toarray())
    generator = stream()
    for number, found in enumerate(seen):
        start = rows
        if sampling_steps:
            steps = torch.full((len(rows),), sampling_steps - 1)
            start = noisy(rebuilt.schedule, rows, steps, torch.randn(rows.shape, generator=generator))
        torch.testing.assert_close(found, start)
        chosen = found.gather(1, rebuilt.rebuilt[number])
        assert torch.equal(chosen, found.sort(dim=1, descending=True).values[:, :2])
    assert len(seen) == 2


def test_the_noise_of_a_step_is_limited():
    # 1 - (1 - 0.9999) / (1 - 0.1) = 0.99989 is above the limit of 0.999.
    schedule = NoiseSchedule(2, scale=1.0, lowest=0.1, highest=0.9999)
    first, second = 1 - 1e-4, (1 - 1e-4) * 1e-3
    np.testing.assert_allclose(schedule.left, [first, second], rtol=1e-5)
    ratios = first / (1 - first), second / (1 - second)
    np.testing.assert_allclose(schedule.weights, [1, ratios[0] - ratios[1]], rtol=1e-3)
