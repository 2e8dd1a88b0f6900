"""A sweep tries what it should, once each, whoever dies, and confirms the winner on seeds that chose nothing."""

from __future__ import annotations

import optuna
import pytest

from flatrec import config
from flatrec.config import Experiment
from flatrec.data.formats import mmrec
from flatrec.research.execution import Workers
from flatrec.research.reporting import study_result
from flatrec.research.sweeps import Choices, Range, Sweep, run_sweep
from flatrec.research.sweeps.confirmation import CHOSEN, GIVEN
from flatrec.research.sweeps.store import StudyAddress, open_study
from flatrec.research.sweeps.sweep import STORE
from flatrec.research.sweeps.trials import TrialJob, run_trial
from flatrec.testing import block_dataset
from tests.research.heard import Heard

RATES = {"optimizer.lr": Choices((0.001, 0.01, 0.1))}


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "blocks"
    mmrec.write(block_dataset(blocks=3, users=8, items=6), folder)
    return folder


@pytest.fixture
def experiment(blocks):
    changes = {
        "data": str(blocks),
        "model": {"name": "lightgcn", "embedding_dim": 4},
        "strategy": {"name": "plain"},
        "training": {"epochs": 3, "batch_size": 32, "monitor": "recall@5", "loggers": []},
    }
    return config.changed(Experiment(), changes)


def begun(store):
    """A trial that nobody works on."""
    with pytest.warns(UserWarning, match="Heartbeat"):
        return store.ask()


def in_store(url, name="sweep"):
    """The newest study of a sweep in a store."""
    names = [one for one in optuna.get_all_study_names(url) if one.startswith(f"{name} ")]
    return open_study(StudyAddress(url, max(names)))


def trials(outcome):
    """Rows of the table of trials: number, state, score and settings."""
    return outcome.tables[0].rows


def test_a_grid_is_tried_once_each_and_the_best_on_validation_is_confirmed(experiment, tmp_path):
    found = run_sweep(Sweep(experiment, RATES, "grid", seeds=(1, 2)), tmp_path)
    rows = trials(found)
    assert sorted(row[3] for row in rows) == ["0.001", "0.01", "0.1"]
    assert {row[1] for row in rows} == {"complete"}
    scores = [row[2] for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert f"optimizer.lr {rows[0][3]}" in found.findings[0]
    confirmed = found.tables[1]
    assert {row[3] for row in confirmed.rows} == {CHOSEN, GIVEN}
    assert {row[7] for row in confirmed.rows} == {2}
    assert found.failures == ()
    assert found == study_result.read_study_result(tmp_path)
    for ending in ("png", "svg"):
        assert (tmp_path / "figures" / f"trials.{ending}").stat().st_size > 1000
    assert (tmp_path / "tables" / "trials.csv").read_text(encoding="utf-8").count("\n") == 4


def test_a_baseline_is_tuned_by_its_own_settings(experiment, tmp_path):
    tuned = config.changed(experiment, {"model": {"name": "ease"}})
    found = run_sweep(Sweep(tuned, sampler="grid", seeds=(1, 2)), tmp_path)
    assert sorted(float(row[3]) for row in trials(found)) == [10, 50, 200, 500, 1000]
    assert found.failures == ()


def test_a_sweep_minimizes_a_metric_in_which_lower_is_better(experiment, tmp_path):
    changes = {
        "training": {"monitor": "avg_popularity@5"},
        "evaluation": {"ks": [5], "metrics": ["recall", "ndcg", "avg_popularity", "gini"]},
    }
    found = run_sweep(Sweep(config.changed(experiment, changes), RATES, "grid", seeds=(1,)), tmp_path)
    scores = [row[2] for row in trials(found)]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1]
    assert f"(avg_popularity@5 {scores[0]:.4f})" in found.findings[0]
    name = optuna.get_all_study_names(f"sqlite:///{tmp_path / STORE}")[0]
    assert optuna.load_study(study_name=name, storage=f"sqlite:///{tmp_path / STORE}").direction.name == "MINIMIZE"
    rows = {(row[3], row[4]): row for row in found.tables[1].rows}
    assert {metric for _, metric in rows} == {"recall@5", "ndcg@5", "gini@5"}
    chosen, given = rows[CHOSEN, "gini@5"], rows[GIVEN, "gini@5"]
    assert chosen[9] == pytest.approx(1 - chosen[5] / given[5])


