"""The nightly job reads the log of events beside the data: what it learns, what counts twice, and a kill."""

from __future__ import annotations

import json

import polars as pl
import pytest

import flatrec
from flatrec.event_log import Event, LogPlace
from flatrec.refresh import refresh
from flatrec.refresh.reading import read_delivery
from flatrec.refresh.work import Work
from tests.refresh.deliveries import DAY, KNN, NOW, START, Killed, deliver, events, history, settings_of

LOG = '\n[events]\npath = "events.sqlite"\n'
EARLIER = START + 20 * DAY


def log_of(folder):
    return LogPlace(folder / "events.sqlite").open(create=True)


def write(folder, *rows):
    log = log_of(folder)
    log.append([Event(*row) for row in rows])
    log.close()


def job(shop, more=LOG):
    return settings_of(shop, more, text=KNN)


def read(shop, more=LOG):
    return read_delivery(job(shop, more)).dataset


def has(dataset, user, item):
    frame = dataset.to_frame().filter((pl.col("user") == user) & (pl.col("item") == item))
    return frame.to_dicts()


def test_the_new_recommender_knows_users_and_items_of_the_log(shop):
    write(shop, ("zoe", "i0", "click", EARLIER), ("zoe", "i1", "click", EARLIER), ("u0", "i99", "click", EARLIER))
    state = refresh(job(shop), now=NOW)
    assert (state.outcome, state.events_until) == ("promoted", 3)
    recommender = flatrec.load_recommender(shop / "store" / "current")
    assert recommender.recommend("zoe", 3)[0].path == "known"
    assert "i99" in recommender.items


def test_a_first_night_needs_no_log_as_the_service_that_makes_it_needs_the_recommender(shop, caplog):
    state = refresh(job(shop), now=NOW)
    assert (state.outcome, state.events_until) == ("promoted", 0)
    assert "there is no log of events" in caplog.text
    write(shop, ("zoe", "i0", "click", EARLIER), ("zoe", "i1", "click", EARLIER))
    assert refresh(job(shop), now=NOW).events_until == 2


def test_a_log_that_is_gone_is_an_error_for_a_job_that_goes_on(shop):
    with pytest.raises(FileNotFoundError, match="there is no log of events"):
        read_delivery(job(shop), events_until=3)


def test_an_event_that_the_data_have_counts_once(shop):
    table = events(31)
    user, item, moment = table.row(0)
    before = read(shop, "")
    seconds = int(pl.Series([moment]).str.to_datetime().dt.epoch("s")[0])
    write(shop, (user, f" {item} ", "click", seconds), (user, item, "click", seconds), ("u0", "i0", "click", EARLIER))
    after = read(shop)
    report = after.cleaning_report.events
    assert (report.logged, report.logged_before) == (1, 2)
    assert report.rows == before.cleaning_report.events.rows + 1
    assert "1 event of the log added; 2 more are rows of the data already" in after.warnings
    write(shop, (user, item, "click", seconds + 1))
    assert read(shop).cleaning_report.events.logged == 2


def test_dates_without_a_time_of_day_are_compared_by_the_day(shop):
    table = events(31).with_columns(pl.col("time").str.slice(0, 10))
    deliver(shop, table)
    user, item, day = table.row(0)
    seconds = int(pl.Series([day]).str.to_date().dt.epoch("s")[0])
    write(shop, (user, item, "click", seconds + 3600), (user, item, "click", seconds + 40 * 3600))
    report = read(shop).cleaning_report.events
    assert (report.logged, report.logged_before) == (1, 1)


def described(shop, more):
    """Let the data have events with weights."""
    data = shop / "data"
    table = events(31).with_columns(pl.Series("what", ["view", "purchase", "other"] * 1000).head(len(events(31))))
    table.write_csv(data / "events.csv")
    path = data / "dataset.toml"
    path.write_text(path.read_text().replace("repeat = true", f'repeat = true\nevent_column = "what"\n{more}'))
    path.write_text(path.read_text() + "\n[events]\nview = 0.1\npurchase = 1.0\n")


def test_events_weigh_what_those_of_the_data_do(shop):
    described(shop, 'return_events = ["return"]')
    rows = [("zoe", f"i{number}", name, EARLIER) for number, name in enumerate(("view", "purchase", "nothing", "view"))]
    write(shop, *rows, ("zoe", "i3", "return", EARLIER + 1), ("zoe", "i1", "return", EARLIER + 1))
    dataset = read(shop)
    assert [row["weight"] for row in has(dataset, "zoe", "i0")] == [pytest.approx(0.1)]
    assert has(dataset, "zoe", "i1") == []  # bought and returned
    assert has(dataset, "zoe", "i2") == []
    assert [row["weight"] for row in has(dataset, "zoe", "i3")] == [pytest.approx(0.1)]  # a view cannot be returned
    assert "nothing" in dataset.cleaning_report.events.unnamed_event_names


