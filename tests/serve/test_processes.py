"""``flatrec serve`` as a process: several workers, signals, and what it refuses to start with."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from flatrec.inference.storage import save_recommender
from tests.serve.shops import exchange, process_of, saved, shop


def asked(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return answer.read().decode()


def workers_of(process):
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(one) for one in listed if "spawn_main" in Path(f"/proc/{one}/cmdline").read_text()]


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)


def test_two_workers_count_together_and_follow_a_new_recommender(tmp_path):
    folder = saved(tmp_path)
    with process_of(folder, "--workers", "2", "--set", "reload_seconds=0.2") as (process, port):
        until(lambda: "flatrec_workers" in asked(port, "/metrics") and served_by(port) == [2.0])
        for _ in range(30):
            asked(port, "/v1/recommend/ann")
        count = 'flatrec_request_seconds_count{operation="/v1/recommend/{user}",status="200"} 30.0'
        until(lambda: count in asked(port, "/metrics"))  # a request is counted after its answer is sent
        save_recommender(shop(tmp_path, 2.0), folder)
        until(lambda: sorted(served_by(port)) == [0.0, 2.0])
        first, _ = workers_of(process)
        os.kill(first, signal.SIGKILL)
        until(lambda: first not in workers_of(process) and len(workers_of(process)) == 2)
        until(lambda: max(served_by(port)) == 2.0)
        assert count in asked(port, "/metrics")  # what a worker counted stays when it is gone


def served_by(port):
    """Number of workers that serve each recommender."""
    lines = [line for line in asked(port, "/metrics").splitlines() if line.startswith("flatrec_workers{")]
    return [float(line.rsplit(" ", 1)[1]) for line in lines]


def test_sigterm_finishes_what_is_under_way(tmp_path):
    answers = []
    body = json.dumps({"users": ["ann", "bob"] * 50, "explain": True, "diversity": 0.5}).encode()

    def ask(port):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/recommend", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            answers.append(len(json.loads(answer.read())["lists"]))

    with process_of(saved(tmp_path), "--set", "limits.threads=1") as (process, port):
        threads = [threading.Thread(target=ask, args=(port,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
    assert answers == [100] * 8
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_several_workers_refuse_connections_while_they_end(tmp_path):
    body = json.dumps({"users": ["ann", "bob"] * 50, "explain": True, "diversity": 0.5}).encode()
    request = (
        b"POST /v1/recommend HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        + f"content-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    with process_of(saved(tmp_path), "--workers", "2", "--set", "limits.threads=1") as (process, port):
        threads = [threading.Thread(target=exchange, args=(port, request), kwargs={"wait": 60}) for _ in range(16)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        until(lambda: refuses(port), seconds=2)
        still_there = process.poll() is None
        for thread in threads:
            thread.join()
    assert still_there or process.returncode == 0


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionError:
        return True
    return False


def test_what_cannot_be_served_is_said_in_one_line(flatrec, tmp_path, monkeypatch):
    monkeypatch.delenv("FLATREC_TOKENS", raising=False)
    folder = saved(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for words, expected in (
            ((tmp_path / "nothing",), "holds no recommender"),
            ((folder, "--require-token"), "FLATREC_TOKENS"),
            ((folder, "--token", "secret"), "environment variable"),
            ((folder, "--port", 100_000), "port"),
            ((folder, "--set", "limits.k=0"), "limits.k"),
            ((folder, "--set", "speed=9"), "speed"),
            ((folder, "--port", port), "choose another"),
        ):
            outcome = flatrec("serve", *words)
            assert outcome.code != 0, words
            assert expected in outcome.err, outcome.err
            assert len(outcome.err.strip().splitlines()) == 1, outcome.err
            assert "secret" not in outcome.err
    (folder / "users.parquet").write_bytes(b"")
    assert "damaged" in flatrec("serve", folder, "--workers", "2").err
