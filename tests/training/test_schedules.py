"""Learning rates: equal to torch's own, the warm-up by hand, and the same after a kill."""

from __future__ import annotations

import pytest
import torch

from flatrec.api import run_experiment
from flatrec.config import Component, Experiment, Training, changed
from flatrec.registry.instantiate import with_defaults
from flatrec.testing import block_dataset
from flatrec.training.schedules import LearningRate, config_class, names
from tests.training.kills import KillAt, Killed
from tests.training.test_trainer import bits, equal, trainer_of, with_norm

SETTINGS = {
    "steplr": {"step_size": 2, "gamma": 0.5},
    "multisteplr": {"milestones": [2, 5], "gamma": 0.1},
    "constantlr": {},
    "linearlr": {"total_iters": 3},
    "exponentiallr": {"gamma": 0.9},
    "polynomiallr": {"total_iters": 4, "power": 2.0},
    "cosineannealinglr": {"T_max": 5},
    "cosineannealingwarmrestarts": {"T_0": 2, "T_mult": 2},
    "cycliclr": {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 2},
    "onecyclelr": {"max_lr": 0.1, "total_steps": 8},
}


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.05, momentum=0.9)


def rate(name="constant", settings=None, warmup=0.0, epochs=8, of=None):
    config = config_class(name)(**(settings or {}))
    return LearningRate(of or optimizer(), name, config, warmup=warmup, epochs=epochs)


def now(learning_rate):
    (group,) = learning_rate.optimizer.param_groups
    return group["lr"], group["momentum"]


def test_every_schedule_that_torch_has_is_tested():
    assert set(SETTINGS) == set(names())


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize("name", SETTINGS)
def test_rates_by_epoch_are_those_of_torch(name):
    theirs = optimizer()
    scheduler = names()[name](theirs, **SETTINGS[name])
    ours = rate(name, SETTINGS[name])
    for epoch in range(1, 9):
        expected = theirs.param_groups[0]["lr"], theirs.param_groups[0]["momentum"]
        for step in (1, 2, 3):
            ours.set(epoch, step, 3)
            assert now(ours) == expected
        late = rate(name, SETTINGS[name], warmup=1e-9)
        late.set(epoch, 1, 3)  # as after a kill: no epoch before
        assert now(late) == expected
        if epoch < 8:
            scheduler.step()


def test_the_warm_up_grows_by_step_on_top_of_the_schedule():
    ours = rate("exponentiallr", {"gamma": 0.5}, warmup=1.5)  # six steps of four an epoch
    seen = []
    for epoch in (1, 2):
        for step in (1, 2, 3, 4):
            ours.set(epoch, step, 4)
            seen.append(now(ours)[0])
    expected = [*(0.05 * k / 6 for k in (1, 2, 3, 4)), 0.025 * 5 / 6, 0.025, 0.025, 0.025]
    assert seen == pytest.approx(expected, abs=1e-10)


def scheduled(warmup=1.5, **settings):
    trainer = trainer_of(validate=with_norm, **settings)
    trainer.learning_rate = rate("steplr", SETTINGS["steplr"], warmup, of=trainer.context.optimizer)
    return trainer


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_resume_after_a_kill_equals_an_uninterrupted_run(tmp_path, name):
    (tmp_path / "whole").mkdir()
    whole = scheduled(folder=tmp_path / "whole", optimizer=name)
    whole.run()
    for epoch, step in [(1, 3), (1, None), (2, 2), (4, None)]:
        folder = tmp_path / f"{epoch}-{step}"
        folder.mkdir()
        with pytest.raises(Killed):
            scheduled(folder=folder, optimizer=name, callbacks=[KillAt(epoch, step)]).run()
        again = scheduled(folder=folder, optimizer=name)
        again.resume()
        again.run()
        assert equal(bits(again), bits(whole))
        one, other = (at / "checkpoint.safetensors" for at in (folder, tmp_path / "whole"))
        assert one.read_bytes() == other.read_bytes()


def test_a_constant_rate_trains_the_same_bits_as_none():
    plain, constant = trainer_of(validate=with_norm), trainer_of(validate=with_norm)
    constant.learning_rate = rate(of=constant.context.optimizer)
    for one in (plain, constant):
        one.run()
    assert equal(bits(plain), bits(constant))


def test_a_schedule_is_a_setting_of_an_experiment():
    data = block_dataset(blocks=2, users=4, items=4)
    short = Training(epochs=3, batch_size=32, loggers=(), monitor="ndcg@5", select="last")
    plain = Experiment(
        model=Component("bpr", {"embedding_dim": 4}), strategy=Component("plain"), training=short, device="cpu"
    )
    with_schedule = changed(plain, {"schedule": {"name": "multisteplr", "milestones": [1], "gamma": 1e-30}})
    runs = [
        run_experiment(one, data) for one in (plain.replace(training=short.replace(epochs=1)), with_schedule, plain)
    ]
    first, stopped, whole = (bits(run) for run in runs)
    assert all(torch.allclose(first[name], stopped[name]) for name in first)
    assert not equal(first, whole)
    assert runs[1].result["settings"]["schedule"]["options"]["milestones"] == (1,)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (Component("cosine"), "unknown schedule 'cosine'"),
        (Component("reducelronplateau"), "unknown schedule"),
        (Component("steplr"), "schedule.step_size has no default"),
        (Component("constant", {"gamma": 1.0}), "unknown setting"),
    ],
)
def test_what_is_no_schedule_is_refused(schedule, message):
    with pytest.raises(ValueError, match=message):
        with_defaults(Experiment(schedule=schedule))


def test_a_cycle_that_ends_before_training_is_refused():
    with pytest.raises(ValueError, match=r"ends after 5 epochs, but training.epochs is 8; set schedule.total_steps"):
        rate("onecyclelr", {"max_lr": 0.1, "total_steps": 5})
