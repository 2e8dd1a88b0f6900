"""What a sweep tries: read, checked, and put into experiments."""

from __future__ import annotations

import optuna
import pytest

from flatrec.config import Experiment
from flatrec.research.sweeps.space import Choices, Range, default_space, grid, read_space, suggest, with_values


def test_a_file_gives_lists_and_ranges_in_groups_or_by_dotted_name(tmp_path):
    (tmp_path / "space.toml").write_text(
        '"optimizer.lr" = { low = 1e-4, high = 1e-2, log = true }\n[model]\nn_layers = [1, 2]\n'
        "[strategy]\nrho = [0.1]\n"
    )
    assert read_space(tmp_path / "space.toml") == {
        "optimizer.lr": Range(1e-4, 1e-2, log=True),
        "model.n_layers": Choices((1, 2)),
        "strategy.rho": Choices((0.1,)),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no setting"),
        ("x = ", "is not a TOML file"),
        ("x = 1", "must be a list of values or a table with low and high"),
        ("x = []", "must be a list of values"),
        ("x = {low = 2.0, high = 1.0}", "low < high"),
        ("x = {low = 0.0, high = 1.0, log = true}", "low > 0 with log"),
        ("x = {low = 0.0, high = 1.0, step = 1}", "unknown setting 'step'"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path, text, said):
    (tmp_path / "space.toml").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_space(tmp_path / "space.toml")


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_space(tmp_path / "space.toml")


def test_a_grid_is_every_combination():
    assert grid({"a": Choices((1, 2)), "b": Choices(("x", "y"))}) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]


def test_a_range_has_no_grid():
    with pytest.raises(ValueError, match="a is a range"):
        grid({"a": Range(0.0, 1.0)})


def test_values_reach_the_experiment():
    one = with_values(Experiment(), {"optimizer.lr": 0.01, "model.n_layers": 1, "training.batch_size": 64})
    assert one.optimizer.options["lr"] == 0.01
    assert (one.model.options["n_layers"], one.training.batch_size) == (1, 64)


def test_a_trial_proposes_values_in_their_own_types():
    space = {"a": Choices((1, 2)), "b": Choices((True,)), "c": Choices(((1.0, 2.0),)), "d": Range(0.5, 1.0)}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    values = suggest(space, study.ask())
    assert values["a"] in (1, 2)
    assert type(values["a"]) is int
    assert values["b"] is True
    assert values["c"] == (1.0, 2.0)
    assert 0.5 <= values["d"] <= 1.0


def test_the_usual_space_has_the_papers_grids_and_the_models_own():
    space = default_space("freedom", "bsam+")
    assert space["strategy.kappa"] == Choices((0.2, 0.4, 0.6, 0.8))
    assert "model.edge_dropout" in space
    assert not any(name.startswith("strategy") for name in default_space("freedom", "plain"))


def test_a_penalty_with_a_weight_is_searched_instead_of_the_models_own():
    space = default_space("lightgcn", "plain", "squared")
    assert space["regularization.weight"] == Choices((0.0, 1e-4, 1e-3, 1e-2, 3e-2))
    assert set(space) == {"model.n_layers", "regularization.weight"}
    assert set(default_space("lightgcn", "plain")) == {"model.n_layers", "model.reg_weight"}
    assert "regularization.weight" not in default_space("lightgcn", "plain", "none")


def test_a_baseline_is_searched_by_its_own_settings_alone():
    assert default_space("ease", "bsam+", "squared") == {
        "model.reg_weight": Choices((10.0, 50.0, 200.0, 500.0, 1000.0))
    }
    assert set(default_space("item-knn", "plain")) == {"model.n_neighbors", "model.shrinkage"}
