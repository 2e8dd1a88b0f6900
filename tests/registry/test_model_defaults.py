"""The defaults of a model: taken where nothing is stated, never where something is, and never by what is recorded."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import ClassVar

import pytest

from flatrec.api import fit, run_experiment, run_or_resume
from flatrec.config import Component, Experiment, Regularization, Training, assignment, changed, read, settings, write
from flatrec.models import MODELS, LightGCN
from flatrec.refresh import read_settings
from flatrec.registry.instantiate import own_defaults, with_defaults
from flatrec.registry.model_defaults import defaults_sentence
from flatrec.registry.naming import import_named, with_named
from flatrec.research.league.settings import experiment_of
from flatrec.research.league.spec import Cell, League, Method, Plan, Rules
from flatrec.research.reproduction.experiment import paper_experiment
from flatrec.research.reproduction.rows import Row
from flatrec.research.sweeps.space import with_values
from flatrec.research.sweeps.sweep import Sweep
from flatrec.testing import block_dataset
from flatrec.utils import user_classes
from flatrec.utils.integrity import seal_text

DEFAULTS = {
    "model.edge_dropout": 0.1,
    "model.reg_weight": 2e-3,
    "loss.name": "softmax",
    "loss.temperature": 0.3,
    "sampling.n_negatives": 4,
    "regularization.kind": "squared",
    "regularization.weight": 0.01,
    "strategy.name": "sam",
    "strategy.rho": 0.02,
    "optimizer.lr": 0.003,
    "optimizer.betas": [0.8, 0.9],
    "training.average": "ema",
    "training.average_decay": 0.9,
    "training.batch_size": 512,
}
TAKEN = DEFAULTS | {"optimizer.betas": (0.8, 0.9)}
RELEASED = {
    "model.edge_dropout": 0.0,
    "model.reg_weight": 1e-4,
    "loss.name": "default",
    "sampling.n_negatives": 1,
    "regularization.kind": "default",
    "regularization.weight": 0.0,
    "strategy.name": "plain",
    "optimizer.lr": 1e-3,
    "optimizer.betas": (0.9, 0.999),
    "training.average": "none",
    "training.average_decay": 0.998,
    "training.batch_size": 2048,
}


class Measured(LightGCN):
    DEFAULTS: ClassVar = DEFAULTS


@pytest.fixture(autouse=True)
def _no_classes_of_other_tests(monkeypatch):
    monkeypatch.setattr(user_classes, "_loaded", [])


@pytest.fixture
def name():
    return import_named("model", Measured)


def stated(name, *texts):
    """The experiment of a model, with what ``--set`` says."""
    experiment = changed(Experiment(), {"model": {"name": name}})
    for text in texts:
        experiment = changed(experiment, assignment(text))
    return experiment


def differing(name, *texts):
    """The settings that are not those of the model's defaults, where something is stated."""
    usual, here = (settings(with_defaults(stated(name, *more))) for more in ((), texts))
    return {key: here.get(key) for key in {**usual, **here} if usual.get(key) != here.get(key)}


def released(name):
    found = settings(with_defaults(Experiment(model=Component(name)).completed()))
    return {key: found[key] for key in RELEASED}


def test_what_nobody_states_has_the_default_of_the_model(name):
    found = settings(with_defaults(stated(name)))
    assert {key: found[key] for key in TAKEN} == TAKEN
    assert (found["training.epochs"], found["optimizer.name"], found["strategy.interval"]) == (1000, "adam", 1)
    assert own_defaults(stated(name)) == TAKEN


def test_a_model_without_any_has_the_general_ones_and_the_strategy_of_those_is_plain():
    assert own_defaults(Experiment(model=Component("bpr"))) == own_defaults(Experiment(model=Component("popularity")))
    assert own_defaults(Experiment(model=Component("bpr"))) == {}
    assert with_defaults(Experiment(model=Component("bpr"))).strategy == Component("plain")


