"""What a spreadsheet would carry out is shown instead; numbers stay numbers."""

from __future__ import annotations

import pytest

from flatrec.utils.csv_cells import no_formula, no_formulas


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "=", "-", "--", "- red dress", "-0.5 %", "-1_000", "+\n1"],
)
def test_text_that_starts_a_formula_gets_an_apostrophe(text):
    assert no_formula(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["", "a=1", "-0.5", "+3", "-1e-7", "5", " =1", "'=1", "a\n=1", "\N{MINUS SIGN}1", "-inf"]
)
def test_numbers_and_other_text_stay_as_they_are(text):
    assert no_formula(text) == text


def test_cells_that_are_numbers_are_not_touched():
    assert no_formulas((-0.5, None, "-x", 3)) == [-0.5, None, "'-x", 3]
