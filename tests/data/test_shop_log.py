"""A shop's log with all that is unusual in such logs is taken whole by one description of at most 20 lines."""

import json
import tempfile
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatrec.config import SplitSettings
from flatrec.data.formats.table import TableSettings, read_tables
from flatrec.data.loading import load_data
from flatrec.data.row_counts import row_counts
from flatrec.data.summary import summarize
from flatrec.data.tables.events import RowSettings

DESCRIPTION = """name = "Laden"
interactions = "log.csv"
user_column = "Kunde"
item_column = "Artikel"
time_column = "Zeit"
event_column = "Aktion"
return_events = ["Rückgabe"]
quantity_column = "Menge"
missing_ids = "drop"
decimal = ","
[events]
Kauf = 1.0
Ansicht = 0.2
[items]
file = "artikel.csv"
id_column = "Nr"
title_column = "Name"
columns = ["Preis", "Gruppe", "lieferbar", "seit"]
decimal = ","
"""
LOG = """Kunde;Artikel;Aktion;Menge;Zeit
K1;007;Kauf;1;2024-01-02T10:00:00+01:00
K1;007;Ansicht;;2024-01-01T10:00:00+01:00
K1;0815;Kauf;1.200,5;2024-01-02T10:00:00+01:00
K1;0815;Rückgabe;200,5;2024-02-02T10:00:00+01:00
K2;007;Kauf;2;2024-01-03T10:00:00+01:00
K2;007;Kauf;-2;2024-02-03T10:00:00+01:00
K2;X99;Kauf;1;2024-01-03T11:00:00+01:00
;007;Kauf;1;2024-01-04T10:00:00+01:00
K3;;Ansicht;;2024-01-04T10:00:00+01:00
K3;0815;Merkzettel;;2024-01-04T10:00:00+01:00
K3;0815;Ansicht;;2024-01-05T10:00:00+01:00
K3;X98;Rückgabe;1;2024-01-05T10:00:00+01:00
K3;007;Kauf;0;2024-01-05T10:00:00+01:00
K3;007;Ansicht;-1;2024-01-05T10:00:00+01:00
K3;007;Ansicht;;2024-01-06T10:00:00+01:00
 K3 ;007;Ansicht;;2024-01-07T00:30:00+01:00
"""
ITEMS = """Nr;Name;Preis;Gruppe;lieferbar;seit
0815;Hammer;1.234,50;Werkzeug;false;
007;Tasse;9,90;;true;2020-02-29
4711;Duft;5,00;Bad;true;2021-01-01
"""


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "log.csv").write_bytes(b"\xef\xbb\xbf" + LOG.encode())
    (tmp_path / "artikel.csv").write_bytes(b"\xef\xbb\xbf" + ITEMS.encode())
    (tmp_path / "dataset.toml").write_text(DESCRIPTION)
    return tmp_path


def test_the_description_has_twenty_lines_at_most():
    assert len(DESCRIPTION.splitlines()) <= 20


def test_the_interactions_are_those_worked_by_hand(shop):
    data = load_data(shop)
    interactions = data.interactions
    assert (list(data.users), list(data.items)) == (["K1", "K2", "K3"], ["007", "0815", "X98", "X99"])
    pairs = zip(interactions.users.tolist(), interactions.items.tolist(), strict=True)
    cells = [(data.users[user], data.items[item]) for user, item in pairs]
    assert cells == [("K1", "007"), ("K1", "0815"), ("K2", "X99"), ("K3", "007"), ("K3", "0815")]
    assert interactions.weights.tolist() == np.float32([1.2, 1, 1, 0.4, 0.2]).tolist()
    days = [datetime.fromtimestamp(time, UTC).isoformat() for time in interactions.timestamps.tolist()]
    assert days == [
        "2024-01-02T09:00:00+00:00",
        "2024-01-02T09:00:00+00:00",
        "2024-01-03T10:00:00+00:00",
        "2024-01-06T23:30:00+00:00",
        "2024-01-05T09:00:00+00:00",
    ]
    assert data.titles == ("Tasse", "Hammer", "X98", "X99")
    assert data.item_columns.drop("seit").rows() == [
        (9.9, None, True),
        (1234.5, "Werkzeug", False),
        (None, None, None),
        (None, None, None),
    ]


def test_data_info_has_the_numbers_worked_by_hand(shop):
    summary = json.loads(json.dumps(summarize(load_data(shop)).as_dict()))
    assert summary["row_counts"] == {
        "rows": 16,
        "without_id": 2,
        "unnamed_events": 1,
        "low_ratings": 0,
        "without_quantity": 2,
        "returns": 3,
        "filtered": 0,
        "canceled": 1,
        "late": 0,
        "summed": 2,
        "repeats": 0,
        "interactions": 5,
    }
    assert summary["cleaning_report"]["items_without_row"] == 2
    assert summary["item_columns"]["Preis"] == {"kind": "numbers with a decimal point", "distinct": 2, "missing": 2}
    assert summary["item_columns"]["seit"] == {"kind": "dates", "distinct": 1, "missing": 3}
    assert summary["warnings"] == [
        "log.csv: blanks around 1 id were removed",
        "artikel.csv: 1 row not used (1 whose id is in no interaction)",
        "2 rows without a user or item id left out",
        "1 row with an event that [events] does not name left out: ['Merkzettel'], the first in line 11",
        "2 rows with a quantity of 0, or a negative one of no purchase, left out",
        "3 returns subtracted from earlier purchases of the same user and item",
        "2 items without a row in the table of items; kept, and shown by their ids",
        "2 repeated interactions; their weights are added up",
        "1 purchase canceled by a return",
        "1 return without a purchase before it that it could cancel",
    ]


