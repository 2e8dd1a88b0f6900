"""Events that are sent: what they change in the next list, what is refused, and a log that cannot be read."""

from __future__ import annotations

import collections
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

import flatrec
from flatrec.event_log import LogUnavailableError
from flatrec.event_log.sqlite import SQLiteStore
from flatrec.inference.storage import save_recommender
from flatrec.serve.answers import EventsAnswer
from flatrec.serve.events import PATH
from flatrec.serve.pause import Pause
from flatrec.serve.settings import Limits
from tests.serve.fuzzing import asked, cases
from tests.serve.logs import event, logging_client, send
from tests.serve.shops import shop

ALL = ["cup", "jug", "mug", "pan"]


@pytest.fixture
def log(tmp_path):
    return tmp_path / "events.sqlite"


@pytest.fixture
def logging(folder, log):
    with logging_client(folder, log) as client:
        yield client


def ids(answer):
    return [item["item"] for item in answer["items"]]


def listed(client, user, query=""):
    return client.get(f"/v1/recommend/{user}?k=4{query}").json()


def rows(log):
    with closing(sqlite3.connect(log)) as database:
        return database.execute('SELECT "user", item, event, time, id FROM flatrec_events ORDER BY number').fetchall()


def metric(client, name):
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def test_an_event_masks_its_item_from_the_next_list_on(logging):
    assert ids(listed(logging, "ann")) == ["mug", "pan"]
    answer = send(logging, event("ann", "pan"), event("bob", "cup")).json()
    assert (answer["written"], answer["repeated"], answer["unknown_items"]) == (2, 0, 0)
    assert ids(listed(logging, "ann")) == ["mug"]
    assert ids(listed(logging, "ann", "&include_seen=true")) == ALL
    many = logging.post("/v1/recommend", json={"users": ["ann", "bob"], "exclude": ["jug"]}).json()
    assert [ids(one) for one in many["lists"]] == [["mug"], ["pan"]]
    assert many["warnings"] == []


def test_every_worker_knows_of_an_event_at_once(folder, log):
    with logging_client(folder, log) as first, logging_client(folder, log) as second:
        for turn, (one, other) in enumerate([(first, second), (second, first)] * 10):
            send(one, event("ann", "pan", id=f"ann {turn}"), event(f"new{turn}", "pan"))
            assert ids(listed(other, "ann")) == ["mug"]
            assert listed(other, f"new{turn}")["path"] == "history"
            assert send(other, event("ann", "pan", id=f"ann {turn}")).json()["repeated"] == 1


def test_a_user_who_was_trained_on_keeps_the_vector(logging, client):
    before = {item["item"]: item["score"] for item in listed(client, "ann")["items"]}
    send(logging, *(event("ann", "pan", time=number) for number in range(50)))
    after = listed(logging, "ann")
    assert after["path"] == "known"
    assert {item["item"]: item["score"] for item in after["items"]} == {"mug": before["mug"]}
    assert not any("history" in warning for warning in after["warnings"])


def test_a_user_without_training_is_folded_in(logging, folder):
    assert listed(logging, "new")["path"] == "popular"
    send(logging, event("new", "pan"), event("new", "unknown"), event("cat", "mug"))
    answer = listed(logging, "new")
    (expected,) = flatrec.load_recommender(folder).recommend("new", 4, history={"new": ["pan"]})
    assert answer["path"] == "history"
    assert [(item["item"], item["score"]) for item in answer["items"]] == [
        (item.item, pytest.approx(item.score, rel=1e-4)) for item in expected
    ]
    assert listed(logging, "cat")["path"] == "history"  # in the data, but without a training interaction
    given = logging.post("/v1/recommend", json={"users": ["new"], "history": ["cup"], "k": 4}).json()["lists"][0]
    assert sorted(ids(given)) == ["jug", "mug"]


def test_a_request_without_a_user_has_nothing_to_do_with_the_log(logging):
    before = logging.post("/v1/recommend", json={"history": ["cup"]}).json()["lists"]
    send(logging, *(event("ann", item) for item in ALL))
    assert logging.post("/v1/recommend", json={"history": ["cup"]}).json()["lists"] == before


