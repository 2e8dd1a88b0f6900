import json

import pytest

import flatrec as library
from flatrec.data.formats import mmrec
from flatrec.inference.forget import without_users
from flatrec.inference.storage import save_recommender
from flatrec.testing import block_dataset
from tests.cli.conftest import SMALL

SAMPLED = 'evaluation.metrics=["ndcg", "sampled_hit_rate", "sampled_ndcg"]'
WORDS = ("--model", "aligngroup", "--set", "model.n_layers=1", "--set", SAMPLED, *SMALL)


@pytest.fixture
def run(flatrec, blocks, tmp_path):
    """A finished run in which groups alone are scored."""
    outcome = flatrec("train", "--data", blocks, *WORDS, "--group", "--out", tmp_path / "groups")
    assert outcome.code == 0, outcome.err
    assert "blocks · groups alone" in " ".join(outcome.out.split())
    assert "sampled_ndcg@10" in " ".join(outcome.out.split())
    return tmp_path / "groups"


def expected(run, rows, split="test"):
    """The scores of some of the users, by the vectors of the run."""
    loaded = library.load_run(run)
    users, items = loaded.scoring().users, loaded.scoring().items
    result = library.evaluate(users, items, loaded.dataset.interactions, split=split, metrics=["ndcg"])
    chosen = [position for position, user in enumerate(result.users.tolist()) if user in rows]
    return {name: float(values[chosen].mean()) for name, values in result.per_user.items()}


def test_groups_alone_are_monitored_scored_and_scored_again(flatrec, run):
    result = json.loads((run / "result.json").read_text())
    groups = library.load_run(run).dataset.groups
    of_groups = expected(run, set(groups.indices.tolist()))
    assert result["settings"]["evaluation"]["users"] == "groups"
    assert {name: result["test"][name] for name in of_groups} == pytest.approx(of_groups)
    best = expected(run, set(groups.indices.tolist()), "valid")
    assert {name: result["valid"][name] for name in best} == pytest.approx(best)
    again = json.loads(flatrec("evaluate", run, "--json").out)
    assert (again["users"], again["metrics"], again["differing"]) == ("groups", result["test"], [])


def test_a_run_that_scored_everybody_is_scored_by_its_groups(flatrec, blocks, tmp_path):
    assert flatrec("train", "--data", blocks, *WORDS, "--out", tmp_path / "all").code == 0
    everybody = json.loads(flatrec("evaluate", tmp_path / "all", "--json").out)
    groups = json.loads(flatrec("evaluate", tmp_path / "all", "--group", "--json").out)
    assert "users" not in everybody
    assert (groups["users"], groups["differing"]) == ("groups", [])
    of_groups = expected(tmp_path / "all", set(library.load_run(tmp_path / "all").dataset.groups.indices.tolist()))
    assert {name: groups["metrics"][name] for name in of_groups} == pytest.approx(of_groups)
    assert groups["metrics"] != everybody["metrics"]
    assert "groups alone" in " ".join(flatrec("evaluate", tmp_path / "all", "--group").out.split())


def test_groups_get_recommendations_and_persons_are_told_from_them(flatrec, run):
    answer = json.loads(flatrec("recommend", run, "--group", "user 6", "-k", 2, "--json").out)
    (found,) = answer["recommendations"]
    loaded = library.load_run(run)
    assert found["user"] == "user 6"
    assert [one["item"] for one in found["items"]] == [one.item for one in loaded.recommend("user 6", 2)[0]]
    assert flatrec("recommend", run, "--group", "user 5").err.strip() == (
        "flatrec: 'user 5' is a person, not a group; name it with --user"
    )
    assert "there is no group 'nobody'" in flatrec("recommend", run, "--group", "nobody").err


def test_forgotten_users_leave_the_groups_in_place(run, tmp_path):
    recommender = library.load_recommender(run)
    left = without_users(recommender, ["user 0", "user 6"])
    assert [left.users[row] for row in left.groups] == ["user 7", "user 14", "user 15", "user 22", "user 23"]
    save_recommender(left, tmp_path / "left")
    assert library.load_recommender(tmp_path / "left").groups == left.groups


def test_data_without_groups_are_refused(flatrec, tmp_path):
    mmrec.write(block_dataset(users=2), tmp_path / "pairs")
    outcome = flatrec("train", "--data", tmp_path / "pairs", "--model", "item-knn", "--group", "--out", tmp_path / "no")
    assert outcome.code != 0
    assert "evaluation.users is groups, but 'blocks' has no groups; add [groups]" in outcome.err
    assert not (tmp_path / "no").exists()
    assert flatrec("train", "--data", tmp_path / "pairs", "--model", "popularity", "--out", tmp_path / "run").code == 0
    assert "trained on data without groups" in flatrec("recommend", tmp_path / "run", "--group", "user 0").err


def test_the_commands_take_it_and_refuse_vectors_in_one_line(flatrec, blocks, tmp_path):
    run = tmp_path / "groups"
    settings = ("--set", "model.predictor=mlp", "--set", "model.n_layers=1", *SMALL)
    assert flatrec("train", "--data", blocks, "--model", "aligngroup", *settings, "--group", "--out", run).code == 0
    again = json.loads(flatrec("evaluate", run, "--json").out)
    assert (again["users"], again["differing"]) == ("groups", [])
    answer = json.loads(flatrec("recommend", run, "--group", "user 6", "-k", 2, "--json").out)
    loaded = library.load_run(run)
    assert [one["item"] for one in answer["recommendations"][0]["items"]] == [
        one.item for one in loaded.recommend("user 6", 2)[0]
    ]
    refused = flatrec("export", run, "--what", "vectors", "--out", tmp_path / "vectors")
    assert refused.code != 0
    assert refused.err.strip().count("\n") == 0
    assert "train with --set model.predictor=dot" in refused.err
