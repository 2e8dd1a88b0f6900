"""The HTTP service under load: times, requests per second, and the ratio to a route that returns a constant.

    OMP_NUM_THREADS=1 python benchmarks/service.py load --items 20000 200000 --out load.json
    OMP_NUM_THREADS=1 python benchmarks/service.py memory --users 1000000 --items 100000 --out memory.json

A server is one process on one core; the client, with its eight connections, is on another one, and both are on the
loopback interface. Each connection sends its next request when it has the answer to the former one. The service and a
bare Starlette app, which answers every request with the same JSON of about the same length, take turns of a second
each, so that whatever else the machine does falls on both. ``requests per second`` is the median over the turns; the
percentiles are over all requests. The quiet turns are the third with the highest rates, for machines that do something
else, too. ``ms of the processor`` is the time that the server's process worked, by request.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
from results import record
from serving_latency import generated

from flatrec.inference.storage import save_recommender

CLIENTS, SECONDS, WARM_UP = 8, 1.0, 200
SERVER_CORE, CLIENT_CORE = 0, 1


@dataclass
class Server:
    """A process that answers, and what was measured of it: the seconds of every request, turn by turn."""

    process: subprocess.Popen[str]
    port: int
    turns: list[list[float]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    worked: float = 0.0

    def forget(self) -> None:
        """Begin again."""
        self.turns, self.rates, self.worked = [], [], 0.0

    def figures(self) -> dict[str, float]:
        """Milliseconds and requests per second, over all turns and over the third of them with the highest rates."""
        best = sorted(range(len(self.rates)), key=lambda turn: -self.rates[turn])[: max(1, len(self.rates) // 3)]
        figures = {}
        for name, turns in (("", range(len(self.rates))), (" in quiet turns", best)):
            seconds = [one for turn in turns for one in self.turns[turn]]
            for q in (50, 95, 99):
                figures[f"p{q} ms{name}"] = 1000 * float(np.percentile(seconds, q))
            figures[f"requests per second{name}"] = median(self.rates[turn] for turn in turns)
        figures["ms of the processor"] = 1000 * self.worked / sum(map(len, self.turns))
        return {name: round(value, 3) for name, value in figures.items()}

    def processor_seconds(self) -> float:
        """Seconds that the process worked until now."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> dict[str, float]:
        """Resident MiB: of the process alone, and of files that it maps."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith(("Rss", "VmHWM"))}
        return {name: round(size, 1) for name, size in sizes.items()}


@contextmanager
def started(words: Sequence[str]) -> Iterator[Server]:
    """A server on a core of its own, which prints its address first."""
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with suppress(OSError):
        os.sched_setaffinity(process.pid, {SERVER_CORE})
    try:
        line = process.stderr.readline()
        yield Server(process, int(line.split("http://127.0.0.1:")[1].split(",")[0].split("/")[0]))
    finally:
        process.terminate()
        process.wait()


def turn(server: Server, requests: Iterator[bytes], *, seconds: float, most: int = 10**9) -> None:
    """Let all clients ask for some time, and add what is measured.

    One loop over the sockets, so that the client costs a small part of what it measures.
    """
    selector = selectors.DefaultSelector()
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(CLIENTS)]
    started_at: dict[socket.socket, float] = {}
    times: list[float] = []
    worked, begun = server.processor_seconds(), time.perf_counter()
    for connection in connections:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
        started_at[connection] = time.perf_counter()
        connection.sendall(next(requests))
    waiting = len(connections)
    while waiting:
        for key, _ in selector.select():
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            receive(connection)
            now = time.perf_counter()
            times.append(now - started_at[connection])
            if now - begun < seconds and len(times) < most:
                started_at[connection] = now
                connection.sendall(next(requests))
            else:
                waiting -= 1
    server.turns.append(times)
    server.rates.append(len(times) / (time.perf_counter() - begun))
    server.worked += server.processor_seconds() - worked
    selector.close()
    for connection in connections:
        connection.close()


def receive(connection: socket.socket) -> None:
    """Read one answer to its end."""
    received = connection.recv(65_536)
    end = received.find(b"\r\n\r\n")
    while end < 0:
        received += connection.recv(65_536)
        end = received.find(b"\r\n\r\n")
    if b" 200 " not in received[:20]:
        raise RuntimeError(received.decode())
    place = received.lower().index(b"content-length: ") + 16
    missing = int(received[place : received.index(b"\r", place)]) - (len(received) - end - 4)
    while missing > 0:
        missing -= len(connection.recv(65_536))


def gets(paths: Iterator[str]) -> Iterator[bytes]:
    """Requests of addresses."""
    return (f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode() for path in paths)


def users_of(n_users: int) -> Iterator[str]:
    """Addresses of the lists of users in an order without a pattern."""
    user = 0
    while True:
        user = (user + 7919) % n_users
        yield f"/v1/recommend/user-{user:07d}?k=10"


def histories_of(n_items: int) -> Iterator[bytes]:
    """Requests of lists by a history of ten items."""
    first = 0
    while True:
        first = (first + 7919) % (n_items - 10)
        body = json.dumps({"history": [f"item-{first + n:07d}" for n in range(10)]}).encode()
        head = "POST /v1/recommend HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        yield f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def load(n_users: int, n_items: int, turns: int) -> dict[str, object]:
    """The figures of the service and of the bare route, and their ratios."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "recommender"
        save_recommender(generated(n_users, n_items), folder)
        service = ["-m", "flatrec", "serve", str(folder), "--port", "0"]
        with started(service) as known, started([__file__, "bare"]) as bare:
            take_turns(known, bare, gets(users_of(n_users)), turns)
            figures = {"service": known.figures(), "bare": bare.figures()}
            known.forget()
            take_turns(known, bare, histories_of(n_items), turns)
            figures["service, by a history"] = known.figures()
            memory = known.memory()
    service, constant = figures["service"], figures["bare"]
    rate, work = "requests per second in quiet turns", "ms of the processor"
    ratios = {rate: round(constant[rate] / service[rate], 2), work: round(service[work] / constant[work], 2)}
    return {"items": n_items, "users": n_users, **figures, "ratio": ratios, "memory": memory}


