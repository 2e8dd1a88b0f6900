"""A service of the little shop."""

from __future__ import annotations

import pytest

from tests.cli.conftest import flatrec  # noqa: F401 - a fixture
from tests.serve.shops import client_of, saved


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a recommender."""
    return saved(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def client(folder):
    """A client of its service."""
    with client_of(folder) as one:
        yield one
