"""An event that was acknowledged is kept: kills, full disks, several workers, and the next recommender."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager

import pytest

from flatrec.inference.storage import load_recommender
from flatrec.refresh import refresh
from tests.event_log.test_sqlite import small_disk
from tests.refresh.deliveries import KNN, NOW, START, settings_of
from tests.refresh.deliveries import deliver as deliver_data
from tests.refresh.deliveries import events as shop_events
from tests.serve.logs import event, got, logging_client, posted, send
from tests.serve.shops import process_of, saved


@pytest.fixture
def log(tmp_path):
    return tmp_path / "events.sqlite"


def stored(log):
    """The ids of the events in a whole file."""
    with closing(sqlite3.connect(log)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [row[0] for row in database.execute("SELECT id FROM flatrec_events")]


class Clients:
    """Four clients that send events one after another, and remember which were acknowledged, in what order."""

    def __init__(self, port):
        self.port, self.over, self.acknowledged = port, threading.Event(), {number: [] for number in range(4)}
        self.threads = [threading.Thread(target=self._send, args=(number,)) for number in range(4)]
        for thread in self.threads:
            thread.start()

    def _send(self, number):
        turn = 0
        while not self.over.is_set():
            sent = [f"{number}-{turn}-{part}" for part in range(3)]
            body = {"events": [event(f"u{number}", f"i{turn}", id=one) for one in sent]}
            try:
                status, answer = posted(self.port, "/v1/events", body)
            except OSError:  # the service was killed
                return
            assert (status, answer["written"]) == (200, 3)
            self.acknowledged[number] += sent
            turn += 1

    def join(self):
        self.over.set()
        for thread in self.threads:
            thread.join()

    @property
    def count(self):
        return sum(map(len, self.acknowledged.values()))


@contextmanager
def killed_service(folder, *words):
    """A service and its port; at the end it is killed with all its workers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flatrec", "serve", str(folder), "--port", "0", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        port = int(re.search(r"http://[^:]+:(\d+)", process.stderr.readline())[1])
        got(port, "/health/ready", wait=60)
        yield process, port
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_after_a_kill_every_acknowledged_event_is_there(tmp_path, log):
    folder, acknowledged = saved(tmp_path), []
    for _ in range(2):
        with killed_service(folder, "--events", str(log)) as (process, port):
            clients = Clients(port)
            while clients.count < 150:
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
            clients.join()
        acknowledged += [one for sent in clients.acknowledged.values() for one in sent]
        found = stored(log)
        assert set(acknowledged) <= set(found)
        assert len(found) == len(set(found))
        assert len(found) <= len(set(acknowledged)) + 4 * 3  # a request of each client may have been under way
        parts = [one.rsplit("-", 1)[0] for one in found]
        assert all(parts.count(one) == 3 for one in set(parts))  # all of a request, or nothing
        acknowledged.clear()
        with closing(sqlite3.connect(log)) as database:
            database.execute("DELETE FROM flatrec_events")
            database.commit()
    with process_of(folder, "--events", str(log)) as (_, port):
        assert posted(port, "/v1/events", {"events": [event("ann", "pan", id="last")]})[0] == 200
    assert stored(log) == ["last"]


def test_all_workers_know_of_an_event_at_once(tmp_path, log):
    folder = saved(tmp_path)
    with process_of(folder, "--events", str(log), "--workers", "2") as (_, port):
        until = time.monotonic() + 60
        while "flatrec_workers" not in got(port, "/metrics") or workers(port) < 2:
            assert time.monotonic() < until
            time.sleep(0.1)
        for turn in range(20):
            user = f"new{turn}"
            assert posted(port, "/v1/events", {"events": [event(user, "cup"), event(user, "jug")]})[0] == 200
            for _ in range(6):  # over connections of their own, which both workers take
                answer = json.loads(got(port, f"/v1/recommend/{user}?k=4"))
                assert answer["path"] == "history"
                assert sorted(item["item"] for item in answer["items"]) == ["mug", "pan"]
        assert posted(port, "/v1/events", {"events": [event("x" * 10_000_000, "cup")]})[0] == 413
        counted = [line for line in got(port, "/metrics").splitlines() if line.startswith("flatrec_events_total")]
    assert 'flatrec_events_total{result="written"} 40.0' in counted


