import copy
import pickle
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from flatrec import testing
from flatrec.config import SplitSettings
from flatrec.data.formats import mmrec
from flatrec.data.groups import Groups
from flatrec.data.loading import load_data


def write(folder, toml="", **tables):
    folder.mkdir(exist_ok=True)
    for name, rows in tables.items():
        (folder / f"{name}.csv").write_text("\n".join(rows) + "\n")
    (folder / "dataset.toml").write_text(
        f'interactions = "clicks.csv"\n{toml}\n[groups]\nmembers = "members.csv"\ninteractions = "teams.csv"\n'
    )
    return folder


CLICKS = ["user,item,split", "anna,x,train", "bert,y,train", "anna,y,test"]
TEAMS = ["team,item,split", "red,x,train", "red,y,test", "blue,y,train"]
MEMBERS = ["team,person", "red,anna", "red,bert", "blue,bert", "blue,carl", "red,anna", "green,carl"]
SPLIT = 'split_column = "split"'


@pytest.fixture
def dataset(tmp_path):
    return load_data(write(tmp_path / "shop", SPLIT, clicks=CLICKS, teams=TEAMS, members=MEMBERS))


def test_groups_and_members_are_users_whether_they_have_interactions_or_not(dataset):
    assert list(dataset.users) == ["anna", "bert", "blue", "carl", "green", "red"]
    assert [dataset.users[index] for index in dataset.groups.indices.tolist()] == ["blue", "green", "red"]
    assert [dataset.users[index] for index in dataset.groups.person_indices.tolist()] == ["anna", "bert", "carl"]
    found = {
        (dataset.users[group], dataset.users[person])
        for group, person in zip(dataset.groups.groups.tolist(), dataset.groups.persons.tolist(), strict=True)
    }
    assert found == {("red", "anna"), ("red", "bert"), ("blue", "bert"), ("blue", "carl"), ("green", "carl")}


def test_interactions_of_persons_and_groups_are_the_interactions(dataset):
    rows = {(row["user"], row["item"], row["split"]) for row in dataset.to_frame().to_dicts()}
    expected = {("anna", "x", "train"), ("bert", "y", "train"), ("anna", "y", "test")}
    expected |= {("red", "x", "train"), ("red", "y", "test"), ("blue", "y", "train")}
    assert rows == expected


def test_ids_of_groups_that_are_ids_of_persons_are_refused_or_get_a_prefix(tmp_path):
    clicks = ["user,item", "1,a", "1,b", "2,a"]
    teams, members = ["team,item", "1,b", "2,a"], ["team,member", "1,1", "1,2", "2,3"]
    folder = write(tmp_path / "numbers", clicks=clicks, teams=teams, members=members)
    with pytest.raises(ValueError, match=r"2 ids of groups that are ids of persons too, such as 1, 2; give \[groups\]"):
        load_data(folder)
    with (folder / "dataset.toml").open("a") as file:
        file.write('prefix = "team-"\n')
    dataset = load_data(folder)
    assert list(dataset.users) == ["1", "2", "3", "team-1", "team-2"]
    assert dataset.groups.indices.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"teams": [*TEAMS, "grey,x,train"]}, "no member of 1 groups that have interactions, such as grey"),
        ({"members": [*MEMBERS, "blue,red"]}, "1 ids of groups that are ids of persons too, such as red"),
        ({"members": ["team,animal", "red,anna"]}, "no column of member ids"),
        ({"toml": f"{SPLIT}\nk_core = 2"}, "k_core = 2 would remove members"),
        ({"teams": ["team,item", "red,x"]}, "has no column 'split'"),
    ],
    ids=["no member", "nested", "column", "k-core", "split"],
)
def test_what_does_not_fit_is_refused_in_one_line(tmp_path, changed, message):
    given = {"toml": SPLIT, "clicks": CLICKS, "teams": TEAMS, "members": MEMBERS} | changed
    with pytest.raises(ValueError, match=message) as error:
        load_data(write(tmp_path / "wrong", **given))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("groups", "persons", "message"),
    [
        ([3], [4], r"persons must be user indices in \[0, 4\)"),
        ([3, 3], [0, 0], "a member of a group twice"),
        ([3, 2], [2, 0], "user 2 is a group and a member"),
        ([], [], "one entry per membership"),
        ([3], [0, 1], "have 1 and 2"),
    ],
)
def test_memberships_that_cannot_be_are_refused(groups, persons, message):
    with pytest.raises(ValueError, match=message):
        Groups(np.array(groups, np.int64), np.array(persons, np.int64), 4)


def test_the_fingerprint_tells_memberships_apart_but_not_their_order(dataset):
    groups = dataset.groups
    order = np.arange(len(groups.groups))[::-1]
    same = replace(dataset, groups=Groups(groups.groups[order], groups.persons[order], groups.n_users))
    fewer = replace(dataset, groups=Groups(groups.groups[1:], groups.persons[1:], groups.n_users))
    none = replace(dataset, groups=None)
    assert same.fingerprint == dataset.fingerprint
    assert len({one.fingerprint for one in (dataset, fewer, none)}) == 3
    assert pickle.loads(pickle.dumps(dataset)).fingerprint == copy.deepcopy(dataset).fingerprint == dataset.fingerprint


def test_groups_must_be_of_the_users_of_the_data(dataset):
    with pytest.raises(ValueError, match="groups are for 7 users, the data set has 6"):
        replace(dataset, groups=replace(dataset.groups, n_users=7))


def test_written_and_read_again_they_are_the_same(dataset, tmp_path):
    for one in (dataset, testing.block_dataset()):
        mmrec.write(one, tmp_path / one.name)
        assert load_data(tmp_path / one.name).fingerprint == one.fingerprint
    pl.DataFrame({"groupID": [99], "memberID": [0]}).write_parquet(tmp_path / "blocks" / "groups.parquet")
    with pytest.raises(ValueError, match="1 groups or members without an interaction, such as 99"):
        load_data(tmp_path / "blocks")


def test_blocks_have_groups_that_differ_in_a_member():
    groups = testing.block_dataset(blocks=2, users=5, items=4).groups
    assert groups.indices.tolist() == [3, 4, 8, 9]
    members = [row.indices.tolist() for row in groups.matrix()[groups.indices]]
    assert members == [[1, 2], [0, 2], [6, 7], [5, 7]]
    assert testing.block_dataset(users=2).groups is None


def test_another_split_and_other_indices_keep_the_groups(dataset):
    order = np.arange(dataset.n_users)[::-1]
    other = testing.datasets.permuted(dataset, order, np.arange(dataset.n_items))
    assert {other.users[index] for index in other.groups.indices.tolist()} == {"red", "green", "blue"}
    assert testing.datasets.enlarged(dataset, users=2).groups.indices.tolist() == dataset.groups.indices.tolist()
    assert dataset.split_again(SplitSettings(method="none")).groups is dataset.groups
