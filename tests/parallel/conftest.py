"""Trainings by several processes that many tests look at."""

from __future__ import annotations

import pytest

from tests.parallel.case import train_all
from tests.parallel.together import together
from tests.processes import LIMIT


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder in which so many processes wrote down what cases end with."""
    folders = {}

    def by(size, cases):
        key = size, len(cases)
        if key not in folders:
            folders[key] = tmp_path_factory.mktemp(f"by-{size}")
            limit = LIMIT + 10 * len(cases)
            together(size, train_all, cases, folders[key], folder=folders[key], limit=limit)
        return folders[key]

    return by