def test_weights_of_the_job_come_first(shop):
    write(shop, ("zoe", "i0", "click", EARLIER), ("zoe", "i1", "view", EARLIER))
    dataset = read(shop, LOG + "[events.weights]\nclick = 0.5\n")
    assert [row["weight"] for row in has(dataset, "zoe", "i0")] == [0.5]
    assert has(dataset, "zoe", "i1") == []
    assert set(dataset.to_frame()["weight"].unique()) >= {0.5, 1.0}


def test_the_log_alone_is_something_new(shop):
    write(shop)
    refresh(job(shop), now=NOW)
    assert refresh(job(shop), now=NOW).outcome == "kept"
    write(shop, ("zoe", "i0", "click", EARLIER))
    assert refresh(job(shop), now=NOW).outcome == "promoted"


def test_a_job_that_goes_on_reads_the_events_that_it_began_with(shop, monkeypatch):
    write(shop, ("zoe", "i0", "click", EARLIER))
    calls, original = [], Work.save

    def killing(work):
        original(work)
        calls.append(work)
        if len(calls) == 2:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Work, "save", killing)
        with pytest.raises(Killed):
            refresh(job(shop), now=NOW)
    write(shop, ("tom", "i0", "click", EARLIER))
    state = refresh(job(shop), now=NOW)
    assert (state.number, state.outcome, state.events_until) == (2, "promoted", 1)
    assert [line["outcome"] for line in history(shop)] == ["promoted", "promoted"]
    users = flatrec.load_recommender(shop / "store" / "current").users
    assert "zoe" in users
    assert "tom" not in users
    again = refresh(job(shop), now=NOW)
    assert (again.number, again.events_until) == (3, 2)
    assert "tom" in flatrec.load_recommender(shop / "store" / "current").users


def test_a_stopped_job_whose_events_were_deleted_begins_again(shop, monkeypatch):
    write(shop, ("zoe", "i0", "click", EARLIER))
    with monkeypatch.context() as patched:
        patched.setattr(Work, "save", lambda _: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            refresh(job(shop), now=NOW)
    log = log_of(shop)
    assert log.forget(["zoe"]) == 1
    log.close()
    state = refresh(job(shop), now=NOW)
    assert (state.number, state.outcome) == (3, "promoted")
    assert [line["outcome"] for line in history(shop)] == ["promoted", "abandoned", "promoted"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[events]\n", "events: needs path, the SQLite file of the log, or else url_env"),
        ('[events]\npath = "a"\nurl_env = "B"\n', "events: needs path"),
        ('[events]\npaht = "a"\n', "events: unknown setting 'paht'; did you mean path?"),
        ('[events]\npath = "a"\n[events.weights]\nview = 0\n', "weights.view must be a weight of 1e-12 to 1e12"),
        ('[events]\npath = "a"\n[events.weights]\nview = "x"\n', "events.weights"),
    ],
)
def test_settings_that_do_not_fit_are_said_in_one_line(tmp_path, more, said):
    with pytest.raises(ValueError, match=r".") as caught:
        settings_of(tmp_path, "\n" + more, text=KNN)
    assert said in str(caught.value)


def test_what_cannot_be_read_is_said_in_one_line(shop, monkeypatch):
    (shop / "text").write_bytes(b"no database" * 100)
    with pytest.raises((ValueError, OSError), match="SQLite"):
        read(shop, '\n[events]\npath = "text"\n')
    monkeypatch.delenv("SHOP_DATABASE", raising=False)
    with pytest.raises(ValueError, match="environment variable SHOP_DATABASE is not set"):
        read(shop, '\n[events]\nurl_env = "SHOP_DATABASE"\n')
    write(shop, ("zoe", "i0", "click", EARLIER))
    (shop / "data" / "dataset.toml").unlink()
    table = events(31).drop("time")
    table.write_csv(shop / "data" / "plain.csv")
    text = KNN.replace("data/dataset.toml", "data/plain.csv")
    with pytest.raises(ValueError, match="told from those of .* by their times, but it has none"):
        read_delivery(settings_of(shop, LOG, text=text))
    with pytest.raises(ValueError, match="built-in shop takes no events"):
        read_delivery(settings_of(shop, LOG, text=KNN.replace("data/dataset.toml", "shop")))


def test_the_state_of_an_older_version_is_read(shop):
    write(shop)
    path = shop / "store" / "generations" / "0001" / "state.json"
    assert "events_until" in json.loads(path.read_text())
    assert refresh(job(shop), now=NOW).in_use == 1
