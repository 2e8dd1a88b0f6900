"""The address of a database, and how it is shown: without its password."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from flatrec.utils.messages import clipped

_DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg"}
_EXAMPLES = "sqlite:///shop.db or postgresql://user@host/name"


@dataclass(frozen=True)
class Address:
    """The URL of a SQLite or PostgreSQL database.

    Attributes:
        url: the URL with its driver.
        shown: the URL without password and options, for messages.
    """

    url: URL
    shown: str

    def conceal(self, text: str) -> str:
        """Return a text of the database or its driver without the passwords of the URL."""
        options = (value for name, value in self.url.query.items() if "password" in name)
        for secret in (self.url.password, *options):
            if isinstance(secret, str) and secret:
                text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
        return text


def parse_address(url: str) -> Address:
    """Read the URL of a database.

    Raises:
        ValueError: it is not a URL, or not that of a SQLite file or a PostgreSQL database. The message never contains
            the URL, in which a password may stand at the wrong place.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError(f"the database needs a URL such as {_EXAMPLES}; this is none") from None
    backend, _, driver = parsed.drivername.partition("+")
    if backend not in _DRIVERS:
        raise ValueError(f"unknown database {clipped(backend)!r}; write a URL such as {_EXAMPLES}")
    if driver not in ("", _DRIVERS[backend]):
        raise ValueError(f"unknown driver {clipped(driver)!r}; write the URL with {backend}:// alone")
    parsed = parsed.set(drivername=f"{backend}+{_DRIVERS[backend]}")
    return _sqlite_file(parsed) if backend == "sqlite" else _postgresql(parsed)


def _sqlite_file(url: URL) -> Address:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:") or url.host:
        raise ValueError("the URL of a SQLite database needs the path of a file, such as sqlite:///shop.db")
    return Address(url, f"sqlite:///{url.database}")


def _postgresql(url: URL) -> Address:
    if any("@" in part for part in (url.host or "", url.database or "")):
        raise ValueError("the user or password in the URL contains @ or /; write @ as %40 and / as %2F")
    user = f"{url.username}@" if url.username else ""
    port = f":{url.port}" if url.port else ""
    return Address(url, f"postgresql://{user}{url.host or ''}{port}/{url.database or ''}")
