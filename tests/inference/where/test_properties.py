"""Random conditions on random frames, against an evaluator that shares nothing with the one that is tested."""

import datetime as dt
import math
import operator
from decimal import Decimal
from fractions import Fraction
from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatrec.inference.where import columns_of, select

pytestmark = pytest.mark.repeats  # other tests compare the annotations with values

COMPARE = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
WORDS = ["", "a", "mug", "mugs", "it's", 'say "hi"', "Größe", "z`", "and", "日本", "a.*b", "\n"]
SIZES = ["L", "S", "M"]
MOMENTS = [
    dt.datetime(2024, 1, 1),
    dt.datetime(2024, 1, 1, 0, 0, 0, 1),
    dt.datetime(2024, 1, 1, 23),
    dt.datetime(2024, 1, 2),
    dt.datetime(1969, 12, 31, 12, 30),
]
NUMBERS = ["0", "-0.0", "1", "1.0", "2.5", "-3", "0.1", "1e3", ".5", "7.", "9007199254740993", "1e300", "-1e300"]
NUMBERS += ["255", "256", "18446744073709551615", "0.30000000000000004", "1e-320", "1.25", "127.5"]
FLOATS = [0.0, -0.0, 1.0, 2.5, 0.1, 0.5, -3.0, 1e3, math.nan, math.inf, -math.inf, 1.25, 0.3, 2.0**53]


def quoted(text, mark):
    return mark + text.replace(mark, mark * 2) + mark


numbers = st.sampled_from(NUMBERS).map(lambda text: (Fraction(text), text))
texts = st.tuples(st.sampled_from(WORDS), st.sampled_from("'\"")).map(lambda one: (one[0], quoted(*one)))
truth = st.booleans().map(lambda one: (one, str(one)))
moments = st.tuples(st.sampled_from(MOMENTS), st.sampled_from(["", "Z", "+02:00"])).map(
    lambda one: (one[0] - dt.timedelta(hours=2 * (one[1] == "+02:00")), quoted(one[0].isoformat() + one[1], "'"))
)


def float_of(dtype):
    def compared(value, literal):
        with np.errstate(over="ignore"):
            rounded = float(dtype(float(literal)))
        return value, rounded if math.isfinite(rounded) else literal

    return compared


def exactly(value, literal):
    return Fraction(value), literal


def same(value, literal):
    return value, literal


def as_moment(value, literal):
    return (value if isinstance(value, dt.datetime) else dt.datetime.combine(value, dt.time())), literal


def by_place(value, literal):
    return SIZES.index(value), SIZES.index(literal)


class Kind:
    """A type of column: its values, the values it is compared with, and how a pair of them is compared."""

    def __init__(self, dtype, values, literals, compared=same, operators=tuple(COMPARE)):
        self.dtype, self.values, self.literals = dtype, values, literals
        self.compared, self.operators = compared, operators


sizes = st.sampled_from(SIZES).map(lambda one: (one, quoted(one, '"')))
PRICES = [Decimal(one) for one in ("0.00", "1.00", "2.50", "-3.00", "0.10", "7.00", "0.33", "127.50")]
KINDS = {
    "int": Kind(pl.Int64, [0, 1, -3, 7, 1000, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)], numbers, exactly),
    "small": Kind(pl.UInt8, [0, 1, 2, 255], numbers, exactly),
    "float": Kind(pl.Float64, FLOATS, numbers, float_of(np.float64)),
    "single": Kind(pl.Float32, [float(np.float32(one)) for one in FLOATS], numbers, float_of(np.float32)),
    "decimal": Kind(pl.Decimal(12, 2), PRICES, numbers, exactly),
    "text": Kind(pl.String, WORDS, texts),
    "category": Kind(pl.Categorical, WORDS, texts),
    "size": Kind(pl.Enum(SIZES), SIZES, sizes, by_place),
    "truth": Kind(pl.Boolean, [True, False], truth, operators=("=", "!=")),
    "date": Kind(pl.Date, [one.date() for one in MOMENTS], moments, as_moment),
    "micro": Kind(pl.Datetime("us"), MOMENTS, moments),
    "nano": Kind(pl.Datetime("ns"), MOMENTS, moments),
    "nothing": Kind(pl.Null, [None], numbers),
}
LISTS = {
    "list text": ("text", pl.List(pl.String)),
    "list int": ("int", pl.List(pl.Int64)),
    "list ^.*$": ("single", pl.List(pl.Float32)),
    "list date": ("date", pl.List(pl.Date)),
    "array": ("float", pl.Array(pl.Float64, 2)),
}


