"""Data sets from frames are those of the same tables in files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flatrec.config import SplitSettings
from flatrec.data.builder import EventSettings
from flatrec.data.dataset import Dataset
from flatrec.data.formats.table import ItemSource, TableSettings
from flatrec.data.loading import load_data
from flatrec.data.tables.events import RowSettings
from flatrec.data.tables.feature_files import FeatureSource
from flatrec.data.tables.groups import GroupSource
from flatrec.data.tables.text import Layout
from tests.data.frames.kinds import KINDS, to_pandas, to_pyarrow

CLICKS = pl.DataFrame(
    {
        "customer": ["a", "a", "a", "b", "b", "b", "c", "c", "c", "c", "b", "a"],
        "sku": [1, 2, 3, 1, 2, 10, 3, 10, 1, 2, 3, 10],
        "part": [
            "train",
            "train",
            "test",
            "train",
            "valid",
            "train",
            "train",
            "train",
            "test",
            "valid",
            "test",
            "train",
        ],
    }
)
ITEMS = pl.DataFrame({"sku": [10, 1, 2, 3], "name": ["Lamp", "Mug", None, "Bowl"]})
VECTORS = np.array([[10.0, 0.5], [1.0, 1.5], [2.0, 2.5], [3.0, 3.5]], dtype=np.float32)
FEATURES = pl.DataFrame({"sku": [10, 1, 2, 3], "x": VECTORS[:, 0], "y": VECTORS[:, 1]})
COLUMNS = TableSettings(
    user_column="customer", item_column="sku", split_column="part", items=ItemSource(title_column="name")
)
DESCRIPTION = """
interactions = "clicks.ENDING"
user_column = "customer"
item_column = "sku"
split_column = "part"
[items]
file = "items.ENDING"
title_column = "name"
[features.image]
file = "image.ENDING"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The tables in files of both kinds, each kind with its description, and the vectors in an array."""
    path = tmp_path_factory.mktemp("files")
    for name, frame in (("clicks", CLICKS), ("items", ITEMS), ("image", FEATURES)):
        frame.write_csv(path / f"{name}.csv")
        frame.write_parquet(path / f"{name}.parquet")
    for ending in ("csv", "parquet"):
        (path / f"{ending}.toml").write_text(DESCRIPTION.replace("ENDING", ending))
    np.save(path / "image.npy", VECTORS)
    return path


def of_kind(kind):
    return [KINDS[kind](frame) for frame in (CLICKS, ITEMS, FEATURES)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_frame_gives_the_fingerprint_of_the_files(folder, kind):
    clicks, items, features = of_kind(kind)
    dataset = Dataset.from_frames(clicks, items, {"image": features}, columns=COLUMNS, name="shop")
    for ending in ("csv", "parquet"):
        read = load_data(folder / f"{ending}.toml")
        assert dataset.fingerprint == read.fingerprint
        assert dataset.titles == read.titles == ("Mug", "2", "Bowl", "Lamp")
    assert list(dataset.items) == ["1", "2", "3", "10"]
    assert dataset.features["image"].values.tolist() == [[1, 1.5], [2, 2.5], [3, 3.5], [10, 0.5]]
    assert (dataset.name, dataset.source, dataset.warnings[-1]) == (
        "shop",
        None,
        "1 item without a title; their ids are shown instead",
    )


@pytest.mark.parametrize(
    "vectors",
    [
        FEATURES,
        FEATURES.select("sku", vector=pl.Series(VECTORS)),
        (["10", "1", "2", "3"], VECTORS),
        ([10, 1, 2, 3], torch.tensor(VECTORS)),
        (np.array([10, 1, 2, 3]), torch.tensor(VECTORS, requires_grad=True)),
        (np.array([10.0, 1.0, 2.0, 3.0]), VECTORS),
        (torch.tensor([10, 1, 2, 3]), VECTORS),
        (ITEMS["sku"], VECTORS.astype(np.float64)),
        VECTORS,  # in the order of the items
        torch.tensor(VECTORS),
    ],
)
def test_features_come_as_frames_and_as_arrays_with_ids(folder, vectors):
    dataset = Dataset.from_frames(CLICKS, ITEMS, {"image": vectors}, columns=COLUMNS)
    assert dataset.fingerprint == load_data(folder / "csv.toml").fingerprint


def test_features_come_from_files(folder):
    for vectors in (
        folder / "image.npy",
        str(folder / "image.npy"),
        ([10, 1, 2, 3], folder / "image.npy"),
        folder / "image.parquet",
        FeatureSource(folder / "image.npy", folder / "items.csv"),
    ):
        dataset = Dataset.from_frames(CLICKS, ITEMS, {"image": vectors}, columns=COLUMNS)
        assert dataset.fingerprint == load_data(folder / "csv.toml").fingerprint


def test_columns_of_features_are_named_as_in_a_description():
    features = FEATURES.rename({"sku": "thing"})
    columns = TableSettings(features={"image": FeatureSource(id_column="thing")})
    dataset = Dataset.from_frames(CLICKS, features={"image": features}, columns=columns)
    assert dataset.features["image"].present.all()
    with pytest.raises(ValueError, match=r"columns.features names 'image' without a file; give features = "):
        Dataset.from_frames(CLICKS, columns=columns)


def test_columns_are_recognized_by_their_names():
    frame = CLICKS.rename({"customer": "User_ID", "sku": "ITEM", "part": "split"}).with_columns(price=pl.lit(1.5))
    items = ITEMS.rename({"name": "title"})
    dataset = Dataset.from_frames(frame, items)
    assert dataset.fingerprint == Dataset.from_frames(CLICKS, columns=COLUMNS, items=ITEMS).fingerprint
    assert dataset.titles == ("Mug", "2", "Bowl", "Lamp")
    assert dataset.name == "frames"


def test_the_split_and_the_other_settings_are_those_of_a_description():
    columns = TableSettings(
        split=SplitSettings(method="random", seed=3), events=EventSettings(k_core=3), name="own", item_column="sku"
    )
    dataset = Dataset.from_frames(CLICKS, columns=columns)
    assert dataset.name == "own"
    assert dataset.split_report.settings.seed == 3
    again = Dataset.from_frames(CLICKS, columns=columns, split=SplitSettings(method="none"))
    assert again.interactions.count("train") == 12


EVENTS = pl.DataFrame(
    {
        "customer": ["a", "a", "b", "b", "a", "b", " C", None],
        "sku": [1, 1, 1, 2, 2, 2, 1, 1],
        "what": ["view", "purchase", "purchase", "purchase", "wish", "return", "view", "view"],
        "pieces": [None, 2.0, 1.0, 1.0, None, 1.0, None, None],
        "when": [datetime(2024, 1, day, 12, 30, tzinfo=UTC) for day in (1, 2, 3, 4, 5, 6, 7, 8)],
    }
)
EVENT_KEYS = """
user_column = "customer"
item_column = "sku"
time_column = "when"
event_column = "what"
quantity_column = "pieces"
return_events = ["return"]
weigh_quantities = true
missing_ids = "drop"
id_matching = "trim+lower"
split = {method = "none"}
events = {purchase = 1.0, view = 0.2}
[items]
file = "items.csv"
title_column = "name"
columns = ["price"]
"""
EVENT_COLUMNS = TableSettings(
    user_column="customer",
    item_column="sku",
    rows=RowSettings(
        time_column="when",
        event_column="what",
        event_weights={"purchase": 1.0, "view": 0.2},
        return_events=("return",),
        quantity_column="pieces",
        missing_ids="drop",
        id_matching="trim+lower",
    ),
    events=EventSettings(weigh_quantities=True),
    split=SplitSettings(method="none"),
    items=ItemSource(title_column="name", columns=("price",)),
)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("pandas categories", "pyarrow dictionaries")])
def test_events_of_frames_are_those_of_a_description(kind, tmp_path):
    items = ITEMS.with_columns(price=pl.Series([1.5, 2.5, None, 4.0]))
    EVENTS.with_columns(pl.col("when").dt.to_string("%Y-%m-%dT%H:%M:%SZ")).write_csv(tmp_path / "events.csv")
    items.write_csv(tmp_path / "items.csv")
    (tmp_path / "dataset.toml").write_text('interactions = "events.csv"' + EVENT_KEYS)
    dataset = Dataset.from_frames(KINDS[kind](EVENTS), KINDS[kind](items), columns=EVENT_COLUMNS)
    noon = 1_704_067_200 + 45_000  # of 2024-01-01, 12:30 in UTC
    expected = [
        ("a", "1", noon + 86_400, pytest.approx(2.2), "train"),  # a view, and two pieces
        ("b", "1", noon + 2 * 86_400, pytest.approx(1.0), "train"),
        ("c", "1", noon + 6 * 86_400, pytest.approx(0.2), "train"),
    ]
    assert dataset.to_frame().sort("user").rows() == expected
    assert dataset.fingerprint == load_data(tmp_path).fingerprint
    assert dataset.items_frame().sort("item").rows()[0] == ("1", "Mug", 2.5)
    assert dataset.split_again(SplitSettings(method="none")).fingerprint == dataset.fingerprint


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_times_are_whole_seconds_in_utc(unit, zone):
    times = pl.Series([datetime(2024, 7, 1, 2), datetime(2024, 7, 1, 2, 0, 1, 900_000)]).dt.cast_time_unit(unit)
    frame = pl.DataFrame({"user": ["a", "b"], "item": ["x", "y"], "time": times.dt.replace_time_zone(zone)})
    midnight = 1_719_792_000  # of 2024-07-01 in UTC; in Berlin, it is two o'clock
    first = midnight if zone == "Europe/Berlin" else midnight + 7_200
    for one in (frame, to_pandas(frame)):
        dataset = Dataset.from_frames(one, split=SplitSettings(method="none"))
        assert dataset.to_frame()["timestamp"].to_list() == [first, first + 1]


def test_texts_of_numbers_have_the_decimal_mark_of_the_settings():
    frame = pl.DataFrame({"user": ["a", "b"], "item": ["x", "y"], "amount": ["1.234,5", "0,25"]})
    columns = TableSettings(rows=RowSettings(weight_column="amount"), layout=Layout(decimal=","))
    assert Dataset.from_frames(frame, columns=columns).to_frame()["weight"].to_list() == [1234.5, 0.25]


def test_only_the_columns_that_are_read_have_to_be_tables():
    clicks = to_pandas(CLICKS)
    clicks["note"] = [{"a": 1}, *[None] * 11]
    assert Dataset.from_frames(clicks, columns=TableSettings(user_column="customer")).n_users == 3


def test_images_are_paths_in_a_column_of_items(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("1.jpg", "2.png"):
        (tmp_path / name).write_bytes(b"")
    names = {"sku": [1, 2, 3], "image": [tmp_path / "1.jpg", Path("2.png"), None]}
    for items in (pl.DataFrame(names), to_pandas(pl.DataFrame(names))):
        dataset = Dataset.from_frames(CLICKS, items, columns=TableSettings(user_column="customer"))
        assert dataset.images == (tmp_path / "1.jpg", Path("2.png"), None, None)
    (tmp_path / "2.png").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"the frame of items lists 1 of 2 images that do not exist, e\.g\. 2\.png"
    ):
        Dataset.from_frames(CLICKS, items, columns=TableSettings(user_column="customer"))


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.text("ab é\n,\";'", min_size=1, max_size=3).filter(str.strip)),
        min_size=1,
        max_size=30,
    ),
    st.randoms(use_true_random=False),
)
def test_a_frame_and_the_file_that_it_was_written_to_agree_in_any_order(tmp_path_factory, rows, random):
    rows = [(user, item.strip()) for user, item in rows]
    path = tmp_path_factory.mktemp("own") / "clicks.csv"
    pl.DataFrame(rows, schema=["user", "item"], orient="row").write_csv(path)
    shuffled = random.sample(rows, len(rows))
    frame = pl.DataFrame(shuffled, schema=["user", "item"], orient="row")
    none = SplitSettings(method="none")
    dataset = Dataset.from_frames(frame, split=none)
    assert dataset.fingerprint == load_data(path, none).fingerprint
    assert {tuple(pair) for pair in dataset.to_frame().select("user", "item").rows()} == {
        (str(user), item) for user, item in rows
    }


def refusal(*given, **named):
    with pytest.raises((ValueError, TypeError)) as caught:
        Dataset.from_frames(*given, **named)
    message = str(caught.value)
    assert "\n" not in message
    return message


def clicks(**columns):
    return pl.DataFrame({"user": ["a", "b", "c"], "item": [1, 2, 3]}).with_columns(**columns)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            clicks(item=pl.Series([1, None, None])),
            "has 2 of 3 interactions without item id, the first in row 1, counted from 0;",
        ),
        (clicks(item=pl.Series([[1], [2], [3]])), "has column 'item' of lists; ids and names must be text or whole"),
        (clicks(item=pl.Series([{"a": 1}] * 3)), "has column 'item' of groups of named values"),
        (clicks(item=pl.Series([1.5, 2.0, 3.0])), "has column 'item' of numbers with a decimal point"),
        (
            clicks(item=pl.Series([1, 2, "x"], dtype=pl.Object)),
            "has column 'item' of mixed values (a whole number in row 0, but text in row 2, counted from 0)",
        ),
        (clicks().head(0), "is empty; expected at least one row"),
        (clicks().lazy().filter(pl.lit(value=False)), "is empty; expected at least one row"),
        (
            clicks().rename({"item": "thing"}),
            "has no column of item ids (named item, item_id, itemid, iid, product, product_id or similar); its "
            "columns are ['user', 'thing']: name the right one in a dataset.toml, or in TableSettings for a frame",
        ),
        (clicks().lazy().select("nothing"), "cannot be read as a lazy frame: "),
        (clicks().lazy().with_columns(item=pl.col("user").cast(pl.Int64)), "cannot be read as a table with a header: "),
    ],
)
def test_a_bad_frame_is_refused_in_one_line(frame, message):
    assert refusal(frame).startswith(f"the frame of interactions {message}")


@pytest.mark.repeats
@pytest.mark.parametrize("thing", [{"user": ["a"], "item": ["b"]}, "clicks.csv", None])
def test_what_is_no_frame_is_refused_in_one_line(thing):
    assert refusal(thing) == (
        "the frame of interactions must be a frame of polars, pandas or pyarrow, or have Arrow's PyCapsule interface, "
        f"but is of type {type(thing).__name__}; load_data reads files"
    )


@pytest.mark.repeats
@pytest.mark.parametrize(
    ("features", "message"),
    [
        (VECTORS, "the array of image features has rows without ids; give features = {'image': (ids, array)}, or"),
        ("image.npy", "image.npy has rows without ids; give features = {'image': (ids, array)}, or"),
        (([1, 2], VECTORS), "the array of image features has 4 rows for 2 item ids; give one id per row"),
        (([1, 2, 3, 3], VECTORS), "the array of image features has 1 repeated item ids, such as '3'; keep one row per"),
        ((["7", "8", "9", "6"], VECTORS), "the array of image features has "),
        (
            ([1, 2, 3, None], VECTORS),
            "the ids of image features has 1 of 4 rows without an item id, the first in row 3",
        ),
        (
            ([1, 2, "x", 3], VECTORS),
            "the ids of image features has column 'id' of mixed values (a whole number in row 0,",
        ),
        (("abcd", VECTORS), "the ids of image features cannot be read as one item id per row: they are of type str"),
        (
            (VECTORS, VECTORS),
            "the ids of image features cannot be read as one item id per row: they are of type ndarray",
        ),
        (([1, 2, 3, 4], VECTORS[0]), "the array of image features must be a numeric matrix with one row per item, but"),
        (([1, 2, 3, 4], VECTORS.astype(object)), "the array of image features must be a numeric matrix"),
        (
            ([1, 2, 3, 4], VECTORS.tolist()),
            "the array of image features must be an array of NumPy, a tensor of torch or",
        ),
        (
            ([1, 2, 3, 4], VECTORS * np.nan),
            "the array of image features: features must be finite, but 3 of 3 rows hold NaN",
        ),
        (
            (["1", float("nan"), "3", "4"], VECTORS),
            "the ids of image features has 1 of 4 rows without an item id, the first in row 1",
        ),
        (
            ([1], VECTORS, 3),
            "features['image'] must be a frame, an array, or the two of (ids, array), but is a tuple of 3",
        ),
        (5, "the frame of image features must be a frame of polars, pandas or pyarrow"),
        (
            pl.DataFrame({"item": [1], "day": ["x"]}),
            "the frame of image features cannot be read as a table with numeric",
        ),
    ],
)
def test_bad_features_are_refused_in_one_line(features, message):
    assert refusal(clicks(), features={"image": features}).startswith(message)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            TableSettings(Path("clicks.csv")),
            "columns names the file clicks.csv for interactions, which are a frame; leave",
        ),
        (
            TableSettings(layout=Layout(";")),
            "columns.layout says how a text file is written; a frame has no part of it but decimal",
        ),
        (
            TableSettings(items=ItemSource(title_column="name")),
            "columns.items names columns of a frame of items, but there",
        ),
        (
            TableSettings(user_column="kunde"),
            "the frame of interactions has no column 'kunde'; its columns are ['user', 'item']",
        ),
    ],
)
def test_columns_that_do_not_fit_are_refused_in_one_line(columns, message):
    assert refusal(clicks(), columns=columns).startswith(message)


def test_a_file_for_a_frame_of_items_is_refused():
    columns = TableSettings(items=ItemSource(Path("items.csv")))
    assert refusal(clicks(), ITEMS, columns=columns).startswith("columns names the file items.csv for items, which are")


def test_equal_names_of_columns_are_refused():
    frame = to_pandas(clicks())
    frame.columns = ["user", "user"]
    expected = "has 2 columns named 'user' (columns 0 and 1, counted from 0); rename or drop all but one"
    assert refusal(frame) == f"the frame of interactions {expected}"
    table = to_pyarrow(clicks())
    assert refusal(table.rename_columns(["user", "user"])) == f"the frame of interactions {expected}"


PERSONS = pl.DataFrame({"user": ["anna", "bert", "anna"], "item": ["x", "y", "y"], "split": ["train", "train", "test"]})
TEAMS = pl.DataFrame({"team": ["red", "red", "blue"], "item": ["x", "y", "y"], "split": ["train", "test", "train"]})
MEMBERS = pl.DataFrame({"team": ["red", "red", "blue", "green"], "person": ["anna", "bert", "bert", "carl"]})


def test_groups_are_those_of_the_same_tables_in_files(tmp_path):
    for name, frame in (("clicks", PERSONS), ("teams", TEAMS), ("members", MEMBERS)):
        frame.write_csv(tmp_path / f"{name}.csv")
    (tmp_path / "dataset.toml").write_text(
        'interactions = "clicks.csv"\nsplit_column = "split"\n'
        '[groups]\nmembers = "members.csv"\ninteractions = "teams.csv"\nprefix = "team-"\n'
    )
    columns = TableSettings(split_column="split", groups=GroupSource(prefix="team-"))
    for kind in (to_pandas, to_pyarrow):
        dataset = Dataset.from_frames(kind(PERSONS), groups=(kind(MEMBERS), kind(TEAMS)), columns=columns)
        assert dataset.fingerprint == load_data(tmp_path).fingerprint
    guessed = Dataset.from_frames(PERSONS, groups=(MEMBERS, TEAMS))
    assert [guessed.users[index] for index in guessed.groups.indices.tolist()] == ["blue", "green", "red"]


@pytest.mark.parametrize(
    ("groups", "columns", "message"),
    [
        ((MEMBERS, TEAMS.vstack(TEAMS[:1].with_columns(team=pl.lit("grey")))), None, "no member of 1 groups .* grey"),
        ((MEMBERS.rename({"person": "animal"}), TEAMS), None, "the frame of members of groups .*no column of member"),
        ((MEMBERS, TEAMS.drop("split")), None, "the frame of interactions of groups.* has no column 'split'"),
        ((MEMBERS, PERSONS), None, "the frame of interactions of groups.*no column of group"),
        (None, TableSettings(groups=GroupSource(prefix="team-")), r"there are none; give groups = \(members"),
        ((MEMBERS, TEAMS), TableSettings(groups=GroupSource(Path("members.csv"))), "names the file members.csv"),
    ],
    ids=["no member", "member column", "split column", "group column", "no frames", "file"],
)
def test_groups_that_do_not_fit_are_refused_in_one_line(groups, columns, message):
    with pytest.raises(ValueError, match=message) as error:
        Dataset.from_frames(PERSONS, groups=groups, columns=columns)
    assert "\n" not in str(error.value)
