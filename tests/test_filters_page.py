"""What docs/filters.md shows is so."""

import datetime as dt
import re
from pathlib import Path

import polars as pl
import pytest

from flatrec.inference.where import parser, select
from flatrec.inference.where.refusal import DEEPEST, LONGEST

PAGE = (Path(__file__).parents[1] / "docs" / "filters.md").read_text(encoding="utf-8")
EXAMPLES = PAGE.split("## Examples\n")[1].split("\n## ")[0]
VALUE_OF = {
    "price": float,
    "category": str,
    "in_stock": lambda cell: cell == "true",
    "launched": dt.date.fromisoformat,
    "tags": lambda cell: cell.split(", "),
}


def tables():
    """The cells of the two tables of examples, row by row."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in EXAMPLES.splitlines() if "|" in line]
    start = rows.index(["condition", "items"])
    return rows[:start], rows[start + 2 :]


def frame():
    header, _, *rows = tables()[0]
    data = {name: [row[place] for row in rows] for place, name in enumerate(header)}
    for name, value in VALUE_OF.items():
        data[name] = [value(cell) if cell else None for cell in data[name]]
    data["tags"] = [tags or [] for tags in data["tags"]]
    return pl.DataFrame(data)


@pytest.mark.parametrize(("condition", "items"), tables()[1])
def test_the_examples_select_the_items_that_the_page_names(condition, items):
    selected = frame().filter(pl.Series(select(condition.strip("`"), frame())))
    assert ", ".join(selected["item"]) == items


def test_the_errors_of_the_page_are_those_that_come():
    block = PAGE.split("## Errors\n")[1].split("```text\n")[1].split("```")[0]
    said = []
    for condition in ("pric < 30", 'price < "30"', "category = mugs"):
        with pytest.raises(ValueError, match="^where") as raised:
            select(condition, frame())
        said.append(str(raised.value))
    assert said == block.splitlines()


def test_the_grammar_of_the_page_is_that_of_the_parser():
    (grammar,) = re.findall(r"## The grammar\n\n```text\n(.*?)```", PAGE, flags=re.DOTALL)
    documented = parser.__doc__.split("::\n\n")[1]
    assert [line.strip() for line in grammar.splitlines()] == [line.strip() for line in documented.strip().splitlines()]


def test_the_bounds_of_the_page_are_those_of_the_parser():
    assert f"at most {LONGEST:,} characters" in PAGE
    assert f"nested at most {DEEPEST} deep" in PAGE