def workers(port):
    lines = [line for line in got(port, "/metrics").splitlines() if line.startswith("flatrec_workers{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def test_on_a_full_disk_events_are_refused_and_none_is_lost(folder, tmp_path):
    with small_disk(tmp_path / "disk") as disk, logging_client(folder, disk / "events.sqlite") as client:
        (disk / "ballast").write_bytes(bytes(100_000))
        written, status = [], 200
        while status == 200:
            sent = [f"{len(written) + number}" for number in range(10)]
            answer = send(client, *(event("ann", "x" * 400, id=one) for one in sent))
            status = answer.status_code
            written += sent if status == 200 else []
            assert len(written) < 10_000
        assert (status, answer.json()["error"]["kind"]) == (507, "storage-full")
        assert len(written) > 10
        assert client.get("/v1/recommend/ann").status_code == 200
        assert send(client, *(event("ann", "x" * 400) for _ in range(10))).status_code == 507
        (disk / "ballast").unlink()
        assert send(client, event("ann", "pan", id="last")).json()["written"] == 1
        assert sorted(stored(disk / "events.sqlite")) == sorted([*written, "last"])
        assert [item["item"] for item in client.get("/v1/recommend/ann?k=4").json()["items"]] == ["mug"]


def test_what_is_no_log_is_said_in_one_line_before_anything_listens(flatrec, tmp_path, monkeypatch):
    folder, text = saved(tmp_path), tmp_path / "text"
    text.write_bytes(b"no database at all " * 100)
    monkeypatch.setenv("EVENTS_URL", "postgresql://me:a-secret@127.0.0.1:1/db")
    monkeypatch.delenv("OTHER_URL", raising=False)
    for words, said in (
        (("--events", text), "must be a SQLite database"),
        (("--events", tmp_path / "none" / "events"), "create it first"),
        (("--events", "postgresql://me:a-secret@host/db"), "environment variable"),
        (("--events-url-env", "OTHER_URL"), "OTHER_URL is not set"),
        (("--events-url-env", "EVENTS_URL"), "cannot be used"),
        (("--events", tmp_path / "a", "--events-url-env", "EVENTS_URL"), "name one of both"),
        (("--events", tmp_path / "a", "--set", "events.mask=3"), "events.mask"),
        (("--events", tmp_path / "a", "--set", "events.paht=3"), "paht"),
    ):
        outcome = flatrec("serve", folder, *words)
        assert outcome.code != 0, words
        assert said in outcome.err, outcome.err
        assert len(outcome.err.strip().splitlines()) == 1, outcome.err
        assert "a-secret" not in outcome.err


def test_the_next_recommender_knows_who_came_today(tmp_path, log):
    deliver_data(tmp_path, shop_events(30))
    job = settings_of(tmp_path, f'\n[events]\npath = "{log}"\n', text=KNN)
    with logging_client(saved(tmp_path), log):
        pass  # an empty log
    assert refresh(job, now=NOW).outcome == "promoted"
    with logging_client(tmp_path / "store", log) as client:
        bought = [event("zoe", f"i{number}", time=START + 29 * 86_400) for number in (0, 1, 2)]
        assert send(client, *bought).json()["written"] == 3
        assert client.get("/v1/recommend/zoe").json()["path"] == "history"
        assert refresh(job, now=NOW).outcome == "promoted"
        until = time.monotonic() + 30
        while (answer := client.get("/v1/recommend/zoe?k=3").json())["path"] != "known":
            assert time.monotonic() < until
            time.sleep(0.1)
        assert not {"i0", "i1", "i2"} & {item["item"] for item in answer["items"]}
    assert "zoe" in load_recommender(tmp_path / "store" / "current").users
