"""Running the service: one process or several behind one socket, and a clean end at SIGTERM."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import uvicorn
from starlette.types import ASGIApp

from flatrec.inference.storage import ADVICE
from flatrec.serve.access_log import AccessLog
from flatrec.serve.events import logged_events
from flatrec.serve.served import content_hash, served_folder
from flatrec.serve.settings import ServeSettings, tokens_from_environment
from flatrec.serve.supervisor import Supervisor
from flatrec.utils.integrity import check_manifest

METRICS = "PROMETHEUS_MULTIPROC_DIR"
BACKLOG = 2048
OTHER_FILES = 256  # that a process has open beside its connections


@dataclass(frozen=True)
class Factory:
    """What every process makes its app of; it can be pickled.

    Args:
        path: the folder of the recommender.
        settings: how it is run.
        compare: the folder of a second recommender.
    """

    path: Path
    settings: ServeSettings
    compare: Path | None = None

    def __call__(self) -> ASGIApp:
        """Load the recommender and return the app.

        Raises:
            FileNotFoundError: there is no recommender.
            ValueError: it is damaged.
        """
        from flatrec.serve.app import make_app  # after the environment says where metrics go
        from flatrec.serve.page_routes import PageFacts, page_routes
        from flatrec.serve.reload import ServedModel

        torch.set_num_threads(1)  # requests are worked on side by side
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s flatrec: %(message)s")
        tokens = tokens_from_environment(required=self.settings.require_token)
        compare = None if self.compare is None else ServedModel(self.compare)
        events = logged_events(self.settings)
        facts = PageFacts(compare is not None, self.settings.user_search, bool(tokens))
        return make_app(
            ServedModel(self.path),
            self.settings,
            tokens=tokens,
            events=events,
            operations=() if events is None else (events.operation(),),
            pages=page_routes(facts) if self.settings.page else (),
            compare=compare,
            access_log=AccessLog(sys.stdout.buffer),
        )


@dataclass(frozen=True)
class Worker:
    """What each of several processes does.

    Args:
        factory: what makes the app.
    """

    factory: Factory

    def __call__(self, listening: socket.socket) -> None:
        """Answer requests until SIGTERM.

        Raises:
            FileNotFoundError: there is no recommender.
            ValueError: it is damaged.
        """
        _allow_open_files(self.factory.settings.limits.connections)
        server = uvicorn.Server(server_config(self.factory(), self.factory.settings))
        with _quiet_signals():
            server.run([listening])


def serve(factory: Factory, announce: Callable[[str], None]) -> None:
    """Answer requests until SIGTERM or Ctrl-C; requests under way are finished.

    Args:
        factory: what every process makes its app of.
        announce: hears of the address as soon as clients can connect; they wait until the recommender is loaded.

    Raises:
        FileNotFoundError: there is no recommender.
        ValueError: it is damaged, tokens are required and there are none, or what should be a log of events is none.
        LogUnavailableError: the log of events cannot be opened.
        OSError: the address cannot be listened on.
    """
    settings = factory.settings
    tokens_from_environment(required=settings.require_token)
    for path in (factory.path, factory.compare):
        if path is not None:
            folder = served_folder(path)
            content_hash(folder)
            check_manifest(folder, advice=ADVICE)
    place = settings.events.place
    if place is not None:
        place.open(create=True, seconds=settings.events.seconds).close()
    listening = listen(settings.host, settings.port)
    announce(address_of(listening))
    worker = Worker(factory)
    if settings.workers == 1:
        worker(listening)
        return
    with tempfile.TemporaryDirectory(prefix="flatrec-metrics-") as folder_of_metrics, _quiet_signals():
        os.environ[METRICS] = folder_of_metrics
        Supervisor(worker, listening, settings.workers, settings.shutdown_seconds).run()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address.

    Raises:
        OSError: it cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # so named, asyncio sends without delay
    try:
        if sys.platform == "win32":  # where SO_REUSEADDR would let other programs take the address as well
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise OSError(f"cannot listen on {host}, port {port}: {error.strerror}; choose another with --port") from None
    return bound


def address_of(bound: socket.socket) -> str:
    """Return the address of a socket, for people."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server_config(app: ASGIApp, settings: ServeSettings) -> uvicorn.Config:
    """Return how uvicorn runs the service."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        backlog=BACKLOG,
        access_log=False,
        log_level="warning",
        lifespan="on",
        http="flatrec.serve.slow_clients:ImpatientProtocol",
        ws="none",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.limits.connections,
        timeout_graceful_shutdown=math.ceil(settings.shutdown_seconds),
    )


def _allow_open_files(connections: int) -> None:
    """Raise the number of files that the process may open, as far as the system lets it, for its connections."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    if soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))


@contextmanager
def _quiet_signals() -> Iterator[None]:
    """Let the server end a process at a signal, and what comes after it be no error."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