@pytest.mark.parametrize("model", MODELS)
def test_the_defaults_of_every_model_of_ours_are_settings_that_go_together(model):
    with_defaults(Experiment(model=Component(model)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optimizer.lr=0.5", {"optimizer.lr": 0.5}),
        ("optimizer.weight_decay=0.5", {"optimizer.weight_decay": 0.5}),
        ("strategy.rho=0.5", {"strategy.rho": 0.5}),
        ("model.edge_dropout=0.0", {"model.edge_dropout": 0.0}),
        ("model.embedding_dim=8", {"model.embedding_dim": 8}),
        ("loss.temperature=0.5", {"loss.temperature": 0.5}),
        ("sampling.n_negatives=1", {"sampling.n_negatives": 1}),
        ("regularization.weight=0.5", {"regularization.weight": 0.5}),
        ("regularization.weight=0.0", {"regularization.weight": 0.0}),
        ("training.batch_size=2048", {"training.batch_size": 2048}),
        ("training.average_decay=0.5", {"training.average_decay": 0.5}),
        ("training.epochs=3", {"training.epochs": 3}),
        ("training.amr.epsilon=0.5", {"training.amr.epsilon": 0.5}),
    ],
)
def test_a_setting_that_is_stated_wins_and_nothing_else_changes(name, text, expected):
    assert differing(name, text) == expected


@pytest.mark.parametrize(
    ("text", "general"),
    [
        ("regularization.kind=default", ["regularization.kind", "regularization.weight", "model.reg_weight"]),
        ("regularization.kind=none", ["regularization.weight", "model.reg_weight"]),
        ("regularization.kind=decoupled", ["regularization.weight", "model.reg_weight"]),
        ("regularization.kind=squared", ["regularization.weight", "model.reg_weight"]),
        ("training.average=none", ["training.average", "training.average_decay"]),
        ("training.average=swa", ["training.average_decay"]),
        ("optimizer.name=adam", ["optimizer.lr", "optimizer.betas"]),
        ("loss.name=default", ["loss.name", "sampling.n_negatives"]),
        ("loss.name=bpr", ["sampling.n_negatives"]),
        ("strategy.name=plain", ["strategy.name"]),
    ],
)
def test_what_belongs_to_a_choice_goes_with_it(name, text, general):
    key, _, value = text.partition("=")
    found = settings(with_defaults(stated(name, text)))
    assert found[key] == value
    assert {other: found[other] for other in general} == {other: RELEASED[other] for other in general}
    untouched = [other for other in TAKEN if other.split(".")[0] != key.split(".")[0] and other not in general]
    assert {other: found[other] for other in untouched} == {other: TAKEN[other] for other in untouched}


def test_a_strategy_that_is_named_has_the_defaults_of_its_class_even_if_it_is_the_models_own(name):
    found = with_defaults(stated(name, "strategy.name=sam")).strategy
    assert found == with_defaults(Experiment(model=Component("bpr"), strategy=Component("sam"))).strategy
    assert found.options["rho"] != 0.02


def test_the_order_in_which_a_user_states_things_does_not_matter(name):
    texts = ("strategy.name=bsam", "strategy.rho=0.3", "regularization.weight=0.2", "training.epochs=5")
    found = {write(with_defaults(stated(name, *order))) for order in (texts, texts[2:] + texts[:2])}
    assert len(found) == 1


def test_a_file_and_python_state_as_set_does(name, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f'[model]\nname = "{name}"\n[optimizer]\nweight_decay = 0.5\n[training]\nepochs = 3\n')
    python = Experiment(model=Component(name), training=Training(epochs=3))
    python = python.replace(optimizer=replace(python.optimizer, settings={"weight_decay": 0.5}))
    expected = with_defaults(stated(name, "optimizer.weight_decay=0.5", "training.epochs=3"))
    assert with_defaults(read(path)) == expected
    assert with_defaults(python) == expected
    again = with_defaults(python.replace(seed=3, training=python.training.replace(patience=3)))
    assert (again.optimizer.options["lr"], again.training.average, again.training.patience) == (0.003, "ema", 3)


def test_importing_classes_and_travelling_to_a_worker_state_nothing(name):
    experiment = stated(name, "strategy.rho=0.5", "optimizer.weight_decay=0.5")
    expected = with_defaults(experiment)
    assert expected.strategy == Component("sam", {**expected.strategy.options, "rho": 0.5})
    assert with_defaults(with_named(experiment)) == expected
    assert with_defaults(pickle.loads(pickle.dumps(experiment))) == expected


