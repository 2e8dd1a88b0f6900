"""Where a log of events is: a SQLite file, or a PostgreSQL database whose URL is in the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from flatrec.event_log.store import EventStore
from flatrec.utils.messages import clipped

SECONDS = 60.0  # to wait for a lock, where nobody waits for an answer


@dataclass(frozen=True)
class LogPlace:
    """The place of a log; one of the two is given.

    Args:
        path: the SQLite file.
        url_env: the name of the environment variable with the URL of a PostgreSQL database.

    Raises:
        ValueError: both or neither is given, or the path is a URL.
    """

    path: Path | None = None
    url_env: str | None = None

    def __post_init__(self) -> None:
        if (self.path is None) == (self.url_env is None):
            raise ValueError("a log of events is in a SQLite file or in a database; name one of both")
        if self.path is not None and str(self.path).startswith(("sqlite:", "postgres")) and ":/" in str(self.path):
            raise ValueError(
                "a log of events needs the path of a SQLite file here, but there is a URL, which everybody on the "
                "machine could read; put it into an environment variable, and give the name of that as the URL's"
            )

    def open(self, *, create: bool = False, seconds: float = SECONDS) -> EventStore:
        """Open the log, and check that it is one.

        Args:
            create: whether a log that is not there is made.
            seconds: time to wait for a lock, or for the server.

        Raises:
            FileNotFoundError: there is none, or no folder for it.
            ValueError: what is there is no log of events, or the environment variable holds no URL of PostgreSQL.
            ModuleNotFoundError: the driver of PostgreSQL is not installed.
            LogUnavailableError: it cannot be opened.
        """
        store = self.store(seconds)
        try:
            store.prepare(create=create)
        except BaseException:
            store.close()
            raise
        return store

    def store(self, seconds: float) -> EventStore:
        """Return the log without looking at it; the first call that needs it opens it.

        Args:
            seconds: time to wait for a lock, or for the server.

        Raises:
            ValueError: the environment variable holds no URL of PostgreSQL.
            ModuleNotFoundError: the driver of PostgreSQL is not installed.
        """
        if self.path is not None:
            from flatrec.event_log.sqlite import SQLiteStore

            return SQLiteStore(self.path, seconds)
        from flatrec.inference.export.database.tables import require_drivers

        url = self._url()
        require_drivers(url)
        from flatrec.event_log.postgresql import PostgreSQLStore

        return PostgreSQLStore(url, seconds)

    def _url(self) -> str:
        url = os.environ.get(str(self.url_env), "").strip()
        name = clipped(str(self.url_env))
        if not url:
            raise ValueError(f"the environment variable {name} is not set; set it to the URL of the database")
        if not url.startswith("postgres"):
            raise ValueError(
                f"the environment variable {name} must hold a URL such as postgresql://user@host/name, but does not; "
                "a SQLite file is named by its path instead"
            )
        return url
