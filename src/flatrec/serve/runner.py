"""Running the service: one process or several behind one socket, and a clean end at SIGTERM."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from flatrec.inference.storage import ADVICE
from flatrec.serve.access_log import start_access_log
from flatrec.serve.served import content_hash, served_folder
from flatrec.serve.settings import ServeSettings, tokens_from_environment
from flatrec.utils.integrity import check_manifest

METRICS = "PROMETHEUS_MULTIPROC_DIR"
BACKLOG = 2048


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
    config = uvicorn.Config(
        factory,
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        backlog=BACKLOG,
        access_log=False,
        log_level="warning",
        lifespan="on",
        ws="none",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.limits.connections,
        timeout_graceful_shutdown=int(settings.shutdown_seconds),
    )
    with _quiet_signals():
        if settings.workers == 1:
            uvicorn.Server(config).run()
            return
        with tempfile.TemporaryDirectory(prefix="flatrec-metrics-") as folder_of_metrics:
            os.environ[METRICS] = folder_of_metrics
            Multiprocess(config, sockets=[config.bind_socket()]).run()


@contextmanager
def _quiet_signals() -> Iterator[None]:
    """Let the server end a process at a signal, and what comes after it be no error."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