def frame_of(random, n_rows):
    """A frame with every kind of column, and its rows."""
    data = {}
    for name, kind in KINDS.items():
        data[name] = pl.Series(random.choices([None, *kind.values], k=n_rows), dtype=kind.dtype)
    for name, (element, dtype) in LISTS.items():
        lengths = [2 if name == "array" else random.randrange(4) for _ in range(n_rows)]
        lists = [random.choices([None, *KINDS[element].values], k=length) for length in lengths]
        data[name] = pl.Series([one if random.random() < 0.8 else None for one in lists], dtype=dtype)
    frame = pl.DataFrame(data)
    return frame, list(frame.iter_rows(named=True))


def word(draw, text):
    return draw(st.sampled_from([text, text.upper(), text.title()]))


def missing(value):
    return value is None or (isinstance(value, float) and math.isnan(value))


def holds(kind, symbol, value, literal):
    """Whether a comparison holds; None if the value is missing."""
    return None if missing(value) else COMPARE[symbol](*kind.compared(value, literal))


def opposite(answer):
    return None if answer is None else not answer


@st.composite
def single_tests(draw):
    """The text of one test of a column, and a function that answers it for a row."""
    form = draw(st.sampled_from(["compare", "compare", "in", "not in", "missing", "not missing", "contains", "part"]))
    gap = draw(st.sampled_from([" ", "  ", "\n"]))
    if form in ("missing", "not missing"):
        name = draw(st.sampled_from([*KINDS, *LISTS]))
        wording = gap.join(word(draw, one) for one in f"is {form}".split())
        return f"{named(draw, name)}{gap}{wording}", lambda row: missing(row[name]) != (form == "not missing")
    if form == "contains":
        name = draw(st.sampled_from(list(LISTS)))
        kind = KINDS[LISTS[name][0]]
        literal, written = draw(kind.literals)

        def contains(row):
            if row[name] is None:
                return None
            return any(holds(kind, "=", element, literal) for element in row[name])

        return f"{named(draw, name)}{gap}{word(draw, 'contains')}{gap}{written}", contains
    if form == "part":
        name = draw(st.sampled_from(["text", "category"]))
        literal, written = draw(texts)
        return (
            f"{named(draw, name)} contains {written}",
            lambda row: None if row[name] is None else literal in row[name],
        )
    name = draw(st.sampled_from([*KINDS, "int", "small", "small", "decimal"]))
    kind = KINDS[name]
    if form == "compare":
        symbol = draw(st.sampled_from(kind.operators))
        literal, written = draw(kind.literals)
        return f"{named(draw, name)}{gap}{symbol}{gap}{written}", lambda row: holds(kind, symbol, row[name], literal)
    values = draw(st.lists(kind.literals, max_size=3))
    wording = gap.join(word(draw, one) for one in form.split())
    listed = f"[{','.join(written for _, written in values)}]"

    def member(row):
        if missing(row[name]):
            return None
        inside = any(holds(kind, "=", row[name], literal) for literal, _ in values)
        return inside == (form == "in")

    return f"{named(draw, name)}{gap}{wording}{gap}{listed}", member


def named(draw, name):
    return name if name.isidentifier() and draw(st.booleans()) else quoted(name, "`")


def joined(draw, children):
    """Conditions joined by one of `and` and `or`, each in parentheses; Kleene's logic of true, false and missing."""
    conjunction = draw(st.sampled_from(["and", "or"]))
    parts = draw(st.lists(children, min_size=2, max_size=3))
    decisive = conjunction == "or"

    def answer(row):
        answers = [part(row) for _, part in parts]
        if decisive in answers:
            return decisive
        return None if None in answers else not decisive

    return f" {word(draw, conjunction)} ".join(f"({text})" for text, _ in parts), answer