def test_quantities_weigh_only_where_asked(shop):
    text = DESCRIPTION.replace("missing_ids", "weigh_quantities = true\nmissing_ids")
    (shop / "dataset.toml").write_text(text)
    assert load_data(shop).interactions.weights.tolist() == np.float32([1.2, 1000, 1, 0.4, 0.2]).tolist()


def test_weights_halve_by_their_age(shop):
    """The newest event, of 2024-01-06 at 23:30 UTC, is 110.5 hours younger than the purchase of K1."""
    text = DESCRIPTION.replace("missing_ids", 'half_life = "2 days"\nmissing_ids')
    (shop / "dataset.toml").write_text(text)
    weights = load_data(shop).interactions.weights
    expected = [
        0.5 ** (110.5 / 48) + 0.2 * 0.5 ** (134.5 / 48),
        0.5 ** (110.5 / 48),
        0.5 ** (85.5 / 48),
        0.2 + 0.2 * 0.5 ** (14.5 / 48),
        0.2 * 0.5 ** (38.5 / 48),
    ]
    assert np.allclose(weights, expected, rtol=1e-6)


def test_parquet_with_dictionaries_and_nulls_gives_the_same_data(shop):
    expected = load_data(shop)
    log = pl.read_csv(shop / "log.csv", separator=";", infer_schema=False)
    quantities = log["Menge"].str.replace(".", "", literal=True).str.replace(",", ".", literal=True)
    log = log.with_columns(
        pl.col("Kunde", "Artikel", "Aktion").cast(pl.Categorical),
        quantities.cast(pl.Float64),
        pl.col("Zeit").str.to_datetime(time_zone="UTC").dt.convert_time_zone("Europe/Berlin"),
    )
    log.write_parquet(shop / "log.parquet")
    (shop / "dataset.toml").write_text(DESCRIPTION.replace("log.csv", "log.parquet"))
    data = load_data(shop)
    assert data.fingerprint == expected.fingerprint
    assert row_counts(data) == row_counts(expected)


def test_dictionaries_of_numbers_and_times_are_read(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    now = datetime(2024, 1, 2, tzinfo=UTC)
    columns = {
        "user": arrow.array([7, 7, None], arrow.int64()),
        "item": arrow.array(["a", "b", "c"]),
        "time": arrow.array([now, now, now], arrow.timestamp("ms", tz="Europe/Berlin")),
        "weight": arrow.array([0.5, 2.0, 1.0], arrow.float64()),
    }
    encoded = arrow.table({name: column.dictionary_encode() for name, column in columns.items()})
    parquet.write_table(encoded, tmp_path / "log.parquet")
    rows = RowSettings(time_column="time", weight_column="weight", missing_ids="drop")
    data = read_tables(TableSettings(tmp_path / "log.parquet", rows=rows))
    assert list(data.users) == ["7"]
    assert data.interactions.timestamps.tolist() == [1_704_153_600] * 2
    assert data.interactions.weights.tolist() == [0.5, 2.0]


def test_returns_take_no_view_back(shop):
    lines = "K1;007;Kauf;1;2024-01-01\nK1;007;Ansicht;;2024-01-02\nK1;007;Rückgabe;1;2024-01-03\n"
    (shop / "log.csv").write_text("Kunde;Artikel;Aktion;Menge;Zeit\n" + lines + lines.replace("007", "0815"))
    data = load_data(shop)
    assert data.interactions.weights.tolist() == np.float32([0.2, 0.2]).tolist()
    assert data.split_report.canceled == 2


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["u1", "u2", "u3", None]),
        st.sampled_from(["01", "1", "2", None]),
        st.sampled_from(["buy", "gift", "view", "wish", "back"]),
        st.sampled_from([-2.0, -1.0, 0.0, 1.0, 2.5]),
        st.integers(0, 5),
    ),
    min_size=1,
    max_size=25,
)
RULES = RowSettings(
    time_column="time",
    event_column="what",
    event_weights={"buy": 1.0, "gift": 0.7, "view": 0.1},
    purchase_events=("buy", "gift"),
    return_events=("back",),
    quantity_column="n",
    missing_ids="drop",
)


def read(frame: pl.DataFrame, name: str, method: str):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)
        split = SplitSettings(method=method)
        try:
            return read_tables(TableSettings(path, user_column="who", item_column="sku", rows=RULES, split=split))
        except ValueError as error:
            return str(error).replace(name, "").replace(folder, "")


@settings(max_examples=40, deadline=None)
@given(EVENTS, st.sampled_from(["random", "time", "leave-last", "user-time", "none"]), st.randoms())
def test_row_order_and_file_type_do_not_matter_and_every_row_is_counted(rows, method, random):
    frame = pl.DataFrame(rows, schema=["who", "sku", "what", "n", "time"], orient="row").with_columns(
        pl.lit(datetime(2024, 1, 1)) + pl.col("time") * timedelta(days=1)
    )
    shuffled = frame.sample(fraction=1, shuffle=True, seed=random.randrange(1_000))
    categories = frame.with_columns(pl.col("who", "sku", "what").cast(pl.Categorical))
    first = read(frame, "log.csv", method)
    others = [read(shuffled, "log.csv", method), read(frame, "log.parquet", method)]
    others.append(read(categories, "log.parquet", method))
    if isinstance(first, str):
        assert all(isinstance(other, str) for other in others)
        return
    rows_read, *counts = astuple(row_counts(first))
    assert rows_read == len(rows) == sum(counts)
    for other in others:
        assert other.fingerprint == first.fingerprint
        assert row_counts(other) == row_counts(first)
