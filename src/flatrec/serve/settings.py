"""What a service is told when it starts: where it listens, who may ask, and what a request may cost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, TypeAlias

from flatrec.config import Config
from flatrec.event_log import LogPlace
from flatrec.utils.ranges import PositiveFloat, Range

TOKENS = "FLATREC_TOKENS"  # the environment variable with the bearer tokens, separated by commas
LEAST_TOKEN = 16  # characters
LOOPBACK = ("127.0.0.1", "::1", "localhost")

Bytes: TypeAlias = Annotated[int, Range(ge=1024, le=2**31 - 1)]
Count: TypeAlias = Annotated[int, Range(ge=1, le=1_000_000)]


class Limits(Config):
    """What a single request may cost; what exceeds a limit is refused with one line.

    Args:
        body_bytes: length of a body; a new item with an image may have the bytes of the image more.
        k: length of a list; at least the longest one that is made if no length is asked for.
        users: number of lists in a request.
        history: number of items in a history.
        ids: number of ids in any other list, such as ``exclude``.
        id_length: number of characters of an id.
        dimensions: number of values of a feature.
        events: number of events that are sent at once.
        image_bytes: size of an image, sent or served.
        image_pixels: width times height of an image that is sent.
        seconds: time from the end of the body to the answer.
        body_seconds: time in which the body must arrive.
        threads: number of requests that are worked on at the same time, in each worker.
        waiting: number of requests that wait for them, in each worker.
        encodings: number of new items that are encoded at the same time, in each worker.
        connections: number of connections that are open at the same time, in each worker.
    """

    body_bytes: Bytes = 2**20
    k: Annotated[int, Range(ge=20, le=10_000)] = 500
    users: Count = 100
    history: Count = 1000
    ids: Count = 10_000
    id_length: Count = 512
    dimensions: Count = 16_384
    events: Count = 1000
    image_bytes: Bytes = 8 * 2**20
    image_pixels: Annotated[int, Range(ge=1, le=64_000_000)] = 25_000_000
    seconds: PositiveFloat = 10.0
    body_seconds: PositiveFloat = 10.0
    threads: Annotated[int, Range(ge=1, le=256)] = 2
    waiting: Count = 256
    encodings: Annotated[int, Range(ge=1, le=64)] = 1
    connections: Count = 2000


class EventSettings(Config):
    """The log of events, and what its events mean; without a place there is no log.

    Args:
        path: the SQLite file of the log.
        url_env: the name of the environment variable with the URL of a PostgreSQL database, in the place of a file.
        default: the name of an event that is sent without one.
        mask: the events whose item is not listed for the user any more; left out, all.
        history: the events by whose items a user without training is judged; left out, all.
        seconds: time to wait for the log, below ``limits.seconds``.
        pause: time for which a log that was waited for in vain is not asked again.
    """

    path: str | None = None
    url_env: str | None = None
    default: str = "interaction"
    mask: tuple[str, ...] | None = None
    history: tuple[str, ...] | None = None
    seconds: PositiveFloat = 2.0
    pause: PositiveFloat = 5.0

    @property
    def place(self) -> LogPlace | None:
        """Where the log is; None without one.

        Raises:
            ValueError: there are two places.
        """
        if self.path is None and self.url_env is None:
            return None
        return LogPlace(None if self.path is None else Path(self.path), self.url_env)


class ServeSettings(Config):
    """How a service is run.

    Args:
        host: address that it listens on; only the machine itself can ask at the default.
        port: port that it listens on; 0 for a free one.
        workers: number of processes, each with the recommender.
        require_token: whether the service refuses to start without tokens in the environment.
        allowed_hosts: names by which clients may call the service, as in the header ``Host``, beside those of the
            machine itself; empty for those alone where the service listens there only, and else for any name.
        cors_origins: origins whose pages may call the service from a browser, such as ``https://shop.example``.
        reload_seconds: time between two looks at the folder for a new recommender.
        log_users: whether the access log has the ids of users and items, which are part of the paths.
        user_search: whether ids of users can be searched.
        page: whether there is a page to look at, under ``/``.
        shutdown_seconds: time for requests under way to end after SIGTERM.
        limits: what a single request may cost.
        events: the log of events.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Range(ge=0, le=65_535)] = 8000
    workers: Annotated[int, Range(ge=1, le=256)] = 1
    require_token: bool = False
    allowed_hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    reload_seconds: PositiveFloat = 2.0
    log_users: bool = False
    user_search: bool = False
    page: bool = True
    shutdown_seconds: PositiveFloat = 30.0
    limits: Limits = Limits()
    events: EventSettings = EventSettings()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names by which clients may call the service; empty for any."""
        if not self.allowed_hosts:
            return LOOPBACK if self.host in LOOPBACK else ()
        return (*LOOPBACK, *self.allowed_hosts)


def tokens_from_environment(*, required: bool) -> tuple[str, ...]:
    """Return the bearer tokens, which come from the environment alone; none, if it has none.

    Raises:
        ValueError: a token is too short to be kept secret, has characters that no header may have, or there is none
            though one is required.
    """
    tokens = tuple(token.strip() for token in os.environ.get(TOKENS, "").split(",") if token.strip())
    for token in tokens:
        if len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError(
                f"every token in {TOKENS} must have at least {LEAST_TOKEN} printable ASCII characters, but one does "
                "not; make one with: python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
    if required and not tokens:
        raise ValueError(f"tokens are required, but {TOKENS} has none; set it to one or several, separated by commas")
    return tokens