def test_a_second_time_trains_nothing_and_more_trials_go_on(experiment, tmp_path):
    space = {"optimizer.lr": Range(0.001, 0.1, log=True)}
    first = run_sweep(Sweep(experiment, space, "random", n_trials=2), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/result.json")}
    assert run_sweep(Sweep(experiment, space, "random", n_trials=2), tmp_path) == first
    more = run_sweep(Sweep(experiment, space, "random", n_trials=4), tmp_path)
    assert set(trials(first)) < set(trials(more))
    assert len(trials(more)) == 4
    after = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/result.json")}
    assert before.items() < after.items()


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_proposals_lie_within_the_range_and_differ(experiment, tmp_path, sampler):
    space = {"optimizer.lr": Range(0.001, 0.1, log=True), "model.n_layers": Choices((1, 2))}
    rows = trials(run_sweep(Sweep(experiment, space, sampler, n_trials=4), tmp_path))
    rates = [float(row[3]) for row in rows]
    assert len(set(rates)) == 4
    assert all(0.001 <= rate <= 0.1 for rate in rates)
    assert {row[4] for row in rows} <= {"1", "2"}


def test_random_proposals_follow_from_the_seed_whoever_makes_them(experiment, tmp_path):
    space = {"optimizer.lr": Range(0.001, 0.1, log=True)}
    asked = Sweep(experiment, space, "random", n_trials=3)
    alone, together = run_sweep(asked, tmp_path / "alone"), run_sweep(asked, tmp_path / "together", workers=Workers(2))
    assert {row[2:] for row in trials(alone)} == {row[2:] for row in trials(together)}
    assert trials(run_sweep(asked, tmp_path / "again")) == trials(alone)


def test_a_hopeless_trial_is_given_up(experiment, tmp_path):
    space = {"optimizer.lr": Choices((0.02, 0.021, 0.022, 0.023, 0.024, 1e-12))}
    longer = config.changed(experiment, {"training": {"epochs": 12}})
    rows = trials(run_sweep(Sweep(longer, space, "grid"), tmp_path))
    assert {row[3]: row[1] for row in rows} == {
        **dict.fromkeys(("0.02", "0.021", "0.022", "0.023", "0.024"), "complete"),
        "1e-12": "pruned",
    }


def test_a_trial_that_fails_is_a_row_and_is_tried_again_next_time(experiment, tmp_path):
    freedom = config.changed(experiment, {"model": {"name": "freedom"}})
    asked = Sweep(freedom, {"model.n_neighbors": Choices((1000, 2, 3))}, "grid")
    for _ in range(2):
        heard = Heard()
        found = run_sweep(asked, tmp_path, callback=heard)
        (failure,) = found.failures
        assert failure.run.startswith("trial ")
        assert "neighbors" in failure.error
        assert failure.error in str(heard.done)
        assert heard.plans[0] == (len(heard.done), 3 - len(heard.done))
        assert heard.begun == heard.names
        assert heard.plans[-1] == (0, 3 - len(heard.done))  # before the runs on fresh seeds, of which there are none
        assert sorted(row[3] for row in trials(found) if row[1] == "complete") == ["2", "3"]
    assert [row[3] for row in trials(found) if row[1] == "fail"] == ["1000", "1000"]


def test_a_sweep_none_of_whose_trials_ends_says_why(experiment, tmp_path):
    freedom = config.changed(experiment, {"model": {"name": "freedom"}})
    with pytest.raises(ValueError, match=r"no trial could be finished: trial 0: .*neighbors"):
        run_sweep(Sweep(freedom, {"model.n_neighbors": Choices((1000,))}, "grid"), tmp_path)
    assert not (tmp_path / study_result.STUDY_FILE).exists()


def test_a_trial_that_was_killed_is_made_anew(experiment, tmp_path):
    asked = Sweep(experiment, RATES, "grid")
    run_sweep(Sweep(experiment, RATES, "grid", n_trials=1), tmp_path)
    store = in_store(f"sqlite:///{tmp_path / STORE}")
    store.enqueue_trial({"optimizer.lr": "0.01"})
    left = begun(store)
    left.suggest_categorical("optimizer.lr", ["0.001", "0.01", "0.1"])
    rows = trials(run_sweep(asked, tmp_path))
    assert sorted(row[3] for row in rows if row[1] == "complete") == ["0.001", "0.01", "0.1"]
    assert [(row[0], row[3]) for row in rows if row[1] == "fail"] == [(left.number, "0.01")]


def test_a_job_whose_worker_died_is_not_taken_for_one_under_way(experiment, tmp_path):
    place = StudyAddress(f"sqlite:///{tmp_path / STORE}", "sweep")
    job = TrialJob("mark", place, "random", RATES, experiment, tmp_path / "runs", 1)
    dead = begun(open_study(place))
    dead.set_user_attr("job", "mark")
    assert run_trial(job) is None
    assert [trial.state.name for trial in open_study(place).get_trials()] == ["FAIL", "COMPLETE"]


def test_another_workers_trial_counts_as_under_way(experiment, tmp_path):
    place = StudyAddress(f"sqlite:///{tmp_path / STORE}", "sweep")
    begun(open_study(place)).set_user_attr("job", "another")
    assert run_trial(TrialJob("mark", place, "random", RATES, experiment, tmp_path / "runs", 1)) is None
    assert [trial.state.name for trial in open_study(place).get_trials()] == ["RUNNING"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"n_trials": 0}, "trials must lie between 1 and 1000000, but is 0"),
        ({"sampler": "cmaes"}, "grid, random or tpe, but is 'cmaes'"),
        ({"seeds": (0, 1)}, "fresh seeds must differ, and from the trials' 0"),
        ({"seeds": (1, 1)}, "fresh seeds must differ"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused(experiment, asked, said):
    with pytest.raises(ValueError, match=said):
        Sweep(experiment, RATES, **asked)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"optimizer.rate": Choices((0.1,))}, "unknown setting 'rate'"),
        ({"model.embedding_dim": Choices((8, "wide"))}, "dim"),
        ({"strategy.rho": Range(0.1, 0.2)}, "rho"),
    ],
)
def test_a_setting_that_does_not_exist_is_refused_before_anything_is_trained(experiment, tmp_path, space, said):
    with pytest.raises(ValueError, match=said):
        run_sweep(Sweep(experiment, space), tmp_path)
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all/x.sqlite3", "nosuch://host/name", "not a url"])
def test_a_store_that_cannot_be_reached_is_one_line(experiment, tmp_path, url):
    with pytest.raises(
        ConnectionError, match=r"^the store .* cannot be reached or read \(.*\); give --storage a URL such as"
    ):
        run_sweep(Sweep(experiment, RATES, storage=url), tmp_path)


def test_a_damaged_store_is_one_line(experiment, tmp_path):
    (tmp_path / STORE).write_bytes(b"no database" * 100)
    with pytest.raises(ConnectionError, match="cannot be reached or read"):
        run_sweep(Sweep(experiment, RATES), tmp_path)
