"""What holds for all tests."""

from __future__ import annotations

import pytest

from flatrec.graphs.cache import VARIABLE


@pytest.fixture(autouse=True, scope="session")
def _graphs_are_cached_apart(tmp_path_factory):
    """Built graphs go to a temporary folder, in child processes too; the user's own is never read or written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("graphs")))
        yield
