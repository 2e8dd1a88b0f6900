"""Databases to export into: a SQLite file, and a database of a real PostgreSQL server (slow)."""

from __future__ import annotations

import itertools

import pytest

from tests.inference.export.database.exports import Client
from tests.postgresql_server import running_server

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL server that runs."""
    with running_server("-c", "fsync=off") as made:
        yield made


@pytest.fixture
def postgresql(server):
    """URL of an empty database of the server."""
    name = f"shop{next(_NUMBERS)}"
    Client(server.url())(f"CREATE DATABASE {name}")
    return server.url(database=name)


@pytest.fixture
def sqlite(tmp_path):
    """URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path}/shop.db"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request):
    """URL of an empty database."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def client(url):
    return Client(url)
