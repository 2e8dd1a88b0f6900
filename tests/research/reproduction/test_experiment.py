"""Experiments of the paper's rows state everything."""

from __future__ import annotations

import pytest

from flatrec.config import Component, Config, Experiment, SplitSettings
from flatrec.losses import LOSSES
from flatrec.models import MODELS
from flatrec.registry.instantiate import config_class, with_defaults
from flatrec.research.reproduction import TABLES, Row, find_row, paper_experiment, rows_of
from flatrec.research.reproduction.experiment import paper_settings
from flatrec.training import optimizers

ROWS = [row for table in TABLES for row in rows_of(table)]


def unstated(written, kind):
    """Names of fields of a class of settings that a tree leaves out, groups within it too."""
    missing = [name for name in kind.model_fields if name not in written]
    for name, info in kind.model_fields.items():
        inner = info.annotation
        if name in written and isinstance(inner, type) and issubclass(inner, Config):
            missing += [f"{name}.{one}" for one in unstated(written[name], inner)]
    return missing


def test_the_paper_states_every_group_of_settings():
    tree = {name: {} for name in ("data", "seed", "model", "loss", "strategy", "optimizer", "split")}
    stated = paper_settings()["experiment"]
    missing = [name for name in unstated({**tree, **stated}, Experiment) if not name.startswith("split.")]
    assert missing == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_component_of_every_row_states_all_of_its_settings(row):
    experiment = paper_experiment(row)
    assert experiment.model_fields_set == set(Experiment.model_fields)
    for kind in ("model", "loss", "sampling", "schedule", "strategy", "optimizer"):
        component = getattr(experiment, kind)
        assert isinstance(component, Component)
        complete = getattr(with_defaults(experiment), kind)
        assert set(component.options) == set(complete.options), kind
        assert component.options == complete.options, kind
    assert experiment.split == SplitSettings(method="random", ratios=(8, 1, 1), seed=0)


def test_a_setting_that_is_left_out_is_found():
    stated = paper_settings()["experiment"]
    training = {name: value for name, value in stated["training"].items() if name != "patience"}
    whole = {**dict.fromkeys(Experiment.model_fields, {}), **stated, "training": training}
    assert "training.patience" in unstated(whole, Experiment)


def test_the_settings_are_those_that_the_paper_prints():
    baby = paper_experiment(find_row("table2", "baby/lightgcn/bsam+"))
    assert (baby.strategy.options["rho"], baby.strategy.options["lam"], baby.strategy.options["kappa"]) == (
        0.1,
        0.6,
        0.6,
    )
    assert (baby.optimizer.name, baby.optimizer.options["lr"], baby.training.batch_size) == ("adam", 0.001, 2048)
    assert (baby.loss.name, baby.model.options["reg_weight"]) == ("bpr", 1e-4)
    office = paper_experiment(find_row("table2", "office/freedom/bsam+")).strategy.options
    assert (office["rho"], office["lam"], office["kappa"]) == (0.05, 0.4, 0.8)


def test_conditions_change_the_batch_size_and_the_optimizer():
    assert paper_experiment(find_row("table5", "pet/dragon/bsam/batch-4096")).training.batch_size == 4096
    assert paper_experiment(Row("baby", "freedom", "bsam", "rmsprop")).optimizer.name == "rmsprop"


def test_a_model_ranks_by_bpr_wherever_its_loss_can_be_replaced():
    for row in {row.model: row for row in ROWS}.values():
        expected = "bpr" if "loss" in MODELS[row.model].REPLACEABLE else "default"
        assert paper_experiment(row).loss.name == expected
    assert "bpr" in LOSSES
    assert config_class("loss", "bpr").model_fields.keys() == {"label_smoothing"}
    assert optimizers.config_class("adam")().lr == 0.001


def test_a_split_that_comes_with_the_data_is_kept():
    assert paper_experiment(ROWS[0], given_split=True).split == SplitSettings(method="given")
