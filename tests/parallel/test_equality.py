"""Processes that share columns compute what a single one computes."""

from __future__ import annotations

import pytest

from tests.parallel.cases import MAIN, check_equal, train_all
from tests.parallel.together import together


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    together(2, train_all, MAIN, folder, folder=folder)
    return folder


@pytest.mark.parametrize("case", MAIN, ids=str)
def test_two_processes_equal_one_after_twenty_steps(case, two):
    check_equal(case, two, 2)
