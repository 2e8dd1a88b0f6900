"""Running the service: one process or several behind one socket, and a clean end at SIGTERM."""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from flatrec.inference.storage import ADVICE
from flatrec.serve.access_log import start_access_log
from flatrec.serve.served import content_hash, served_folder
from flatrec.serve.settings import ServeSettings, tokens_from_environment
from flatrec.utils.integrity import check_manifest
from flatrec.utils.messages import message

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
        from flatrec.serve.reload import ServedModel

        torch.set_num_threads(1)  # requests are worked on side by side
        logging.basicConfig(level=logging.WARNING, format="%(message)s")
        start_access_log()
        tokens = tokens_from_environment(required=self.settings.require_token)
        compare = None if self.compare is None else ServedModel(self.compare)
        return make_app(ServedModel(self.path), self.settings, tokens=tokens, compare=compare)


@dataclass(frozen=True)
class WorkerFactory:
    """The same in one of several processes: one that cannot begin ends all of them, and is not begun again and again.

    Args:
        factory: what makes the app.
    """

    factory: Factory

    def __call__(self) -> ASGIApp:
        """Return the app, or end the process."""
        try:
            return self.factory()
        except (OSError, ValueError) as error:
            sys.stderr.write(f"flatrec: {message(error)}\n")
            sys.exit(STARTUP_FAILURE)


def serve(factory: Factory) -> None:
    """Answer requests until SIGTERM or Ctrl-C; requests under way are finished.

    Raises:
        FileNotFoundError: there is no recommender.
        ValueError: it is damaged, or tokens are required and there are none.
        OSError: the address cannot be listened on.
    """
    settings = factory.settings
    tokens_from_environment(required=settings.require_token)
    for path in (factory.path, factory.compare):
        if path is not None:
            folder = served_folder(path)
            content_hash(folder)
            check_manifest(folder, advice=ADVICE)
    _allow_open_files(settings.limits.connections)
    with _quiet_signals():
        if settings.workers == 1:
            uvicorn.Server(server_config(factory, settings, factory=True)).run()
            return
        config = server_config(WorkerFactory(factory), settings, factory=True)
        with tempfile.TemporaryDirectory(prefix="flatrec-metrics-") as folder_of_metrics:
            os.environ[METRICS] = folder_of_metrics
            Multiprocess(config, sockets=[config.bind_socket()]).run()


def server_config(app: Factory | WorkerFactory | ASGIApp, settings: ServeSettings, *, factory: bool) -> uvicorn.Config:
    """Return how uvicorn runs the service.

    Args:
        app: the app, or what makes it in each process.
        settings: how it is run.
        factory: whether ``app`` makes it.
    """
    return uvicorn.Config(
        app,
        factory=factory,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
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