@st.composite
def unparenthesized(draw):
    """A row of tests in which nothing but the precedence says what belongs together: not, then and, then or."""
    groups = draw(
        st.lists(st.lists(st.tuples(st.booleans(), single_tests()), min_size=1, max_size=3), min_size=1, max_size=3)
    )
    text = " or ".join(" and ".join("not " * negated + one[0] for negated, one in group) for group in groups)

    def answer(row):
        alternatives = []
        for group in groups:
            answers = [opposite(one[1](row)) if negated else one[1](row) for negated, one in group]
            alternatives.append(False if False in answers else None if None in answers else True)
        return True if True in alternatives else None if None in alternatives else False

    return text, answer


def deeper(children):
    negated = children.map(lambda one: (f"not ({one[0]})", lambda row: opposite(one[1](row))))
    return negated | st.composite(lambda draw: joined(draw, children))()


CONDITIONS = unparenthesized() | st.recursive(single_tests(), deeper, max_leaves=6)


@given(st.integers(0, 2**32), st.integers(0, 12), CONDITIONS)
@settings(max_examples=500, deadline=None)
def test_random_conditions_select_what_an_independent_evaluator_selects(seed, n_rows, condition):
    frame, rows = frame_of(Random(seed), n_rows)
    text, answer = condition
    assert select(text, frame).tolist() == [answer(row) is True for row in rows], text
    assert set(columns_of(text)) <= set(frame.columns)


PIECES = ["price", "tags", "`", "'", '"', "=", "<=", "<", ">", "!", "in", "[", "]", "(", ")", ",", "and", "or", "not"]
PIECES += [
    "is",
    "missing",
    "contains",
    "true",
    "1",
    "-",
    ".",
    "e9",
    "1e5",
    "\\",
    "\n",
    "\0",
    "é",
    "٣",
    "\ud800",
    "launched",
]
PIECES += [
    "'2024-01-01'",
    "'2024-13-01'",
    "'0001-01-01T00:00+23:59'",
    "size",
    "'S'",
    "nothing",
    "é=",
    ";",
    "${x}",
    "{}",
    "^.*$",
]
FUZZED = pl.DataFrame(
    {
        "price": [1.0, None],
        "tags": [["a"], None],
        "launched": [dt.date(2024, 1, 1), None],
        "size": pl.Series(["S", None], dtype=pl.Enum(["S"])),
        "nothing": [None, None],
        "é": [True, None],
        "in": [1, 2],
        "": [1, 2],
        "nested": [[[1]], None],
        "struct": [{"a": 1}, None],
    }
)


def answered(text):
    """The mask, or the message of a refusal."""
    try:
        return select(text, FUZZED)
    except ValueError as error:
        return str(error)


LETTERS = st.text(max_size=60)
SENTENCES = st.tuples(st.sampled_from(["", " "]), st.lists(st.sampled_from(PIECES), max_size=25)).map(
    lambda one: one[0].join(one[1])
)


@given(LETTERS | SENTENCES)
@settings(max_examples=2000, deadline=None)
def test_random_letters_are_answered_or_refused_in_one_line(text):
    answer = answered(text)
    if isinstance(answer, str):
        assert answer.startswith("where, position ")
        assert answer.isprintable()
        assert len(answer) < 600
    else:
        assert answer.shape == (2,)


@pytest.mark.parametrize("column", FUZZED.columns)
@pytest.mark.parametrize("value", ["1", "1.5", "'S'", "'2024-01-01'", "true", "-1e308"])
@pytest.mark.parametrize("test", ["= {}", "!= {}", "< {}", ">= {}", "in [{}]", "not in [{}, {}]", "contains {}"])
def test_every_test_of_every_type_is_answered_or_refused(column, value, test):
    answer = answered(f"`{column}` {test.replace('{}', value)}")
    if isinstance(answer, str):
        assert answer.startswith("where, position ")
    else:
        assert not answer[1] or column in ("in", "")  # the second value of all other columns is missing
