"""Recommenders and clients for the tests of the service."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import polars as pl
import uvicorn
from PIL import Image
from starlette.testclient import TestClient

from flatrec.data.features import Features
from flatrec.inference.storage import save_recommender
from flatrec.models.scoring import Vectors
from flatrec.serve.app import make_app
from flatrec.serve.reload import ServedModel
from flatrec.serve.runner import server_config
from flatrec.serve.settings import ServeSettings
from tests.inference.shops import ITEMS, USERS, recommender

TITLES = ("Café cup", "Large jug", "Blue mug", None)


def shop(folder: Path, scale: float = 1.0):
    """The recommender by hand with titles, columns, features and an image for the cup; scores by a factor."""
    picture = folder / "cup.png"
    if not picture.exists():
        Image.new("RGB", (4, 4), "white").save(picture)
    made = recommender(scoring=Vectors(USERS * scale, ITEMS))
    catalog = replace(
        made.catalog,
        titles=TITLES,
        images=(picture, None, folder / "gone.png", Path("/etc/passwd")),
        columns=pl.DataFrame({"price": [4.0, 9.0, None, 20.0], "kind": ["cup", "jug", "cup", "pan"]}),
        features={"text": Features(np.eye(4, 3, dtype=np.float32) + 0.1, np.ones(4, dtype=np.bool_))},
    )
    return replace(made, catalog=catalog)


def saved(folder: Path, scale: float = 1.0) -> Path:
    """The folder of that recommender."""
    save_recommender(shop(folder, scale), folder / "recommender")
    return folder / "recommender"


@contextmanager
def client_of(path: Path, settings: ServeSettings | None = None, **parts):
    """A client of the service of a folder."""
    app = make_app(ServedModel(path), settings or ServeSettings(user_search=True), **parts)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


@contextmanager
def server_of(path: Path, settings: ServeSettings | None = None, **parts):
    """The port of a real server of a folder, in a thread."""
    settings = settings or ServeSettings(port=0)
    server = uvicorn.Server(server_config(make_app(ServedModel(path), settings, **parts), settings))
    thread = Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def exchange(port: int, request: bytes, *, wait: float = 10.0) -> tuple[int, bytes]:
    """Send bytes over a connection of their own and return status and body of the answer; status 0 without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as connection:
        connection.sendall(request)
        received = b""
        try:
            while part := connection.recv(65_536):
                received += part
                head, found, body = received.partition(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head)
                if found and length and len(body) >= int(length[1]):
                    break
        except (TimeoutError, ConnectionResetError):
            pass
    head, _, body = received.partition(b"\r\n\r\n")
    return (int(head.split()[1]) if head else 0), body


@contextmanager
def process_of(path: Path, *words: str):
    """A process of ``flatrec serve`` and its port; at the end it must stop at SIGTERM, with exit code 0."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flatrec", "serve", str(path), "--port", "0", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        line = process.stderr.readline()
        assert "http://" in line, line + process.stderr.read()
        port = int(re.search(r"http://[^:]+:(\d+)", line)[1])
        reader = Thread(target=lambda: sys.stderr.write(process.stderr.read()))
        reader.start()
        while exchange(port, b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\n\r\n", wait=60)[0] != 200:
            assert process.poll() is None
        yield process, port
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        reader.join()
        process.stderr.close()