def test_a_recommender_that_lists_seen_items_masks_none_unless_asked(tmp_path, log):
    save_recommender(replace(shop(tmp_path), filter_seen=False), tmp_path / "basket")
    with logging_client(tmp_path / "basket", log) as client:
        send(client, event("ann", "pan"))
        assert "pan" in ids(listed(client, "ann"))
        assert "pan" not in ids(listed(client, "ann", "&include_seen=false"))


def test_settings_say_which_events_mask_and_which_are_history(folder, log):
    with logging_client(folder, log, mask=("purchase",), history=("view",), default="view") as client:
        send(client, event("ann", "pan"), event("ann", "mug", "purchase"), event("new", "pan", "purchase"))
        assert ids(listed(client, "ann")) == ["pan"]
        new = listed(client, "new")
        assert (new["path"], sorted(ids(new))) == ("popular", ["cup", "jug", "mug"])
        send(client, event("new", "cup"))
        new = listed(client, "new")
        assert (new["path"], sorted(ids(new))) == ("history", ["cup", "jug", "mug"])
        given = client.post("/v1/recommend", json={"users": ["bob", "new", "ann"], "history": {"new": ["jug"]}}).json()
        assert [sorted(ids(one)) for one in given["lists"]] == [["cup", "pan"], ["cup", "mug"], ["pan"]]
        send(client, event("cat", "mug"))  # who has the pan in the data, but not in training
        cat = listed(client, "cat")
        assert (cat["path"], sorted(ids(cat))) == ("history", ["cup", "jug", "mug"])
        assert "cup" not in ids(listed(client, "cat", "&exclude=cup"))
        assert sorted(ids(listed(client, "cat", "&include_seen=true"))) == ALL
    assert [row[2] for row in rows(log)] == ["view", "purchase", "purchase", "view", "view"]


def test_nobody_wants_what_they_have_by_the_log(logging, log):
    def wanting(**further):
        return logging.post("/v1/who-wants", json={"item": "pan", "k": 1, **further}).json()

    assert [user["user"] for user in wanting()["users"]] == ["bob"]
    send(logging, event("bob", "pan"))
    assert [user["user"] for user in wanting()["users"]] == ["ann"]
    assert [user["user"] for user in wanting(include_seen=True)["users"]] == ["bob"]
    send(logging, event("ann", "pan"))
    assert wanting()["users"] == []
    assert "no user is left" in wanting()["warnings"][0]
    log.unlink()
    assert [user["user"] for user in wanting()["users"]] == ["bob"]
    assert "could not be read" in wanting()["warnings"][0]


def test_an_event_with_an_id_is_written_once(logging, log):
    first, second = event("ann", "pan", id="1"), event("ann", "mug", id="2")
    send(logging, first)
    answer = send(logging, first, second, second).json()
    assert (answer["written"], answer["repeated"]) == (1, 2)
    assert len(rows(log)) == 2
    assert metric(logging, 'flatrec_events_total{result="written"}') == 2
    assert metric(logging, 'flatrec_events_total{result="repeated"}') == 2


def test_times_are_whole_seconds_in_utc(logging, log):
    before = int(time.time())
    send(
        logging,
        *(event("ann", "pan", time=one) for one in ("2024-01-01T01:00:00.9+01:00", "2024-01-01T00:00:00")),
        *(event("ann", "pan", time=one) for one in (1_704_067_200, 1_704_067_200.9, 0)),
        event("ann", "pan"),
    )
    *found, now = [row[3] for row in rows(log)]
    assert found == [1_704_067_200] * 4 + [0]
    assert before <= now <= time.time()


GOOD = event("ann", "pan")
TOO_LONG = "x" * 513
BAD = [
    {},
    {"events": []},
    {"events": {}},
    {"events": None},
    {"events": [GOOD] * 1001},
    {"events": [GOOD], "other": 1},
    {"events": [GOOD, {"user": "ann"}]},
    {"events": [GOOD, {"item": "pan"}]},
    {"events": [GOOD, 3]},
    *({"events": [GOOD, {**GOOD, field: text}]} for field in ("user", "item", "event", "id")
      for text in ("", " ", "\t\n", "a\0b", TOO_LONG, 3, ["a"], True)),
    *({"events": [GOOD, {**GOOD, "time": moment}]} for moment in (
        -1, -0.5, 1e308, -1e308, 2**63, 10**30, 1_704_067_200_000, time.time() + 2 * 86_400, True, "", "now", [], {},
        "0000-01-01T00:00:00", "0001-01-01T00:00:00+23:59", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59",
        "9999-12-31T23:59:59", "2024-02-30T00:00:00", "2024-01-01T00:00:00+99:00")),
]  # fmt: skip


