"""The experiment that the options of a command spell out."""

from __future__ import annotations

from itertools import permutations

import pytest

from flatrec.cli import options


@pytest.mark.parametrize(
    "sets",
    [
        ("optimizer.name=sgd", "optimizer.lr=0.5", "optimizer.momentum=0.9"),
        ("strategy.rho=0.3", "strategy.name=sam"),
        ("model.n_layers=2", "model.name=lightgcn"),
        ("split.valid_from=2024-01-01", "split.method=time"),
        ("training.epochs=3", "optimizer.lr=0.5"),
    ],
)
def test_settings_count_in_any_order(sets):
    spelled = [options.experiment(None, order) for order in permutations(sets)]
    assert all(experiment == spelled[0] for experiment in spelled)


def test_a_setting_before_the_name_of_its_group_is_kept():
    chosen = options.experiment(None, ["optimizer.lr=0.5", "optimizer.name=sgd"]).optimizer
    assert (chosen.name, dict(chosen.options)) == ("sgd", {"lr": 0.5})


def test_the_last_of_two_values_counts():
    chosen = options.experiment(None, ["optimizer.name=sgd", "optimizer.lr=1", "optimizer.name=adam", "optimizer.lr=2"])
    assert (chosen.optimizer.name, dict(chosen.optimizer.options)) == ("adam", {"lr": 2})
