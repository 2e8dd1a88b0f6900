"""A sweep goes on with its own trials, and those of others are never taken for its own."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace

import optuna
import pytest

from flatrec import config
from flatrec.config import Experiment
from flatrec.data.formats import mmrec
from flatrec.research.sweeps import Choices, Range, Sweep, run_sweep
from flatrec.research.sweeps.identity import Identity, read_identity
from flatrec.research.sweeps.shared_study import MADE_WITH, enter_study
from flatrec.research.sweeps.store import open_study
from flatrec.research.sweeps.sweep import STORE
from flatrec.testing import block_dataset

LR = "optimizer.lr"
NARROW = {LR: Choices((0.001, 0.01))}


def written(folder, blocks=3):
    mmrec.write(replace(block_dataset(blocks=blocks, users=8, items=6), name=folder.name), folder)
    return folder


@pytest.fixture
def experiment(tmp_path):
    changes = {
        "data": str(written(tmp_path / "blocks")),
        "model": {"name": "lightgcn", "embedding_dim": 4},
        "strategy": {"name": "sam"},
        "regularization": {"kind": "default"},
        "training": {"epochs": 1, "batch_size": 32, "monitor": "recall@5", "loggers": []},
    }
    return config.changed(Experiment(), changes)


def contents(folder):
    """Every file but the store, and what the store holds."""
    files = {
        path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name not in (STORE, ".lock")
    }
    return files, in_store(f"sqlite:///{folder / STORE}")


def in_store(url):
    return {
        name: [
            (one.number, one.state, one.params, one.value)
            for one in optuna.load_study(study_name=name, storage=url).trials
        ]
        for name in optuna.get_all_study_names(url)
    }


def rows(outcome):
    return {row[0]: row[1:] for row in outcome.tables[0].rows}


def refused(one, out, *parts):
    with pytest.raises(ValueError, match="choose another --out or --name") as error:
        run_sweep(one, out)
    message = str(error.value)
    assert all(part in message for part in parts), message
    assert len(message.splitlines()) == 1
    assert len(message.replace(str(out), "")) < 500
    return message


def test_other_data_are_refused_before_anything_is_touched(experiment, tmp_path):
    out = tmp_path / "out"
    run_sweep(Sweep(experiment, NARROW, "random", n_trials=2, seeds=(1,)), out)
    before = contents(out)
    other = experiment.replace(data=str(written(tmp_path / "four", blocks=4)))
    refused(Sweep(other, NARROW, "random", n_trials=4), out, "data was blocks, now four")
    assert contents(out) == before


def test_data_that_have_changed_in_their_folder_are_refused(experiment, tmp_path):
    run_sweep(Sweep(experiment, NARROW, "random", n_trials=1), tmp_path / "out")
    shutil.rmtree(tmp_path / "blocks")
    written(tmp_path / "blocks", blocks=4)
    from flatrec.research.studies import base  # noqa: PLC0415 - another process would know nothing of the data before

    base._load.cache_clear()
    refused(Sweep(experiment, NARROW, "random", n_trials=1), tmp_path / "out", "data blocks has other interactions")


def test_the_same_data_at_another_place_go_on(experiment, tmp_path):
    first = run_sweep(Sweep(experiment, NARROW, "random", n_trials=1), tmp_path / "out")
    shutil.copytree(tmp_path / "blocks", tmp_path / "copy" / "blocks")
    moved = experiment.replace(data=str(tmp_path / "copy" / "blocks"))
    more = run_sweep(Sweep(moved, NARROW, "random", n_trials=2), tmp_path / "out")
    assert rows(first).items() <= rows(more).items()
    assert len(rows(more)) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": {"name": "bpr"}}, 'model.name was "lightgcn", now "bpr"'),
        ({"model": {"embedding_dim": 8}}, "model.embedding_dim was 4, now 8"),
        ({"strategy": {"name": "bsam"}}, 'strategy.name was "sam", now "bsam"'),
        ({"strategy": {"rho": 0.3}}, "strategy.rho was 0.1, now 0.3"),
        ({"training": {"epochs": 2}}, "training.epochs was 1, now 2"),
        ({"evaluation": {"ks": [5, 10]}}, "evaluation.ks was [5, 10, 20], now [5, 10]"),
        ({"training": {"monitor": "ndcg@5"}}, "monitor was recall@5, now ndcg@5"),
        ({"seed": 7}, "seed was 0, now 7"),
    ],
)
def test_other_settings_are_refused(experiment, tmp_path, change, said):
    out = tmp_path / "out"
    run_sweep(Sweep(experiment, NARROW, "random", n_trials=1), out)
    before = contents(out)
    refused(Sweep(config.changed(experiment, change), NARROW, "random", n_trials=1), out, said)
    assert contents(out) == before


def test_another_sampler_is_refused(experiment, tmp_path):
    run_sweep(Sweep(experiment, NARROW, "random", n_trials=1), tmp_path / "out")
    refused(Sweep(experiment, NARROW, "tpe", n_trials=1), tmp_path / "out", "sampler was random, now tpe")


def test_many_differences_are_counted_and_not_all_told(experiment, tmp_path):
    run_sweep(Sweep(experiment, NARROW, "random", n_trials=1), tmp_path / "out")
    changes = {
        "seed": 1,
        "training": {"epochs": 2, "max_grad_norm": 1.0, "patience": 3, "perturb_exclude": ["x" * 900]},
    }
    refused(Sweep(config.changed(experiment, changes), NARROW, "random"), tmp_path / "out", "; and 2 more")


def test_settings_that_change_no_score_and_those_that_are_tried_may_differ(experiment, tmp_path):
    run_sweep(Sweep(experiment, NARROW, "random", n_trials=1), tmp_path / "out")
    changes = {"optimizer": {"lr": 0.5}, "training": {"checkpoint_every": 5, "loggers": ["csv"]}}
    more = run_sweep(Sweep(config.changed(experiment, changes), NARROW, "random", n_trials=2), tmp_path / "out")
    assert len(rows(more)) == 2


def test_a_store_that_several_share_is_asked_before_a_folder_is_made(experiment, tmp_path):
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    run_sweep(Sweep(experiment, NARROW, "random", n_trials=1, storage=storage), tmp_path / "one")
    before = in_store(storage)
    other = config.changed(experiment, {"training": {"epochs": 2}})
    refused(Sweep(other, NARROW, "random", n_trials=1, storage=storage), tmp_path / "two", "shared.db", "epochs was 1")
    assert not (tmp_path / "two").exists()
    assert in_store(storage) == before
    named = run_sweep(Sweep(other, NARROW, "random", n_trials=1, storage=storage, name="sweep 1"), tmp_path / "two")
    assert len(rows(named)) == 1
    assert before.items() < in_store(storage).items()


def test_a_store_without_identities_is_refused(experiment, tmp_path):
    storage = f"sqlite:///{tmp_path / 'old.db'}"
    optuna.create_study(storage=storage, study_name="sweep", direction="maximize")
    refused(
        Sweep(experiment, NARROW, "random", storage=storage),
        tmp_path / "out",
        "old.db",
        "does not say what its trials were made with",
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("record", [None, 5, {}, {"version": 1}])
def test_what_is_no_identity_is_none(record):
    assert read_identity(record) is None


def test_an_identity_of_another_version_is_refused(experiment, tmp_path):
    out = tmp_path / "out"
    run_sweep(Sweep(experiment, NARROW, "random", n_trials=1), out)
    url = f"sqlite:///{out / STORE}"
    (name,) = optuna.get_all_study_names(url)
    study = optuna.load_study(study_name=name, storage=url)
    study.set_user_attr(MADE_WITH, {**study.user_attrs[MADE_WITH], "version": 99})
    refused(Sweep(experiment, {LR: Choices((0.001, 0.01, 0.1))}, "random"), out, "another version of flatrec")


# A space that has grown, and others.


def wider(sampler):
    """A space, one that contains it, and the trials that make each full."""
    return {
        "grid": (NARROW, {LR: Choices((0.1, 0.001, 0.01))}),
        "random": (NARROW, {LR: Choices((0.001, 0.01, 0.1, 0.2))}),
        "tpe": ({LR: Range(0.001, 0.01, log=True)}, {LR: Range(0.0001, 0.1)}),
    }[sampler]


@pytest.mark.parametrize("sampler", ["grid", "random", "tpe"])
def test_a_wider_space_goes_on_with_all_trials_made(experiment, tmp_path, sampler):
    narrow, wide = wider(sampler)
    first = rows(run_sweep(Sweep(experiment, narrow, sampler, n_trials=2), tmp_path / "out"))
    found = run_sweep(Sweep(experiment, wide, sampler, n_trials=3), tmp_path / "out")
    more = rows(found)
    assert len(first) == 2
    assert first.items() <= more.items()
    assert sorted(more) == [0, 1, 2]
    assert {row[0] for row in more.values()} <= {"complete", "pruned"}
    assert found.failures == ()
    best = min(more, key=lambda number: (-more[number][1], number))
    assert f"trial {best} of 3: {LR} {more[best][2]}" in found.findings[0]
    again = run_sweep(Sweep(experiment, wide, sampler, n_trials=3), tmp_path / "out")
    assert again == found
    if sampler == "grid":
        assert {row[2] for row in more.values()} == {"0.1", "0.001", "0.01"}


def test_the_winner_is_the_best_of_both_spaces(experiment, tmp_path):
    longer = config.changed(experiment, {"training": {"epochs": 8}})
    good, bad = 0.05, 1e-12
    run_sweep(Sweep(longer, {LR: Choices((good,))}, "grid"), tmp_path / "out")
    found = run_sweep(Sweep(longer, {LR: Choices((bad, good))}, "grid"), tmp_path / "out")
    scores = {row[2]: row[1] for row in rows(found).values()}
    assert scores[str(good)] > scores[str(bad)]
    assert f"trial 0 of 2: {LR} {good}" in found.findings[0]
    other = run_sweep(Sweep(longer, {LR: Choices((bad,))}, "grid"), tmp_path / "other")
    assert rows(other)[0][1] == scores[str(bad)]
    turned = run_sweep(Sweep(longer, {LR: Choices((bad, good))}, "grid"), tmp_path / "other")
    assert f"trial 1 of 2: {LR} {good}" in turned.findings[0]


def test_choices_go_on_as_a_range_around_them(experiment, tmp_path):
    first = rows(run_sweep(Sweep(experiment, NARROW, "random", n_trials=2), tmp_path / "out"))
    more = rows(
        run_sweep(Sweep(experiment, {LR: Range(0.0001, 0.1, log=True)}, "random", n_trials=4), tmp_path / "out")
    )
    assert {number: (*row[:2], float(row[2])) for number, row in first.items()}.items() <= {
        number: (*row[:2], float(row[2])) for number, row in more.items()
    }.items()
    assert len(more) == 4


def test_a_narrower_space_without_what_was_tried_is_refused_and_one_with_it_goes_on(experiment, tmp_path):
    out = tmp_path / "out"
    run_sweep(Sweep(experiment, {LR: Choices((0.001, 0.01, 0.1))}, "grid", n_trials=2), out)
    before = contents(out)
    refused(Sweep(experiment, {LR: Choices((0.01, 0.1))}, "grid"), out, f"trial 0 tried {LR} 0.001")
    assert contents(out) == before
    assert len(rows(run_sweep(Sweep(experiment, NARROW, "grid"), out))) == 2


def test_going_back_to_the_space_before_is_refused_once_more_was_tried(experiment, tmp_path):
    out = tmp_path / "out"
    run_sweep(Sweep(experiment, NARROW, "grid"), out)
    run_sweep(Sweep(experiment, {LR: Choices((0.001, 0.01, 0.1))}, "grid"), out)
    refused(Sweep(experiment, NARROW, "grid"), out, f"trial 2 tried {LR} 0.1")


def test_other_parameters_are_refused(experiment, tmp_path):
    run_sweep(Sweep(experiment, NARROW, "random", n_trials=1), tmp_path / "out")
    both = {**NARROW, "model.n_layers": Choices((1, 2))}
    said = f"what is tried was {LR}, now model.n_layers, {LR}"
    refused(Sweep(experiment, both, "random", n_trials=2), tmp_path / "out", said)


def test_what_failed_outside_of_the_new_space_hinders_nothing(experiment, tmp_path):
    freedom = config.changed(experiment, {"model": {"name": "freedom"}})
    name = "model.n_neighbors"
    run_sweep(Sweep(freedom, {name: Choices((1000, 2))}, "grid"), tmp_path / "out")
    more = rows(run_sweep(Sweep(freedom, {name: Choices((2, 3))}, "grid"), tmp_path / "out"))
    assert {number: (row[0], row[2]) for number, row in more.items()} == {
        0: ("fail", ""),
        1: ("complete", "2"),
        2: ("complete", "3"),
    }


def test_a_killed_machines_half_taken_trials_are_completed(experiment, tmp_path, monkeypatch):
    out = tmp_path / "out"
    wide = {LR: Choices((0.001, 0.01, 0.1))}
    first = rows(run_sweep(Sweep(experiment, NARROW, "grid"), out))
    url = f"sqlite:///{out / STORE}"
    (name,) = optuna.get_all_study_names(url)
    found = read_identity(optuna.load_study(study_name=name, storage=url).user_attrs[MADE_WITH])
    assert found is not None
    identity = replace(found, space={LR: "[0.001, 0.01, 0.1]"})
    half = optuna.create_study(storage=url, study_name=f"sweep 2 {identity.digest}", direction="maximize")
    trial = optuna.load_study(study_name=name, storage=url).trials[0]
    trial.distributions = {LR: optuna.distributions.CategoricalDistribution(["0.001", "0.01", "0.1"])}
    half.add_trial(trial)
    monkeypatch.setattr("flatrec.research.sweeps.shared_study.WAIT", 1)
    more = rows(run_sweep(Sweep(experiment, wide, "grid"), out))
    assert first.items() <= more.items()
    assert sorted(more) == [0, 1, 2]


def test_two_that_begin_at_once_with_different_things_never_mix(experiment, tmp_path):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    dataset = block_dataset(blocks=3, users=8, items=6)
    one = Identity.of(experiment, dataset, NARROW, monitor="recall@5", sampler="random")
    other = replace(one, fingerprint="0" * 16)
    place = enter_study(url, "sweep", one, NARROW, alone=False)
    study = open_study(replace(place, name=f"sweep 1 {other.digest}"))  # as another machine would that looked before
    assert study.trials == []
    assert enter_study(url, "sweep", one, NARROW, alone=False) == place


def test_the_password_of_a_store_is_not_shown(experiment, tmp_path):
    with pytest.raises((ConnectionError, ModuleNotFoundError)) as error:
        run_sweep(Sweep(experiment, NARROW, storage="postgresql+psycopg://me:secret@127.0.0.1:1/x"), tmp_path / "out")
    assert "secret" not in str(error.value)
    assert "127.0.0.1" in str(error.value)


def test_optuna_is_silent_when_trials_fail(experiment, tmp_path, caplog, capfd):
    freedom = config.changed(experiment, {"model": {"name": "freedom"}})
    with caplog.at_level(logging.WARNING):
        run_sweep(Sweep(freedom, {"model.n_neighbors": Choices((1000, 2))}, "grid"), tmp_path / "out")
    assert not [one for one in caplog.records if one.name.startswith("optuna")]
    assert capfd.readouterr().err == ""
