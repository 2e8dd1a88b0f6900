"""A log of events, in SQLite and PostgreSQL alike: what is written is there, in order, once, and all or nothing."""

from __future__ import annotations

import threading

import polars as pl
import pytest

from flatrec.event_log import Event, LogPlace, LogUnavailableError
from flatrec.event_log.store import SCHEMA, UserEvent


def event(user="ann", item="cup", time=1, name="view", key=None):
    return Event(user, item, name, time, key)


def items(found):
    return {user: [one.item for one in events] for user, events in found.items()}


def test_the_newest_events_of_users_come_first_and_are_bounded(log):
    log.append([event(item="late", time=3), event(item="early", time=1), event(item="same", time=3)])
    log.append([event("bob", "pan", 2), event("cat", "jug", 9)])
    assert items(log.newest(["ann", "bob", "nobody"], 2)) == {"ann": ["same", "late"], "bob": ["pan"]}
    assert items(log.newest(["ann", "ann"], 9)) == {"ann": ["same", "late", "early"]}
    assert log.newest([], 9) == {}


def test_events_are_chosen_by_their_names_before_they_are_counted(log):
    log.append([event(item="a", name="purchase"), *(event(item=f"v{n}", time=2) for n in range(5))])
    assert log.newest(["ann"], 1, {"purchase", "return"}) == {"ann": [UserEvent("a", "purchase")]}
    assert log.newest(["ann"], 1, set()) == {}


def test_an_event_with_an_id_is_written_once(log):
    assert log.append([event(key="1"), event(key="2"), event(key="1")]) == 2
    assert log.append([event("bob", key="1"), event(key="3"), event(), event()]) == 3
    assert len(log.until(log.last_number())) == 5
    assert items(log.newest(["bob"], 9)) == {}


def test_events_that_fail_leave_nothing(log):
    with pytest.raises((LogUnavailableError, TypeError, AttributeError)):
        log.append([event(), Event("ann", None, "view", 1)])
    assert log.newest(["ann"], 9) == {}
    assert log.append([event()]) == 1


def test_events_are_read_up_to_a_number_in_the_order_of_writing(log, monkeypatch):
    monkeypatch.setattr(f"{type(log).__module__}.ROWS", 2)
    assert log.last_number() == 0
    assert log.until(0).schema == SCHEMA
    log.append([event(item=f"i{number}", time=9 - number) for number in range(5)])
    number = log.last_number()
    log.append([event(item="later")])
    found = log.until(number)
    assert found["item"].to_list() == ["i0", "i1", "i2", "i3", "i4"]
    assert found.equals(log.until(number))
    assert isinstance(found, pl.DataFrame)


def test_numbers_are_never_used_again(log):
    log.append([event(), event("bob")])
    number = log.last_number()
    assert log.forget(["bob", "nobody"]) == 1
    log.append([event("dan")])
    assert log.last_number() > number
    assert log.until(number)["user"].to_list() == ["ann"]
    assert log.forget(["ann", "dan"]) == 2
    assert len(log.until(log.last_number())) == 0


def test_texts_of_all_kinds_come_back_as_they_were(log):
    odd = [
        "ann ",
        "Ann",
        "a'; DROP TABLE flatrec_events; --",
        "😀",
        "日本",
        "%s",
        "{user}",
        "a\nb",
        "\\x00",
        "é",
        "x" * 512,
    ]
    log.append([event(user, user, name=user, key=user) for user in odd])
    assert items(log.newest(odd, 9)) == {user: [user] for user in odd}


def test_threads_write_and_read_at_the_same_time(log):
    errors = []

    def work(number):
        try:
            for turn in range(20):
                log.append([event(f"u{number}", f"i{turn}", turn, key=f"{number}-{turn}")])
                assert len(log.newest([f"u{number}"], 100)[f"u{number}"]) == turn + 1
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(log.until(log.last_number())) == 160


def test_a_log_is_opened_again_and_by_others(place, log):
    log.append([event()])
    log.close()
    other = place.open()
    assert items(other.newest(["ann"], 9)) == {"ann": ["cup"]}
    log.append([event("bob")])
    assert items(other.newest(["bob"], 9)) == {"bob": ["cup"]}
    other.close()


def test_a_place_is_one_file_or_one_variable(tmp_path, monkeypatch):
    for given, said in (
        ({}, "name one of both"),
        ({"path": tmp_path / "a", "url_env": "B"}, "name one of both"),
        ({"path": tmp_path.__class__("postgresql://me:secret@host/db")}, "environment variable"),
    ):
        with pytest.raises(ValueError, match=said) as caught:
            LogPlace(**given)
        assert "secret" not in str(caught.value)
    monkeypatch.setenv("EVENTS_URL", "sqlite:///secret.db")
    with pytest.raises(ValueError, match="must hold a URL such as postgresql") as caught:
        LogPlace(url_env="EVENTS_URL").open()
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("EVENTS_URL", " ")
    with pytest.raises(ValueError, match="is not set"):
        LogPlace(url_env="EVENTS_URL").open()
