import subprocess
import sys
from itertools import product

import torch
from hypothesis import given
from hypothesis import strategies as some

from flatrec.config import Component
from flatrec.registry.instantiate import build_model
from flatrec.testing import block_dataset
from flatrec.utils import seeding


def draw(*key):
    return torch.rand(4, generator=seeding.generator(*key)).tolist()


def test_equal_keys_give_equal_streams():
    assert draw(3, "batches", 7) == draw(3, "batches", 7)


def test_seed_purpose_and_epoch_each_make_a_stream_of_its_own():
    keys = list(product(range(-2, 20), ("batches", "model", "noise", ""), range(20)))
    assert len({seeding.derive_seed(*key) for key in keys}) == len(keys)
    assert len({tuple(draw(*key)) for key in keys[:200]}) == 200


def test_neighboring_keys_are_not_confused():
    assert seeding.derive_seed(1, "a", 23) != seeding.derive_seed(12, "a", 3)
    assert seeding.derive_seed(1, "a/2", 3) != seeding.derive_seed(1, "a", 23)


def test_numbers_are_the_same_on_every_machine():
    # Stored: a change of these changes every published result.
    assert seeding.derive_seed(0, "batches", 1) == 8299432574121774189
    assert seeding.derive_seed(42, "initial parameters") == 8757848439252404201


def test_numbers_are_the_same_in_every_process():
    code = "from flatrec.utils import seeding; print(seeding.derive_seed(5, 'model', 2))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == seeding.derive_seed(5, "model", 2)


@given(seed=some.integers(), purpose=some.text(some.characters(codec="utf-8")), epoch=some.integers(0, 10**6))
def test_numbers_fit_a_generator(seed, purpose, epoch):
    assert 0 <= seeding.derive_seed(seed, purpose, epoch) < 2**63
    assert seeding.generator(seed, purpose, epoch).device.type == "cpu"


def test_the_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    draw(0, "batches")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_epoch_defaults_to_zero():
    assert seeding.derive_seed(1, "a") == seeding.derive_seed(1, "a", 0)


def test_making_a_model_leaves_every_global_generator_as_it_was(monkeypatch):
    """Without CUDA what tells is that torch.manual_seed, which seeds those of all devices, is not called."""

    def refuse(_seed):
        raise AssertionError

    monkeypatch.setattr(torch, "manual_seed", refuse)
    before = torch.get_rng_state()
    one, other, third = (build_model(Component("bpr"), block_dataset(), seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    first, second, different = (
        torch.cat([part.flatten() for part in each.parameters()]) for each in (one, other, third)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, different)