def test_a_complete_experiment_stays_what_it_is_when_the_defaults_change(name, tmp_path, monkeypatch):
    before = with_defaults(stated(name, "regularization.weight=0.5"))
    path = tmp_path / "experiment.toml"
    path.write_text(seal_text(write(before)))
    for defaults in ({}, {"strategy.name": "bsam", "training.average": "swa", "model.message_dropout": 0.4}):
        monkeypatch.setattr(Measured, "DEFAULTS", defaults)
        for again in (before, read(path), pickle.loads(pickle.dumps(before)), before.replace(seed=0)):
            assert again.complete
            assert own_defaults(again) == {}
            assert with_defaults(again) == before


def test_what_an_older_run_did_not_record_has_the_general_default(name, tmp_path):
    path = tmp_path / "experiment.toml"
    path.write_text(seal_text(f'[model]\nname = "{name}"\nembedding_dim = 8\n'))
    found = settings(with_defaults(read(path)))
    assert {key: found[key] for key in RELEASED} == RELEASED == released(name)


def test_a_run_folder_that_is_changed_takes_no_default_of_the_model(name, tmp_path):
    path = tmp_path / "experiment.toml"
    path.write_text(seal_text(write(with_defaults(Experiment(model=Component("bpr"))))))
    found = settings(with_defaults(changed(read(path), {"model": {"name": name}})))
    assert {key: found[key] for key in RELEASED} == RELEASED


def test_a_penalty_without_a_weight_drops_that_of_the_model(name):
    complete = with_defaults(stated(name))
    kind = changed(complete, {"regularization": {"kind": "default"}}).regularization
    assert kind == Regularization(kind="default")
    assert with_values(complete, {"regularization.kind": "none"}).regularization == Regularization(kind="none")


@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        ({"optimiser.lr": 0.1}, "Measured.DEFAULTS has 'optimiser.lr', but a name is that of a setting in one of"),
        ({"evaluation.mask": "train"}, "Measured.DEFAULTS has 'evaluation.mask'"),
        ({"model.name": "bpr"}, "Measured.DEFAULTS has 'model.name'"),
        ({"training.amr.epsilon": 0.1}, "Measured.DEFAULTS has 'training.amr.epsilon'"),
        ({3: 0.1}, "Measured.DEFAULTS has 3"),
        (["optimizer.lr"], r'Measured.DEFAULTS must be a mapping such as {"optimizer.lr": 0.003}'),
        ({"optimizer.learning": 0.1}, "Measured.DEFAULTS: optimizer.*learning"),
        ({"strategy.rho": 0.1}, "Measured.DEFAULTS: strategy.*rho"),
        ({"model.width": 3}, "Measured.DEFAULTS: model.*width"),
        ({"model.edge_dropout": 3.0}, "Measured.DEFAULTS: model.edge_dropout"),
        ({"regularization.weight": 0.1}, "Measured.DEFAULTS: regularization.*has no weight"),
        ({"training.average": "emma"}, "Measured.DEFAULTS: training.average"),
        ({"loss.name": "hinge"}, "Measured.DEFAULTS: unknown loss 'hinge'"),
    ],
)
def test_a_mistake_in_the_defaults_is_one_line_whatever_is_stated(name, monkeypatch, defaults, said):
    monkeypatch.setattr(Measured, "DEFAULTS", defaults)
    for texts in ((), ("optimizer.name=sgd", "strategy.name=plain", "regularization.kind=none")):
        with pytest.raises(ValueError, match=said) as error:
            with_defaults(stated(name, *texts))
        assert "\n" not in str(error.value)


def test_a_default_that_does_not_go_with_what_is_stated_is_named(name, monkeypatch):
    monkeypatch.setattr(Measured, "DEFAULTS", {"training.average": "swa", "training.average_start": 10})
    with pytest.raises(ValueError, match=r"average_start is 10, but .*epochs is 3.* defaults of the model do not go"):
        with_defaults(stated(name, "training.epochs=3"))
    with pytest.raises(ValueError, match="unknown setting 'raidus'") as error:
        with_defaults(stated(name, "strategy.name=sam", "strategy.raidus=1.0"))
    assert "defaults of the model" not in str(error.value)


def test_a_subclass_inherits_them_unless_it_has_its_own():
    class Inherits(Measured):
        pass

    class Free(Measured):
        DEFAULTS: ClassVar = {}

    assert own_defaults(Experiment(model=Component(import_named("model", Inherits)))) == TAKEN
    assert own_defaults(Experiment(model=Component(import_named("model", Free)))) == {}


