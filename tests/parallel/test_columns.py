"""Processes that share columns compute what a single one computes."""

from __future__ import annotations

import pytest

from tests.parallel.case import Case, check_equal
from tests.parallel.column_cases import DEFAULT, REST

FEW = [Case("lightgcn", "bsam+"), Case("freedom", "bsam+"), Case("vbpr", "sam"), Case("dualgnn", "sam")]


@pytest.mark.parametrize("case", DEFAULT, ids=str)
def test_two_processes_equal_one_after_twenty_steps(case, trained):
    check_equal(case, trained(2, DEFAULT), 2)


@pytest.mark.slow
@pytest.mark.parametrize("case", REST, ids=str)
def test_two_processes_equal_one_in_all_else(case, trained):
    check_equal(case, trained(2, REST), 2)


@pytest.mark.parametrize("case", FEW, ids=str)
def test_three_processes_with_four_three_and_three_columns_equal_one(case, trained):
    check_equal(case, trained(3, FEW), 3)


@pytest.mark.slow
@pytest.mark.parametrize("case", FEW, ids=str)
def test_four_processes_equal_one(case, trained):
    check_equal(case, trained(4, FEW), 4)
