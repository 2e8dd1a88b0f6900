"""Clients that are slow, go away, come in crowds or speak no HTTP, against a real server."""

from __future__ import annotations

import json
import resource
import socket
import threading
import time

import pytest

from flatrec.serve import slow_clients
from flatrec.serve.settings import Limits, ServeSettings
from tests.serve.shops import exchange, server_of

JSON_POST = b"POST /v1/recommend HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


@pytest.fixture(scope="module")
def port(folder):
    """A service that waits for a body for half a second."""
    with server_of(folder, ServeSettings(port=0, limits=Limits(body_seconds=0.5))) as one:
        yield one


@pytest.fixture(autouse=True)
def _it_answers_afterwards(port):
    yield
    assert answers(port)


def answers(port):
    return exchange(port, b"GET /v1/recommend/ann HTTP/1.1\r\nhost: localhost\r\n\r\n")[0] == 200


def kind(body):
    return json.loads(body)["error"]["kind"]


def test_a_slow_body_is_refused(port):
    status, body = exchange(port, JSON_POST + b'content-length: 100\r\n\r\n{"user":')
    assert (status, kind(body)) == (408, "timeout")


def test_an_endless_body_is_refused(port):
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    status, body = exchange(port, JSON_POST + b"transfer-encoding: chunked\r\n\r\n" + chunk * 20)
    assert (status, kind(body)) == (413, "too-large")


def test_a_body_that_is_a_little_too_long_is_refused_at_once(folder):
    with server_of(folder, ServeSettings(port=0)) as patient:  # for 10 seconds
        for size in (2**20, 3 * 2**20):
            content = json.dumps({"user": "x" * size}).encode()
            began = time.monotonic()
            status, _ = exchange(patient, JSON_POST + f"content-length: {len(content)}\r\n\r\n".encode() + content)
            assert status == 413
            assert time.monotonic() - began < 5


def test_a_body_of_10_mb_is_refused_and_read_to_its_end(port):
    content = json.dumps({"user": "x" * 10_000_000}).encode()
    status, body = exchange(port, JSON_POST + f"content-length: {len(content)}\r\n\r\n".encode() + content)
    assert (status, kind(body)) == (413, "too-large")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),  # the beginning of TLS
        b"nonsense\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 100_000 + b"\r\n\r\n",
        JSON_POST + b"content-length: -5\r\n\r\n{}",
        JSON_POST + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        JSON_POST + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}",
    ],
)
def test_what_is_no_http_is_refused(port, request_bytes):
    status, _ = exchange(port, request_bytes)
    assert 400 <= status < 500


@pytest.mark.parametrize(
    "path",
    ["/v1/recommend/../../etc/passwd", "/v1/recommend/%2e%2e%2f%2e%2e", "//v1/model", "/v1/images/../images/cup",
     "/v1/recommen%64/%ff", "/v1/recommend/a?b?c"],
)  # fmt: skip
def test_paths_are_ids_and_never_files(port, path):
    status, body = exchange(port, f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    assert status == 200 or kind(body)
    assert status < 500
    assert b"root:" not in body


def test_a_client_that_goes_away_is_forgotten(port):
    for request in (JSON_POST + b'content-length: 100\r\n\r\n{"user":', b"GET /v1/recommend/ann HTTP/1.1\r\n"):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(request)
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET /v1/recommend/ann HTTP/1.1\r\nhost: localhost\r\n\r\n")
    time.sleep(0.2)


def test_a_request_without_a_host_is_refused(port):
    assert exchange(port, b"GET /v1/model HTTP/1.0\r\n\r\n")[0] == 421


def test_a_websocket_is_no_way_in(port):
    upgrade = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: eA==\r\n"
    status, _ = exchange(port, b"GET /v1/model HTTP/1.1\r\nhost: localhost\r\n" + upgrade + b"\r\n")
    assert status == 200  # answered as if no upgrade had been asked for


def test_a_thousand_connections_are_answered(port):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (resource.RLIM_INFINITY,) and hard < 4000:
        pytest.skip(f"2,000 open files are needed, but only {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4000), hard))
    connections = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(1000)]
    try:
        assert answers(port)
        for connection in connections:
            connection.sendall(b"GET /v1/model HTTP/1.1\r\nhost: localhost\r\n\r\n")
        found = [connection.recv(100)[9:12] for connection in connections]
    finally:
        for connection in connections:
            connection.close()
    assert set(found) <= {b"200", b"503"}


def test_many_requests_at_once_wait_or_are_refused(folder):
    limits = Limits(threads=1, waiting=2)
    statuses: list[int] = []

    def ask(port):
        body = json.dumps({"users": ["ann", "bob"] * 50, "explain": True}).encode()
        request = JSON_POST + f"content-length: {len(body)}\r\n\r\n".encode() + body
        statuses.append(exchange(port, request, wait=30)[0])

    with server_of(folder, ServeSettings(port=0, limits=limits)) as port:
        threads = [threading.Thread(target=ask, args=(port,)) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers(port)
    assert set(statuses) == {200, 503}


def test_a_head_that_never_ends_is_given_up(folder, monkeypatch):
    monkeypatch.setattr(slow_clients, "HEAD_SECONDS", 0.2)
    request = b"GET /v1/model HTTP/1.1\r\nhost: localhost\r\n"
    with server_of(folder) as port:
        assert exchange(port, request, wait=5)[0] == 0
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(request + b"\r\n")
            assert b" 200 " in connection.recv(100_000)
            connection.sendall(b"GET /v1")  # the second one never ends
            started = time.monotonic()
            while connection.recv(100_000):
                pass
            assert time.monotonic() - started < 4
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:  # one that waits is kept alive
            for _ in range(3):
                connection.sendall(request + b"\r\n")
                time.sleep(0.5)
                assert b" 200 " in connection.recv(100_000)
