"""A service whose log is in PostgreSQL: the same answers, and a server that stops."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest

from flatrec.event_log import LogPlace
from flatrec.refresh.reading import read_delivery
from flatrec.serve.events import logged_events
from flatrec.serve.settings import EventSettings, ServeSettings
from tests.postgresql_server import running_server
from tests.refresh.deliveries import KNN, START, settings_of
from tests.refresh.deliveries import deliver as deliver_data
from tests.refresh.deliveries import events as shop_events
from tests.serve.logs import event, got, posted, send
from tests.serve.shops import client_of, process_of
from tests.serve.test_events_kept import Clients, killed_service

pytestmark = pytest.mark.slow
SETTINGS = ServeSettings(events=EventSettings(url_env="EVENTS_URL", seconds=1.0))


@pytest.fixture
def server(monkeypatch):
    """A server of the test's own, which it may stop, with fsync on."""
    with running_server() as made:
        monkeypatch.setenv("EVENTS_URL", made.url())
        yield made


@pytest.fixture
def logging(folder, server):
    assert server
    events = logged_events(SETTINGS)
    with client_of(folder, SETTINGS, events=events, operations=(events.operation(),)) as client:
        yield client


def ids(answer):
    return [item["item"] for item in answer.json()["items"]]


def stored(server):
    with psycopg.connect(server.url()) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM flatrec_events").fetchall()]


def test_events_mask_and_fold_in_and_repeat(logging, server):
    answer = send(logging, event("ann", "pan", id="1"), event("new", "pan", id="2"), event("new", "pan", id="2"))
    assert (answer.json()["written"], answer.json()["repeated"]) == (2, 1)
    assert ids(logging.get("/v1/recommend/ann?k=4")) == ["mug"]
    assert logging.get("/v1/recommend/new").json()["path"] == "history"
    assert send(logging, event("a\0b", "pan")).status_code == 422
    assert "could not be read" not in logging.get("/v1/recommend/a%00b").text
    assert sorted(stored(server)) == ["1", "2"]


def test_a_server_that_stops_costs_the_signals_and_refuses_events(logging, server):
    send(logging, event("ann", "pan"))
    server.stop()
    answer = logging.get("/v1/recommend/ann?k=4")
    assert (answer.status_code, ids(answer)) == (200, ["mug", "pan"])
    assert any("log of events could not be read" in warning for warning in answer.json()["warnings"])
    refused = send(logging, event("ann", "mug"))
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert "127.0.0.1" not in refused.text
    server.start()
    assert ids(logging.get("/v1/recommend/ann?k=4")) == ["mug"]
    assert send(logging, event("ann", "mug")).json()["written"] == 1


def test_a_full_disk_of_the_server_is_507(logging, server):
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN IF NEW.item = 'mug' THEN RAISE 'full' USING ERRCODE = '53100'; END IF; RETURN NEW; END $$"
        )
        connection.execute(
            "CREATE TRIGGER full_disk BEFORE INSERT ON flatrec_events FOR EACH ROW EXECUTE FUNCTION full_disk()"
        )
    assert send(logging, event("ann", "pan", id="1"), event("ann", "mug", id="2")).status_code == 507
    assert stored(server) == []
    assert send(logging, event("ann", "pan", id="1")).status_code == 200


def test_after_a_kill_of_the_service_every_acknowledged_event_is_there(folder, server):
    with killed_service(folder, "--events-url-env", "EVENTS_URL") as (process, port):
        clients = Clients(port)
        while clients.count < 150:
            time.sleep(0.01)
        process.kill()
        clients.join()
    check_kept(clients, stored(server))


def test_after_a_loss_of_power_of_the_server_every_acknowledged_event_is_there(folder, server):
    with process_of(folder, "--events-url-env", "EVENTS_URL", "--set", "events.seconds=1") as (_, port):
        clients = Stoppable(port)
        while clients.count < 150:
            time.sleep(0.01)
        server.stop("immediate")
        clients.join()
        server.start()
        check_kept(clients, stored(server))
        assert posted(port, "/v1/events", {"events": [event("ann", "pan")]})[0] == 200
        assert "could not be read" not in got(port, "/v1/recommend/ann")


class Stoppable(Clients):
    """Clients that end when an answer is an error, which must be 503."""

    def _send(self, number):
        turn = 0
        while not self.over.is_set():
            sent = [f"{number}-{turn}-{part}" for part in range(3)]
            status, _ = posted(self.port, "/v1/events", {"events": [event("u", f"i{turn}", id=one) for one in sent]})
            if status != 200:
                assert status == 503
                return
            self.acknowledged[number] += sent
            turn += 1


def check_kept(clients, found):
    acknowledged = {one for sent in clients.acknowledged.values() for one in sent}
    assert acknowledged <= set(found)
    assert len(found) == len(set(found)) <= len(acknowledged) + 4 * 3
    parts = [one.rsplit("-", 1)[0] for one in found]
    assert all(parts.count(one) == 3 for one in set(parts))


def test_a_worker_that_begins_without_the_server_answers_nonetheless(folder, server):
    LogPlace(url_env="EVENTS_URL").open(create=True).close()
    server.stop()
    events = logged_events(SETTINGS)
    with client_of(folder, SETTINGS, events=events, operations=(events.operation(),)) as client:
        assert client.get("/v1/recommend/ann").status_code == 200
        server.start()
        assert send(client, event("ann", "pan")).status_code == 200


def test_two_services_make_the_log_at_the_same_time(server):
    assert server
    errors = []

    def make():
        try:
            LogPlace(url_env="EVENTS_URL").open(create=True).close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_the_nightly_job_reads_it(logging, tmp_path):
    deliver_data(tmp_path, shop_events(30))
    send(logging, event("zoe", "i0", time=START), event("zoe", "i1", time=START))
    reading = read_delivery(settings_of(tmp_path, '\n[events]\nurl_env = "EVENTS_URL"\n', text=KNN))
    assert reading.events_until == 2
    assert "zoe" in reading.dataset.users
