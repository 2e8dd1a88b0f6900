"""Processes that share batches compute what a single one computes that takes each batch in as many portions."""

from __future__ import annotations

import pytest

from tests.parallel.batch_cases import DEFAULT, FEW, REST
from tests.parallel.case import check_equal


@pytest.mark.parametrize("case", DEFAULT, ids=str)
def test_two_processes_equal_one_that_takes_two_portions(case, trained):
    check_equal(case, trained(2, DEFAULT), 2)


@pytest.mark.slow
@pytest.mark.parametrize("case", REST, ids=str)
def test_two_processes_equal_one_in_all_else(case, trained):
    check_equal(case, trained(2, REST), 2)


@pytest.mark.parametrize("case", FEW, ids=str)
def test_three_processes_equal_one_that_takes_three_portions(case, trained):
    check_equal(case, trained(3, FEW), 3)


@pytest.mark.slow
@pytest.mark.parametrize("case", FEW, ids=str)
def test_four_processes_equal_one_that_takes_four_portions(case, trained):
    check_equal(case, trained(4, FEW), 4)
