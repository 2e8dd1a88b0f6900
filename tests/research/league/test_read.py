"""A league that would not be fair, or cannot be run, is refused by one line before anything is trained."""

from __future__ import annotations

import pytest

from flatrec.research.league import read_league
from flatrec.research.league.season import Season
from flatrec.research.league.settings import space_of
from flatrec.research.league.spec import is_tuned, n_points
from flatrec.research.sweeps.space import Choices, Range

LEAGUE = """
n_trials = 2
final_seeds = [1, 2]
disturbances = { vectors = [0.1], edit = [0.5] }
[data]
blocks = "data/blocks"
[settings]
model.name = "lightgcn"
strategy.name = "plain"
[cells.blocks]
data = "blocks"
[methods.plain.space]
optimizer.lr = [0.001, 0.01]
model.reg_weight = [0.0, 0.01]
[methods.sam.settings]
strategy.name = "sam"
[methods.sam.space]
optimizer.lr = [0.001, 0.01]
model.reg_weight = [0.0, 0.01]
[methods.sam.models.lightgcn.space]
strategy.rho = { low = 0.1, high = 1.0 }
[[comparisons]]
method = "sam"
baseline = "plain"
metric = "recall@10"
under = "vectors=0.1"
claim = "SAM is more robust"
"""


def written(tmp_path, old="", new=""):
    assert old in LEAGUE
    path = tmp_path / "league.toml"
    path.write_text(LEAGUE.replace(old, new, 1) if old else LEAGUE)
    return path


def test_a_league_is_read(tmp_path):
    league = read_league(written(tmp_path), {"blocks": "elsewhere"})
    assert league.cells[0].data == "elsewhere"
    assert league.rules.levels == ["vectors=0.1", "edit=0.5"]
    assert [method.name for method in league.methods] == ["plain", "sam"]
    assert space_of(league, league.cells[0], league.methods[1]) == {
        "optimizer.lr": Choices((0.001, 0.01)),
        "model.reg_weight": Choices((0.0, 0.01)),
        "strategy.rho": Range(0.1, 1.0),
    }
    assert league.comparisons[0].under == "vectors=0.1"
    Season(league, with_data=False)  # checks settings


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("final_seeds = [1, 2]", "final_seeds = [0, 1]", "final_seeds contain 0, the seed of the trials"),
        ("final_seeds = [1, 2]", "final_seeds = [1]", "at least two different seeds"),
        ("final_seeds = [1, 2]", "final_seeds = [1, 1]", "at least two different seeds"),
        ("n_trials = 2", "n_trials = 0", "n_trials must lie between 1 and"),
        ("n_trials = 2", "n_trials = 2\nn_trial = 2", "n_trial"),
        ("n_trials = 2", 'n_trials = "two"', "n_trials"),
        ("n_trials = 2", "n_trials = 2\nbudget = -1", "budget must be at least 0"),
        ("n_trials = 2", 'n_trials = 2\nbudget_of = "bsam"', "budget_of must be one of plain, sam, but is 'bsam'"),
        ("vectors = [0.1]", "vector = [0.1]", "unknown kind of disturbance 'vector'; did you mean vectors"),
        ("vectors = [0.1]", "vectors = [0.0]", "levels of vectors must be above 0"),
        ("edit = [0.5]", "edit = [1.5]", "edit is a fraction of at most 100%"),
        ("edit = [0.5]", "false = [0.1]", "false trains again|unknown kind of disturbance 'false'"),
        ("edit = [0.5]", 'edit = "a lot"', "disturbances"),
        ('under = "vectors=0.1"', 'under = "vectors=0.2"', "under must be one of vectors=0.1, edit=0.5"),
        ('baseline = "plain"', 'baseline = "sam"', "sam is compared with itself"),
        ('baseline = "plain"', 'baseline = "plan"', "baseline must be one of plain, sam, but is 'plan'"),
        ('metric = "recall@10"', 'metrics = "recall@10"', "metrics"),
        ('data = "blocks"', 'data = ""', "data must be the name of a data set or its path"),
        ('[cells.blocks]\ndata = "blocks"', "[cells]", "at least one cell"),
        ("[methods.plain.space]", '[methods."a/b".space]', "without a slash"),
        ("[methods.sam.models.lightgcn.space]", "[methods.sam.models.lightgcn.spaces]", "spaces"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused(tmp_path, old, new, said):
    with pytest.raises(ValueError, match=said) as refused:
        read_league(written(tmp_path, old, new))
    assert str(refused.value).startswith(str(tmp_path / "league.toml"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('strategy.name = "plain"\n', "", "blocks, plain: model.name and strategy.name must be stated"),
        ('model.name = "lightgcn"\n', "", "blocks: model.name is missing"),
        ("n_trials = 2", "n_trials = 5", "plain: the space has 4 points, but every method gets n_trials = 5"),
        ("model.reg_weight = [0.0, 0.01]\n", "", "must contain optimizer.lr and a regularization"),
        ("optimizer.lr = [0.001, 0.01]\n", "", "must contain optimizer.lr and a regularization"),
        ("model.reg_weight", "model.reg_wait", "no model of the cells has the setting model.reg_wait"),
        ("models.lightgcn", "models.freedom", "no cell has the model 'freedom'"),
        ("strategy.rho", "strategy.rhoo", "unknown setting 'rhoo'"),
        ('metric = "recall@10"', 'metric = "recall@7"', "metric must be one of .* at one of evaluation.ks"),
    ],
)
def test_a_league_that_cannot_be_run_fairly_is_refused(tmp_path, old, new, said):
    with pytest.raises(ValueError, match=said) as refused:
        Season(read_league(written(tmp_path, old, new)), with_data=False)
    assert "\n" not in str(refused.value)


def test_a_baseline_is_compared_over_splits(tmp_path):
    text = LEAGUE.replace("model.reg_weight", "regularization.weight").replace("models.lightgcn", "models.popularity")
    path = tmp_path / "league.toml"
    path.write_text(text.replace('"lightgcn"', '"popularity"'))
    with pytest.raises(ValueError, match=r'a baseline has no seeds to be compared over; set replication = "splits"'):
        Season(read_league(path), with_data=False)


def test_a_space_without_regularization_is_allowed_for_a_reason(tmp_path):
    new = 'optimizer.lr = [0.001, 0.01]\n[methods.plain]\nreason = "it is shown how it does without"\n[methods.sam.set'
    text = LEAGUE.replace("model.reg_weight = [0.0, 0.01]\n", "", 1).replace(
        "optimizer.lr = [0.001, 0.01]\n[methods.sam.set", new, 1
    )
    path = tmp_path / "league.toml"
    path.write_text(text)
    Season(read_league(path), with_data=False)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none.toml; give the path of a .toml file"):
        read_league(tmp_path / "none.toml")


def test_the_number_of_points_and_what_counts_as_tuned():
    rates, weights = Choices((0.1, 0.2)), Choices((0.0, 0.0, 1.0))
    assert n_points({"optimizer.lr": rates, "regularization.weight": weights}) == 4  # equal values count once
    assert n_points({"optimizer.lr": Range(0.1, 0.2)}) == float("inf")
    assert is_tuned({"optimizer.lr": rates, "model.edge_dropout": weights})
    assert not is_tuned({"optimizer.lr": rates, "strategy.rho": weights})
    assert not is_tuned({"regularization.weight": weights})
