"""Every fault of a condition is one line with its position."""

import threading

import polars as pl
import pytest

from flatrec.inference.where import columns_of, select
from flatrec.inference.where.refusal import DEEPEST, LONGEST
from tests.inference.where.test_selection import FRAME

VALUE = "expected a number, a text in quotation marks, true or false, but found"
TESTS = "expected =, !=, <, <=, >, >=, in, not in, contains or is missing, but found"
GRAMMAR = [
    ("", 1, "the condition is empty; write one such as price < 30"),
    (" \n", 1, "the condition is empty; write one such as price < 30"),
    ("price", 6, f"{TESTS} the end"),
    ("price 3", 7, f"{TESTS} the number '3'"),
    ("price not 3", 11, "expected in, but found the number '3'"),
    ("price <", 8, f"{VALUE} the end"),
    ("price < 3 and", 14, "expected a column name, not or (, but found the end"),
    ("price < 3 size", 11, "expected and, or or the end, but found the name 'size'"),
    ("price < 3)", 10, "expected and, or or the end, but found the sign ')'"),
    ("(price < 3", 11, "expected and, or or the ) for the ( at position 1, but found the end"),
    ("3 < price", 1, "expected a column name, not or (, but found the number '3'"),
    ("'a' = 3", 1, "expected a column name, not or (, but found the text \"'a'\""),
    (
        "in = 3",
        1,
        "expected a column name, not or ( (a column of that name stands in `backticks`), but found the keyword 'in'",
    ),
    ("price in 3", 10, 'expected a list such as ["mugs", "lamps"], but found the number \'3\''),
    ("price in [3", 12, "expected a comma or the ] for the [ at position 10, but found the end"),
    ("price in [3 4]", 13, "expected a comma or the ] for the [ at position 10, but found the number '4'"),
    ("price in [,]", 11, f"{VALUE} the sign ','"),
    ("price is null", 10, "expected missing or not missing, but found the name 'null'"),
    ("price is not null", 14, "expected missing, but found the name 'null'"),
    (
        "category = mugs",
        12,
        f"{VALUE} the name 'mugs'; a text stands in quotation marks, and columns are not compared with columns",
    ),
    ("price == 3", 7, "there is no ==; write ="),
    ("price <> 3", 7, "there is no <>; write !="),
    ("price < 3 && size = 1", 11, "there is no &&; write and"),
    ("price < 3 | size = 1", 11, "there is no |; write or"),
    ("category = “mugs”", 12, 'there is no “; write "'),
    ("category = ’mugs’", 12, "there is no ’; write '"),
    ('category = "mugs', 12, 'a text begins with " and never ends; close it with "'),
    ("category = 'it''s", 12, "a text begins with ' and never ends; close it with '"),
    ("`price < 3", 1, "a name begins with ` and never ends; close it with `"),
    ("price < 30mugs", 9, "'30mugs' is no number; write one such as 30, -2.5 or 1e6"),
    ("price < 1.2.3", 9, "'1.2.3' is no number; write one such as 30, -2.5 or 1e6"),
    ("price < ٣", 9, "'٣' is no number; write one such as 30, -2.5 or 1e6"),
    ("price < -x", 9, "'-x' is no number; write one such as 30, -2.5 or 1e6"),
    ("price < 1e999", 9, "the number 1e999 is too large or too small for a computer"),
    ("price < 1e-99999999999", 9, "the number 1e-99999999999 is too large or too small for a computer"),
    ("price < 1; drop", 10, "unexpected character ';'; column names with odd characters stand in `backticks`"),
    ("price ! 3", 7, "unexpected character '!'; column names with odd characters stand in `backticks`"),
    ("price \0 3", 7, "unexpected character '\\x00'; column names with odd characters stand in `backticks`"),
    ("category = '\ud800'", 13, "there is half of a character (a lone surrogate), which no text may contain"),
    ("a" * (LONGEST + 1), LONGEST + 1, "a condition may have 4000 characters, but this one has 4001"),
    ("(" * 51, 52, "parentheses and not may be nested 50 deep; write it flatter"),
    ("not " * 51, 205, "parentheses and not may be nested 50 deep; write it flatter"),
]
COLUMNS = (
    "['price', 'weight', 'count', 'stars', 'fee', 'category', 'brand', 'size', 'in_stock', 'launched' and 14 more]"
)
TYPES = [
    ("pric < 3", 1, f"unknown column 'pric'; did you mean 'price'? There are {COLUMNS}"),
    ("stars = 1 or `a b` < 3", 14, f"unknown column 'a b'; there are {COLUMNS}"),
    ("Price < 3", 1, f"unknown column 'Price'; did you mean 'price'? There are {COLUMNS}"),
    (
        'price < "30"',
        9,
        "column 'price' has numbers, not what \"30\" is; write a number without quotation marks, such as 30",
    ),
    (
        "count = true",
        9,
        "column 'count' has numbers, not what true is; write a number without quotation marks, such as 30",
    ),
    (
        "fee in [1, 'a']",
        12,
        "column 'fee' has numbers, not what 'a' is; write a number without quotation marks, such as 30",
    ),
    ("category = 3", 12, "column 'category' has texts, not what 3 is; write a text in quotation marks, such as \"30\""),
    (
        "brand < false",
        9,
        "column 'brand' has texts, not what false is; write a text in quotation marks, such as \"30\"",
    ),
    ("size > 'XL'", 8, "column 'size' is ordered as ['S', 'M', 'L'], where 'XL' is not"),
    (
        "in_stock = 1",
        12,
        "column 'in_stock' has true and false, not what 1 is; write true or false, without quotation marks",
    ),
    ("in_stock >= true", 13, "column 'in_stock' has true and false, which have no order; compare with = or !="),
    (
        "launched < 20240101",
        12,
        "column 'launched' has dates, not what 20240101 is; write a date in quotation marks, such as \"2024-03-01\"",
    ),
    (
        "sold < 'soon'",
        8,
        "a value of column 'sold' must be a date such as 2024-03-01, or a date and time, but is 'soon'",
    ),
    (
        "launched = '2023-02-29'",
        12,
        "a value of column 'launched' must be a date such as 2024-03-01, or a date and time, but is '2023-02-29'",
    ),
    ("stars = 1 and tags = 'red'", 15, "column 'tags' has lists; ask for one of their elements with contains"),
    ("tags in ['red']", 1, "column 'tags' has lists; ask for one of their elements with contains"),
    ("tags contains 3", 15, "column 'tags' has texts, not what 3 is; write a text in quotation marks, such as \"30\""),
    (
        "price contains 3",
        1,
        "column 'price' has neither texts nor lists, so that it contains nothing; compare it with = or in",
    ),
]