def take_turns(service: Server, bare: Server, requests: Iterator[bytes], turns: int) -> None:
    """Ask both in turn."""
    constant = gets(iter(lambda: "/", None))
    turn(service, requests, seconds=60, most=WARM_UP)
    turn(bare, constant, seconds=60, most=WARM_UP)
    service.forget()
    bare.forget()
    for _ in range(turns):
        turn(service, requests, seconds=SECONDS)
        turn(bare, constant, seconds=SECONDS)


def memory_of(n_users: int, n_items: int) -> dict[str, object]:
    """What a service needs of memory: after it is loaded, after 1,000 answers, and after a reload."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "recommender"
        save_recommender(generated(n_users, n_items), folder)
        begun = time.perf_counter()
        with started(["-m", "flatrec", "serve", str(folder), "--port", "0"]) as server:
            turn(server, gets(iter(["/health/ready"] * CLIENTS)), seconds=0)
            ready = time.perf_counter() - begun
            steps = {"loaded": server.memory()}
            turn(server, gets(users_of(n_users)), seconds=600, most=1000)
            steps["after 1,000 answers"] = server.memory()
            manifest = folder / "flatrec-manifest.json"
            os.utime(manifest)
            server.forget()
            turn(server, gets(users_of(n_users)), seconds=60)
            steps["after a reload"] = server.memory()
            longest = 1000 * max(server.turns[0])
    return {"users": n_users, "items": n_items, "seconds until it answers": round(ready, 1), **steps,
            "longest ms in the minute of a reload": round(longest, 1)}  # fmt: skip


def bare() -> None:
    """Serve a constant on a free port."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from flatrec.serve.runner import address_of, listen

    item = {"item": "item-0000001", "score": 1.234567, "title": None, "image": None, "new": False, "reasons": []}
    content = json.dumps({"user": "user-0000001", "path": "known", "items": [item] * 10}).encode()

    async def constant(request: Request) -> Response:
        del request
        return Response(content, media_type="application/json")

    listening = listen("127.0.0.1", 0)
    sys.stderr.write(f"bare at {address_of(listening)}, constant\n")
    sys.stderr.flush()
    app = Starlette(routes=[Route("/", constant)])
    uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning")).run([listening])


def main() -> None:
    """Measure, and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    of_load, of_memory = commands.add_parser("load"), commands.add_parser("memory")
    commands.add_parser("bare")
    of_load.add_argument("--items", type=int, nargs="+", default=[20_000, 200_000])
    of_load.add_argument("--users", type=int, default=20_000)
    of_load.add_argument("--turns", type=int, default=15)
    of_memory.add_argument("--users", type=int, default=1_000_000)
    of_memory.add_argument("--items", type=int, default=100_000)
    for command in (of_load, of_memory):
        command.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "bare":
        bare()
        return
    with suppress(OSError):
        os.sched_setaffinity(0, {CLIENT_CORE})
    if arguments.command == "load":
        record((load(arguments.users, n, arguments.turns) for n in arguments.items), arguments.out)
    else:
        record(iter([memory_of(arguments.users, arguments.items)]), arguments.out)


if __name__ == "__main__":
    main()
