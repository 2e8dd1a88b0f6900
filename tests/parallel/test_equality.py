"""Processes that share columns compute what a single one computes."""

from __future__ import annotations

import pytest

from tests.parallel.cases import MAIN, OTHER_SETTINGS, OTHER_STRATEGIES, Case, check_equal, train_all
from tests.parallel.together import together

ALL = [*MAIN, *OTHER_STRATEGIES, *OTHER_SETTINGS]
FEW = [Case("lightgcn", "bsam+"), Case("freedom", "bsam+"), Case("freedom", "sam", double=False)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folders = {}

    def by(size, cases):
        if size not in folders:
            folders[size] = tmp_path_factory.mktemp(f"by-{size}")
            together(size, train_all, cases, folders[size], folder=folders[size])
        return folders[size]

    return by


@pytest.mark.parametrize("case", ALL, ids=str)
def test_two_processes_equal_one_after_twenty_steps(case, trained):
    check_equal(case, trained(2, ALL), 2)


@pytest.mark.parametrize("case", FEW, ids=str)
def test_three_processes_with_four_three_and_three_columns_equal_one(case, trained):
    check_equal(case, trained(3, FEW), 3)


@pytest.mark.slow
@pytest.mark.parametrize("case", FEW, ids=str)
def test_four_processes_equal_one(case, trained):
    check_equal(case, trained(4, FEW), 4)
