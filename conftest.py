"""What holds for all tests."""

from __future__ import annotations

import jaxtyping
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


@pytest.fixture(autouse=True)
def _repeated_paths_are_not_type_checked_again(request):
    """Where every path is checked by another test, annotations are not compared with values once more."""
    repeats = request.node.get_closest_marker("repeats") is not None
    jaxtyping.config.update("jaxtyping_disable", repeats)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