@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
def test_what_does_not_fit_is_refused_as_a_whole(logging, log, body):
    answer = logging.post("/v1/events", json=body)
    assert (answer.status_code, answer.json()["error"]["kind"]) == (422, "invalid"), answer.text
    assert rows(log) == []


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"[]", 422),
        (b'{"events": [{"user": "ann", "item": "pan", "time": NaN}]}', 400),
        (b'{"events": [{"user": "ann", "item": "pan", "time": Infinity}]}', 400),
        (b'{"events": [{"user": "ann", "item": "pan", "time": 1e999}]}', 422),
        (b'{"events": [{"user": "ann", "item": "pan", "time": 1' + b"0" * 5000 + b"}]}", 422),
        (b'{"events": [{"user": "\\ud800", "item": "pan"}]}', 400),
        (b'{"events": [{"user": "\\udc00x", "item": "pan"}]}', 400),
        (b'{"events": [{"user": "\xed\xa0\x80", "item": "pan"}]}', 400),
        (b'{"events": [{"user": "\xff", "item": "pan"}]}', 400),
        (b'{"events": ' + b"[" * 100_000, 422),
        (b'{"events": [{"user": "' + b"x" * 10_000_000 + b'", "item": "pan"}]}', 413),
    ],
    ids=range(12),
)
def test_bytes_that_are_no_events_are_refused(logging, log, content, status):
    answer = logging.post("/v1/events", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, set(answer.json())) == (status, {"error"}), answer.text
    assert rows(log) == []


def test_odd_ids_are_kept_as_they_are(logging, log):
    odd = ["ann ", "a/b?c", "a'; DROP TABLE flatrec_events; --", "😀", "\u202e", "a\nb", "x" * 512]
    assert send(logging, *(event(one, one, one, id=one) for one in odd)).json()["unknown_items"] == len(odd)
    assert [row[0] for row in rows(log)] == odd


def test_reading_bears_any_user(logging):
    for user in ("%00", "a%00b", "%F0%9F%98%80", "%20", "x" * 512):
        assert logging.get(f"/v1/recommend/{user}").status_code == 200


def test_there_is_no_such_request_without_a_log(client, logging):
    assert client.post("/v1/events", json={"events": [GOOD]}).status_code == 404
    assert "/v1/events" not in client.get("/openapi.json").json()["paths"]
    operation = logging.get("/openapi.json").json()["paths"]["/v1/events"]["post"]
    assert set(operation["responses"]) >= {"200", "413", "422", "503", "507"}


def test_a_limit_bounds_the_events_that_are_read_and_sent(folder, log):
    with logging_client(folder, log, limits=Limits(events=2, history=1)) as client:
        send(client, event("ann", "mug", time=1), event("ann", "pan", time=2))
        assert ids(listed(client, "ann")) == ["mug"]  # only the newest event is read
        assert send(client, GOOD, GOOD, GOOD).status_code == 422


def test_a_log_that_is_gone_costs_the_signals_and_nothing_else(logging, log, client):
    send(logging, event("ann", "pan"))
    log.rename(log.with_name("moved"))
    answer = logging.get("/v1/recommend/ann?k=4")
    assert answer.status_code == 200
    assert ids(answer.json()) == ids(listed(client, "ann"))
    assert any("log of events could not be read" in warning for warning in answer.json()["warnings"])
    many = logging.post("/v1/recommend", json={"users": ["ann", "bob"]}).json()
    assert len(many["warnings"]) == 1
    assert metric(logging, "flatrec_event_log_read_failures_total") == 2
    refused = send(logging, event("ann", "mug"))
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert str(log) not in refused.text
    assert metric(logging, 'flatrec_events_total{result="refused"}') == 1
    log.with_name("moved").rename(log)
    assert ids(listed(logging, "ann")) == ["mug"]
    assert send(logging, event("ann", "mug")).json()["written"] == 1


