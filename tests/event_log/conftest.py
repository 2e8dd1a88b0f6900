"""Logs: a SQLite file, and a database of a real PostgreSQL server (slow)."""

from __future__ import annotations

import itertools

import pytest

from flatrec.event_log import LogPlace
from tests.postgresql_server import running_server

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL server that runs."""
    with running_server() as made:
        yield made


@pytest.fixture
def database(server, monkeypatch):
    """URL of an empty database, which is in the environment as well."""
    import psycopg

    name = f"events{next(_NUMBERS)}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    monkeypatch.setenv("EVENTS_URL", server.url(database=name))
    return server.url(database=name)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def place(request, tmp_path):
    """Where a log can be."""
    if request.param == "sqlite":
        return LogPlace(tmp_path / "events.sqlite")
    request.getfixturevalue("database")
    return LogPlace(url_env="EVENTS_URL")


@pytest.fixture
def log(place):
    """An empty log."""
    made = place.open(create=True, seconds=2.0)
    yield made
    made.close()
