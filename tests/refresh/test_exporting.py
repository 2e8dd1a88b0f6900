"""Exports of the nightly job: all of them before the pointer moves, and nothing is touched if the first one fails."""

from __future__ import annotations

import sqlite3

import polars as pl
import pytest

import flatrec
from flatrec.refresh import exporting, preview, refresh
from flatrec.refresh.store import Store
from tests.refresh.deliveries import KNN, NOW, SETTINGS, current, deliver, events, settings_of

FILE = '\n[[export]]\nout = "lists.parquet"\nk = 3\n'
SIMILAR = '\n[[export]]\nwhat = "similar"\nout = "similar.csv"\nk = 2\nwhere = "price > 3"\n'


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A shop with one generation in use and its exports, which no test changes."""
    folder = tmp_path_factory.mktemp("shop")
    deliver(folder, events(30))
    refresh(settings_of(folder, FILE + SIMILAR, text=KNN), now=NOW)
    return folder


def database(folder):
    return f'\n[[export]]\nurl = "sqlite:///{folder}/shop.db"\ntable = "lists"\nk = 3\n'


def rows(folder):
    with sqlite3.connect(folder / "shop.db") as connection:
        return connection.execute('select user_id, "rank", item_id from lists order by 1, 2').fetchall()


def test_exports_are_what_the_recommender_in_use_answers(first):
    recommender = flatrec.load_recommender(first / "store" / "current")
    table = pl.read_parquet(first / "lists.parquet")
    for user in list(recommender.users)[:5]:
        (listed,) = recommender.recommend(user, 3)
        assert table.filter(pl.col("user_id") == user)["item_id"].to_list() == [one.item for one in listed]
    prices = {f"i{number}": number * 1.5 for number in range(18)}
    assert all(prices[item] > 3 for item in pl.read_csv(first / "similar.csv")["similar_item_id"])


def test_a_table_of_a_database_is_replaced(shop):
    refresh(settings_of(shop, database(shop), text=KNN), now=NOW)
    before = rows(shop)
    recommender = flatrec.load_recommender(shop / "store" / "current")
    deliver(shop, events(34))
    refresh(settings_of(shop, database(shop), text=KNN), now=NOW)
    assert before[0][2] == recommender.recommend(before[0][0], 1)[0][0].item
    assert {user for user, _, _ in rows(shop)} == set(recommender.users)
    assert rows(shop) != before


def test_an_export_that_fails_leaves_files_tables_and_the_pointer(shop):
    refresh(settings_of(shop, FILE + database(shop), text=KNN), now=NOW)
    table, lists = rows(shop), (shop / "lists.parquet").read_bytes()
    deliver(shop, events(36))
    with sqlite3.connect(shop / "shop.db") as connection:
        connection.execute("create trigger closed before insert on lists begin select raise(abort, 'closed'); end")
    with pytest.raises((OSError, ValueError), match="closed"):
        refresh_both(shop)
    assert (rows(shop), (shop / "lists.parquet").read_bytes()) == (table, lists)
    assert current(shop) == "generations/0002/final/recommender"
    stopped = Store(shop / "store").states()[0]
    assert (stopped.error.partition(":")[0], stopped.outcome) == ("export", None)
    with sqlite3.connect(shop / "shop.db") as connection:
        connection.execute("drop trigger closed")
    assert refresh_both(shop).number == 3
    assert current(shop) == "generations/0003/final/recommender"
    assert (shop / "lists.parquet").read_bytes() != lists


def refresh_both(shop):
    """Refresh with a file before a table in the settings."""
    return refresh(settings_of(shop, FILE + database(shop), text=KNN), now=NOW)


def test_a_kill_between_two_exports_repeats_neither(shop, monkeypatch):
    calls = []
    original = exporting._export

    def recorded(recommender, export):
        calls.append(export.what)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(recommender, export)

    monkeypatch.setattr(exporting, "_export", recorded)
    settings = settings_of(shop, FILE + SIMILAR, text=KNN)
    with pytest.raises(KeyboardInterrupt):
        refresh(settings, now=NOW)
    assert current(shop) == "generations/0001/final/recommender"
    state = refresh(settings, now=NOW)
    assert calls == ["recommendations", "similar", "similar"]
    assert [export["what"] for export in state.exports] == ["recommendations", "similar"]
    assert state.outcome == "promoted"


def test_the_address_of_a_database_is_not_recorded(shop, monkeypatch):
    monkeypatch.setenv("SHOP_DATABASE", f"sqlite:///{shop}/shop.db")
    more = '\n[[export]]\nurl_env = "SHOP_DATABASE"\ntable = "lists"\n'
    state = refresh(settings_of(shop, more, text=KNN), now=NOW)
    assert [(one["target"], one["rows"] > 0) for one in state.exports] == [("lists", True)]
    for name in ("history.jsonl", "latest.html", "generations/0002/state.json"):
        assert "sqlite:" not in (shop / "store" / name).read_text()


def test_vectors_are_exported_into_a_folder(tmp_path):
    deliver(tmp_path, events(30))
    more = '\n[[export]]\nwhat = "vectors"\nout = "vectors"\n'
    refresh(settings_of(tmp_path, more, text=SETTINGS), now=NOW)
    assert pl.read_parquet(tmp_path / "vectors" / "users.parquet")["id"].len() == 24


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('out = "lists.txt"', "the ending of lists.txt names no format"),
        ('out = "nowhere/lists.csv"', "there is no folder"),
        ('out = "lists.csv"\nwhere = "colour = 3"', "colour"),
        ('out = "lists.csv"\nusers = "none.txt"', "none.txt"),
        ('url_env = "NO_SUCH_NAME"\ntable = "t"', "export[0]: the environment variable NO_SUCH_NAME is not set"),
        ('url = "mysql://x"\ntable = "t"', "unknown database 'mysql'"),
    ],
)
def test_what_an_export_lacks_is_said_before_anything_is_trained(tmp_path, more, said):
    deliver(tmp_path, events(30))
    settings = settings_of(tmp_path, f"\n[[export]]\n{more}\n", text=KNN)
    for call in (preview, refresh):
        with pytest.raises((ValueError, FileNotFoundError)) as caught:
            call(settings, now=NOW)
        assert said in str(caught.value)
    assert Store(tmp_path / "store").numbers() == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("k = 3", "export[0]: needs out, or else table and one of url and url_env"),
        ('out = "a.csv"\ntable = "t"', "export[0]: needs out, or else table and one of url and url_env"),
        ('url = "sqlite:////x"', "export[0]: needs out, or else table and one of url and url_env"),
        ('what = "vectors"\nurl = "sqlite:////x"\ntable = "t"', "vectors are written into a folder"),
        ('what = "vectors"\nout = "v"\nk = 3', "vectors are of all users and items; leave out k"),
        ('what = "similar"\nout = "s.csv"\nusers = "u.txt"', "similar items are the same for every user"),
        ('what = "lists"\nout = "s.csv"', "export[0].what: input should be 'recommendations', 'similar' or 'vectors'"),
        ('outt = "s.csv"', "export[0]: unknown setting 'outt'; did you mean out?"),
        ('out = "s.csv"\nk = 0', "export[0].k must be at least 1, but is 0"),
    ],
)
def test_what_is_wrong_with_an_export_is_said_in_one_line(tmp_path, more, said):
    with pytest.raises(ValueError, match="shop.toml: ") as caught:
        settings_of(tmp_path, f"\n[[export]]\n{more}\n", text=KNN)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_lists_without_items_are_refused_and_the_old_ones_stay(shop):
    settings = settings_of(shop, '\n[[export]]\nout = "lists.csv"\nwhere = "price < 0"\n', text=KNN)
    (shop / "lists.csv").write_text("yesterday's")
    with pytest.raises(
        ValueError, match=r"export\[0\]: where allows none of 18 items, so that all lists would be empty"
    ):
        refresh(settings, now=NOW)
    assert (shop / "lists.csv").read_text() == "yesterday's"
    assert Store(shop / "store").numbers() == [1]


def test_the_record_of_exports_is_kept_with_the_generation(first):
    state = Store(first / "store").states()[0]
    assert [(one["what"], one["rows"]) for one in state.exports] == [("recommendations", 72), ("similar", 36)]