def test_a_log_that_another_process_locks_is_unavailable(folder, log):
    with (
        logging_client(folder, log, seconds=0.1, pause=0.01) as client,
        closing(sqlite3.connect(log, isolation_level=None)) as one,
    ):
        one.execute("BEGIN IMMEDIATE")
        assert send(client, GOOD).status_code == 503
        answer = listed(client, "ann")
        assert ids(answer) == ["mug", "pan"]
        assert not any("could not be read" in warning for warning in answer["warnings"])
        one.execute("ROLLBACK")
        assert send(client, GOOD).json()["written"] == 1


def test_a_log_that_makes_one_wait_makes_nobody_else_wait(folder, log, monkeypatch):
    reads, writes = [], []

    def locked(tries):
        def fail(*_):
            tries.append(time.monotonic())
            time.sleep(0.3)
            raise LogUnavailableError("the log is locked")

        return fail

    with logging_client(folder, log, seconds=0.4, pause=0.5) as client:
        send(client, event("ann", "pan"))
        with monkeypatch.context() as patched:
            patched.setattr(SQLiteStore, "newest", locked(reads))
            patched.setattr(SQLiteStore, "append", locked(writes))
            assert all(ids(listed(client, "ann")) == ["mug", "pan"] for _ in range(20))
            assert [send(client, GOOD).status_code for _ in range(20)] == [503] * 20
        assert reads
        assert writes
        for tries in (reads, writes):
            assert all(later - earlier >= 0.8 for earlier, later in pairwise(tries)), "tried within its pause"
        time.sleep(0.6)
        assert ids(listed(client, "ann")) == ids(listed(client, "ann")) == ["mug"]
        assert send(client, GOOD).status_code == 200


@pytest.mark.parametrize(("slow", "tries"), [(0.05, 1), (10.0, 3)])
def test_a_pause_follows_a_failure_that_took_long(slow, tries):
    pause, tried = Pause(slow, 0.3), []

    def fail():
        with pause.between():
            tried.append(True)
            time.sleep(0.1)
            raise LogUnavailableError("not now")

    for _ in range(3):
        with pytest.raises(LogUnavailableError):
            fail()
    assert len(tried) == tries
    time.sleep(0.35)
    with pause.between():
        pass
    with pause.between():
        pass


def test_an_event_that_waits_too_long_for_a_thread_is_not_written_later(folder, log):
    limits = Limits(threads=1, seconds=0.3)
    with logging_client(folder, log, seconds=1.0, pause=0.01, limits=limits) as client:
        with closing(sqlite3.connect(log, isolation_level=None)) as one:
            one.execute("BEGIN IMMEDIATE")
            answers = [send(client, GOOD).status_code for _ in range(3)]  # the first one waits for the lock
            time.sleep(1.0)
        assert answers == [503] * 3
        time.sleep(0.3)
        assert rows(log) == []
        assert send(client, GOOD).status_code == 200


def test_what_becomes_of_an_event_while_the_file_is_damaged_is_said(logging, log):
    send(logging, *(event("ann", f"i{number}") for number in range(1000)))
    with log.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 20_000)
    for one in log.parent.glob(f"{log.name}-*"):
        one.unlink()
    answer = logging.get("/v1/recommend/ann")
    assert answer.status_code == 200
    assert send(logging, GOOD).status_code in (200, 503)


@pytest.mark.repeats
@pytest.mark.parametrize("n_cases", [200, pytest.param(3000, marks=pytest.mark.slow)])
def test_requests_that_are_drawn_from_the_document(folder, log, n_cases):
    with logging_client(folder, log) as client:
        whole, counts = client.get("/openapi.json").json(), collections.Counter()
        drawn = cases({**whole, "paths": {PATH: whole["paths"][PATH]}})

        @settings(max_examples=n_cases, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
        @given(case=drawn)
        def ask(case):
            answer = asked(client, case, counts)
            if answer.status_code == 200:
                msgspec.json.decode(answer.content, type=EventsAnswer)

        ask()
    assert counts[200] >= 2
    assert counts[422] >= 50
