"""The access log: one line of JSON per request, without ids of users and items unless they are asked for."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

from msgspec import Struct, json

NAME = "flatrec.serve.access"
logger = logging.getLogger(NAME)


class AccessLine(Struct, frozen=True, omit_defaults=True):
    """What is written of a request.

    Args:
        time: when it ended.
        method: its method.
        path: the path of its operation, such as ``/v1/recommend/{user}``; of an unknown one, empty.
        status: the status of the answer; 499 if the client had gone.
        milliseconds: time from its headers to the end of its answer.
        address: its path and query as they were sent, only if users may be logged.
    """

    time: datetime
    method: str
    path: str
    status: int
    milliseconds: float
    address: str = ""


def log_access(line: AccessLine) -> None:
    """Write the line of a request."""
    if logger.isEnabledFor(logging.INFO):
        logger.info(json.encode(line).decode())


def start_access_log() -> None:
    """Let the lines go to standard output, one each, whatever else is logged."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO)


def now() -> datetime:
    """Return the time of a line."""
    return datetime.now(UTC)