def test_a_weight_without_a_kind_is_refused_where_the_model_has_no_default():
    with pytest.raises(ValueError, match=r"weight is 0.1, but regularization.kind default has no weight"):
        with_defaults(stated("bpr", "regularization.weight=0.1"))


def test_the_sentence_lists_what_is_taken(name):
    taken = own_defaults(stated(name, "optimizer.name=sgd", "strategy.name=plain", "loss.name=default"))
    said = defaults_sentence(taken)
    assert 'regularization.kind = "squared"' in said
    assert "optimizer.lr" not in said
    assert "\n" not in said
    assert defaults_sentence({}) == ""


SHORT = Training(epochs=1, loggers=())
DATA = block_dataset()


def test_fit_takes_them_and_its_arguments_win(tmp_path):
    result = fit(DATA, Measured, training=SHORT, out=tmp_path / "run").result["settings"]
    assert result["regularization"] == {"kind": "squared", "weight": 0.01}
    assert (result["strategy"]["name"], result["optimizer"]["options"]["lr"]) == ("sam", 0.003)
    assert (result["training"]["average"], result["training"]["epochs"]) == ("ema", 1)
    penalty = Regularization(kind="default")
    result = fit(
        DATA, Measured, "plain", optimizer_settings={"lr": 0.1}, regularization=penalty, training=SHORT
    ).result["settings"]
    assert result["regularization"] == {"kind": "default", "weight": 0.0}
    assert (result["strategy"]["name"], result["optimizer"]["options"]["lr"]) == ("plain", 0.1)
    assert result["optimizer"]["options"]["betas"] == (0.8, 0.9)


def test_a_model_that_is_given_as_an_object_has_them_too_but_keeps_its_own_settings():
    found = fit(DATA, Measured(DATA), training=SHORT).result["settings"]
    assert found["regularization"] == {"kind": "squared", "weight": 0.01}
    assert found["model"]["options"]["edge_dropout"] == 0.0


def test_a_run_is_resumed_and_repeated_as_it_was_when_the_defaults_change(name, tmp_path, monkeypatch):
    run = tmp_path / "run"
    run_experiment(stated(name).replace(training=SHORT), DATA, run)
    monkeypatch.setattr(Measured, "DEFAULTS", {"strategy.name": "plain"})
    recorded = read(run / "experiment.toml")
    assert run_experiment(recorded, DATA, run, resume=True).result["strategy"] == "sam"
    assert run_or_resume(run, recorded, DATA)["strategy"] == "sam"
    with pytest.raises(ValueError, match=r"strategy.name was 'sam', now 'plain'"):
        run_or_resume(run, stated(name).replace(training=SHORT), DATA)


def test_a_sweep_searches_the_weight_of_the_models_own_kind(name):
    sweep = Sweep(stated(name, "strategy.name=plain"))
    assert "regularization.weight" in sweep.proposed_space
    assert "model.reg_weight" not in sweep.proposed_space


def test_a_league_takes_none(name):
    method = Method("plain", Plan({"strategy.name": "plain"}))
    league = League(Rules(), {}, (Cell("cell", "shop", {"model.name": name}),), (method,))
    found = settings(experiment_of(league, league.cells[0], method, {}, seed=0))
    assert {key: found[key] for key in RELEASED} == RELEASED


def test_a_reproduction_takes_none(monkeypatch):
    row = Row("baby", "lightgcn", "bsam+")
    before = with_defaults(paper_experiment(row))
    monkeypatch.setattr(LightGCN, "DEFAULTS", DEFAULTS)
    assert with_defaults(paper_experiment(row)) == before


def test_a_nightly_job_takes_none_but_follows_the_run_that_it_names(monkeypatch, tmp_path):
    monkeypatch.setattr(LightGCN, "DEFAULTS", DEFAULTS)
    run = with_defaults(stated("lightgcn"))
    (tmp_path / "run.toml").write_text(seal_text(write(run)))
    head, path = 'data = "shop"\nfolder = "out"\n[train]\n', tmp_path / "shop.toml"
    path.write_text(f'{head}model = {{name = "lightgcn"}}\n')
    found = settings(read_settings(path).train)
    assert {key: found[key] for key in RELEASED} == RELEASED
    path.write_text(f'{head}config = "run.toml"\n')
    assert read_settings(path).train == run
