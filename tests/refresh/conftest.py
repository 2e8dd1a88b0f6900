"""A shop with one generation in use."""

from __future__ import annotations

import shutil

import pytest

from tests.refresh.deliveries import deliver, events, run


@pytest.fixture(scope="session")
def first(tmp_path_factory):
    """A shop with one generation in use, which no test changes."""
    folder = tmp_path_factory.mktemp("shop")
    deliver(folder, events(30))
    assert run(folder).outcome == "promoted"
    return folder


@pytest.fixture
def shop(first, tmp_path):
    """A copy of it with the delivery of the next day."""
    shutil.copytree(first, tmp_path / "shop", symlinks=True)
    deliver(tmp_path / "shop", events(31))
    return tmp_path / "shop"
