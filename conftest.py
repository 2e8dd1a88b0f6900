"""What holds for all tests."""

from __future__ import annotations

import pytest
from hypothesis import settings

from flatrec.graphs.cache import VARIABLE

# How long an example takes says what else the machine does.
settings.register_profile("flatrec", deadline=None)
settings.load_profile("flatrec")


@pytest.fixture(autouse=True, scope="session")
def _graphs_are_cached_apart(tmp_path_factory):
    """Built graphs go to a temporary folder, in child processes too; the user's own is never read or written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("graphs")))
        yield
