import pytest

from flatrec.data.loading import load_data

FILES = {
    "groupMember": "0 0,1\n1 1,2\n",
    "userRatingTrain": "0 5 80\n0 6 0\n1 7 20\n\n",
    "userRatingTest": "0 7 40\n",
    "groupRatingTrain": "0 5 10\n1 7 60\n1 7 60\n",
    "groupRatingTest": "0 6 0\n",
    "groupRatingNegative": "(0,6) 5 7\n",
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
