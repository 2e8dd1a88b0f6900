import numpy as np
import pytest
import torch

from flatrec.data.loading import load_data
from flatrec.evaluation import evaluate_scorer
from flatrec.evaluation.metrics import EvaluationData
from flatrec.evaluation.sampled import released_rows
from flatrec.evaluation.scored_users import scored_interactions

FILES = {
    "groupMember": "0 0,1\n1 1,2\n",
    "userRatingTrain": "0 5 80\n0 6 0\n1 7 20\n\n",
    "userRatingTest": "0 7 40\n",
    "groupRatingTrain": "0 5 10\n1 7 60\n1 7 60\n",
    "groupRatingTest": "0 6 0\n",
    "groupRatingNegative": "(0,6) 5 7 7 99 6\n\n",
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "toy").mkdir()
    for name, content in FILES.items():
        (tmp_path / "toy" / f"{name}.txt").write_text(content)
    return tmp_path / "toy"


def test_persons_and_groups_are_read_as_users(folder):
    dataset = load_data(folder)
    assert (dataset.name, list(dataset.users), list(dataset.items)) == (
        "toy",
        ["0", "1", "2", "group-0", "group-1"],
        ["5", "6", "7"],
    )
    rows = {tuple(row[name] for name in ("user", "item", "split")) for row in dataset.to_frame().to_dicts()}
    assert rows == {
        ("0", "5", "train"),
        ("1", "7", "train"),
        ("0", "7", "test"),
        ("group-0", "5", "train"),
        ("group-1", "7", "train"),
        ("group-0", "6", "test"),
    }
    members = [row.indices.tolist() for row in dataset.groups.matrix()[dataset.groups.indices]]
    assert members == [[0, 1], [1, 2]]
    assert dataset.cleaning_report.events.low_ratings == 1


def test_ratings_may_be_left_out(folder):
    (folder / "userRatingTrain.txt").write_text("0 5\n1 7\n")
    assert len(load_data(folder).interactions) == 6


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("groupMember", "0\n", r"groupMember.txt line 1 is '0'; expected a group and its members"),
        ("userRatingTrain", "0 5\n1\n", r"userRatingTrain.txt line 2 is '1'; expected a user, an item"),
        ("userRatingTrain", "0 5 good\n", r"line 1 has the rating 'good'; give it a number"),
        ("groupRatingTrain", "0 5\n9 5\n", "no member of 1 groups that have interactions, such as group-9"),
    ],
)
def test_a_malformed_file_is_refused_by_its_line(folder, name, content, message):
    (folder / f"{name}.txt").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_data(folder)


def test_a_missing_file_is_named(folder):
    (folder / "groupRatingTest.txt").unlink()
    with pytest.raises(FileNotFoundError, match="groupRatingTest.txt does not exist; a folder with groupMember.txt"):
        load_data(folder)


def test_released_negatives_are_read_by_index_without_items_that_the_data_lack(folder):
    (folder / "userRatingNegative.txt").write_text("(0,7) 6\n")
    dataset = load_data(folder)
    released = dataset.released_negatives
    users, items = np.array([4 - 1, 0]), np.array([1, 2])  # group-0 and 6, 0 and 7
    rows = released.rows_of(users, items)
    assert released.padded(rows, fill=-1).tolist() == [[0, 2, 2, 1], [1, -1, -1, -1]]
    assert released.n_left_out == 1
    assert any("1 of 6 released negatives are items without an interaction" in one for one in dataset.warnings)


def test_sampled_metrics_rank_among_them_where_each_scored_interaction_has_some(folder):
    dataset = load_data(folder)
    scores = torch.zeros(5, 3)
    scores[3] = torch.tensor([1.0, 2.0, 3.0])  # of the list 5, 7, 7 and of 6, 6 has rank 3: 7 is above it twice
    names, ks = ("sampled_hit_rate", "sampled_ndcg"), (1, 2, 3)

    def evaluated(users, split="test", data=dataset):
        return evaluate_scorer(
            lambda block: scores[block],
            scored_interactions(data, users),
            split=split,
            ks=ks,
            metrics=names,
            released_negatives=data.released_negatives,
        )

    found = evaluated("groups")
    assert found.candidates == "released"
    assert [found.metrics[f"sampled_hit_rate@{k}"] for k in ks] == [0, 0, 1]
    assert found.metrics["sampled_ndcg@3"] == pytest.approx(0.5)
    assert evaluated("all").candidates == "drawn"  # the file of persons is not there
    (folder / "groupRatingNegative.txt").unlink()
    assert load_data(folder).released_negatives is None
    assert evaluated("groups", data=load_data(folder)).candidates == "drawn"


def test_a_split_with_other_interactions_is_ranked_among_items_drawn_here(folder):
    dataset = load_data(folder)
    train, test = (dataset.interactions.indices(split) for split in ("train", "test"))
    assert dataset.released_negatives.rows_of(*train) is None
    assert dataset.released_negatives.rows_of(*test) is None  # that of a person has no list
    assert dataset.released_negatives.rows_of(np.array([3]), np.array([1])).tolist() == [0]
    data = EvaluationData(dataset.interactions, "valid", torch.tensor([3]))
    assert released_rows(dataset.released_negatives, data) is None


def test_the_fingerprint_is_that_of_the_data_without_them(folder):
    before = load_data(folder).fingerprint
    (folder / "groupRatingNegative.txt").unlink()
    assert load_data(folder).fingerprint == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0,6 5 7\n", r"groupRatingNegative.txt line 1 begins with '0,6 5'; expected \(group,item\) and the items"),
        ("(0,6)\n", r"line 1 begins with '\(0,6\)'; expected"),
        ("(0,6) 5\n(0,6) (0,6)\n", r"line 2 begins with '\(0,6\) \(0,6\)'; expected"),
        ("(0,6) 5\n(1,6) 5\n", r"line 2 is for \(1,6\), which groupRatingTest.txt does not have"),
        ("\n", r"has no line for \(0,6\) of .*groupRatingTest.txt line 1; give it one, or remove the file"),
    ],
    ids=["no parentheses", "no items", "two pairs", "another pair", "missing"],
)
def test_broken_negatives_are_refused_in_one_line(folder, content, message):
    (folder / "groupRatingNegative.txt").write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        load_data(folder)
    assert "\n" not in str(error.value)
