"""One nursery for all commands of a test session."""

from __future__ import annotations

from functools import partial

import pytest

from tests.hostile.processes import Command, Nursery


@pytest.fixture(scope="session")
def nursery():
    made = Nursery()
    yield made
    made.close()


@pytest.fixture(scope="session")
def begin(nursery):
    """Begins a command."""
    return partial(Command, nursery)


@pytest.fixture(scope="session")
def run(begin):
    """Runs a command from its begin to its end."""
    return lambda *words, **others: begin(*words, **others).ended()