@pytest.mark.parametrize(("expression", "position", "reason"), [*GRAMMAR, *TYPES], ids=range(len([*GRAMMAR, *TYPES])))
def test_a_fault_is_one_line_with_its_position(expression, position, reason):
    with pytest.raises(ValueError, match="^where") as raised:
        select(expression, FRAME)
    assert str(raised.value) == f"where, position {position}: {reason}"


@pytest.mark.parametrize("expression", [one for one, *_ in GRAMMAR])
def test_columns_of_refuses_what_select_cannot_read(expression):
    with pytest.raises(ValueError, match="^where, position [0-9]+: "):
        columns_of(expression)


def test_messages_stay_on_one_line_of_bounded_length_whatever_a_column_is_called():
    name = "a\nb\x1b[31m" + "x" * 3000
    for expression in (f"`{name}y` < 3", f"`{name}` < 'a\nb{'x' * 500}'"):
        with pytest.raises(ValueError, match="^where") as raised:
            select(expression, pl.DataFrame({name: [1]}))
        assert str(raised.value).isprintable()
        assert len(str(raised.value)) < 400


def test_the_longest_and_deepest_conditions_are_read_in_a_thread_of_a_small_stack():
    nested = "(" * DEEPEST + "stars = 1" + ")" * DEEPEST
    negated = "not " * DEEPEST + "stars = 1"
    alternating = "(stars = 1 or not " * (DEEPEST // 2) + "stars = 1" + ")" * (DEEPEST // 2)
    many = " or ".join(["stars=9"] * 360) + " or stars = 1"
    listed = f"stars in [{'9,' * 1990}1]"
    assert all(len(one) <= LONGEST for one in (nested, negated, alternating, many, listed))
    results = []

    def work():
        results.extend(select(one, FRAME).tolist() for one in (nested, negated, alternating, many, listed))

    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    first = [True, False, False, False]
    assert results == [first, first, [True, True, False, True], first, first]
