"""Robustness cards: for each data set and model, what all studies together say of each strategy."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal, NamedTuple

from flatrec.evaluation.significance import ENOUGH
from flatrec.research.reporting.outcome import Outcome, Table, Value
from flatrec.research.reporting.report import LEVEL, metric_name

SCORE, BASELINE = "recall@10", "plain"
PERCENT = "%"
APART = ("data", "models", "strategies", "seeds", "study.")  # settings in which studies may differ


@dataclass(frozen=True)
class Measure:
    """A column of the cards.

    Args:
        name: by which facts are kept.
        title: its heading.
        place: where a strategy is good or bad, within a sentence; empty where another measure says it.
        form: how its values are written, as a format of Python or as a percentage.
        most: whether the highest value is the best, rather than the lowest.
    """

    name: str
    title: str
    place: str = ""
    form: str = ".4f"
    most: bool = False


MEASURES = (
    Measure("score", f"Test {metric_name(SCORE)}", most=True),
    Measure("gain", f"Gain over {BASELINE}", f"in test {metric_name(SCORE)}", PERCENT, most=True),
    Measure("embeddings", "Decrease, noisy embeddings", "under noise on embeddings", PERCENT),
    Measure("features", "Decrease, noisy features", "under noise on features", PERCENT),
    Measure("adjustment", "Decrease, adjusted items", "under adjusted items", PERCENT),
    Measure("spread", "Deviation over splits", "in spread over splits"),
    Measure("eigenvalue", "Top Hessian eigenvalue", "in top Hessian eigenvalue", "#.3g"),
    Measure("rise", "Worst rise of the loss", "in worst rise of the loss", "#.3g"),
)


@dataclass(frozen=True)
class Fact:
    """One number of one strategy.

    Args:
        value: a mean over runs, or what else the measure is.
        deviation: over runs, where the study has it.
        p: of the test against another strategy, corrected; None where there is none.
        against: that strategy; empty where there is no test.
        ahead: whether the value is better than that strategy's; None where they are equal.
        condition: under which it was found, in a few words.
        runs: that it is of.
    """

    value: float
    deviation: float | None = None
    p: float | None = None
    against: str = ""
    ahead: bool | None = None
    condition: str = ""
    runs: int = ENOUGH

    @property
    def verdict(self) -> Literal["better", "worse", ""]:
        """What is significant, and nothing else."""
        if self.p is None or self.p >= LEVEL or self.ahead is None:
            return ""
        return "better" if self.ahead else "worse"


@dataclass(frozen=True)
class Row:
    """A strategy and what is known of it, by the name of the measure."""

    strategy: str
    facts: Mapping[str, Fact]


@dataclass(frozen=True)
class Card:
    """What is known of the strategies of one model on one data set.

    Args:
        data: the data set's name; as it was given to the study where its name is not certain.
        model: its name.
        rows: one a strategy, in the order of the studies.
        notes: sentences on what does not go together.
    """

    data: str
    model: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Those that some strategy has a value of."""
        return tuple(one for one in MEASURES if any(one.name in row.facts for row in self.rows))

    def condition(self, measure: Measure) -> str:
        """Under which the values of a measure were found; empty where there is nothing to say."""
        return next((fact.condition for row in self.rows if (fact := row.facts.get(measure.name))), "")


def cards(outcomes: Sequence[Outcome]) -> list[Card]:
    """A card for each data set and model of which some table says what belongs on one.

    A measure of a card is that of the first study that has it, as only its strategies were tested against one another
    and under one condition. What other studies have of it is left out, and a note says so.

    Raises:
        ValueError: a table has not the columns or cells that one of its name has.
    """
    drafts: dict[tuple[str, str], _Draft] = {}
    for number, outcome in enumerate(outcomes):
        found = [one for table in outcome.tables for one in _read(table)]
        names = _names({one.data for one in found}, outcome)
        for one in found:
            drafts.setdefault((names[one.data], one.model), _Draft()).take(one, number)
    return [
        Card(*place, tuple(Row(*one) for one in draft.facts.items()), tuple(draft.notes(outcomes)))
        for place, draft in drafts.items()
    ]


class _Found(NamedTuple):
    data: str
    model: str
    strategy: str
    measure: str
    fact: Fact


@dataclass
class _Draft:
    """A card in the making: facts by strategy and measure, and of which outcome each measure is."""

    facts: dict[str, dict[str, Fact]] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)

    def take(self, one: _Found, outcome: int) -> None:
        if self.sources.setdefault(one.measure, outcome) != outcome:
            self.left_out.add(one.measure)
        elif self.facts.setdefault(one.strategy, {}).setdefault(one.measure, one.fact) != one.fact:
            where = f"the {one.measure} of {one.strategy} ({one.data}, {one.model})"
            raise ValueError(f"a study has two values for {where}; run it again")

    def notes(self, outcomes: Sequence[Outcome]) -> Iterator[str]:
        if twice := [measure.title for measure in MEASURES if measure.name in self.left_out]:
            yield f"Found by several studies, of which the first is shown: {'; '.join(twice)}."
        used = [outcomes[number].settings for number in dict.fromkeys(self.sources.values())]
        names = [name for name in dict.fromkeys(name for one in used for name in one) if not name.startswith(APART)]
        if differing := [name for name in names if len({one.get(name) for one in used}) > 1]:
            yield f"Not all columns are of runs with the same settings; they differ in {', '.join(differing)}."
        if (fewest := min(fact.runs for known in self.facts.values() for fact in known.values())) < ENOUGH:
            yield f"Some of it is of {fewest} run{'' if fewest == 1 else 's'}; fewer than {ENOUGH} are not a result."
        if any(facts["eigenvalue"].value < 0 for facts in self.facts.values() if "eigenvalue" in facts):
            yield "A negative eigenvalue means that training did not end in a minimum, so nothing is claimed of it."


@dataclass(frozen=True)
class _Line:
    """A row of a table by the names of its columns, whose cells must be of the right kind."""

    table: str
    cells: Mapping[str, Value]

    @property
    def place(self) -> tuple[str, str, str]:
        return self.text("data"), self.text("model"), self.text("strategy")

    @property
    def level(self) -> float:
        try:
            return float(self.text("level"))
        except ValueError:
            raise self._wrong("level", "numbers") from None

    @property
    def metric(self) -> str:
        """Whose decrease it is, from a heading such as ``recall@10 before``."""
        return next(
            (metric_name(one.removesuffix(" before")) for one in self.cells if one.endswith(" before")), "score"
        )

    def text(self, column: str) -> str:
        value = self._cell(column)
        if not isinstance(value, str):
            raise self._wrong(column, "text")
        return value

    def known(self, column: str) -> float | None:
        value = self._cell(column)
        if value is not None and (isinstance(value, (str, bool)) or not math.isfinite(value)):
            raise self._wrong(column, "numbers")
        return None if value is None else float(value)

    def number(self, column: str) -> float:
        value = self.known(column)
        if value is None:
            raise self._wrong(column, "a number in every row")
        return value

    def _cell(self, column: str) -> Value:
        if column not in self.cells:
            raise ValueError(f"table {self.table} needs a column {column!r}; run its study again")
        return self.cells[column]

    def _wrong(self, column: str, wanted: str) -> ValueError:
        found = f"column {column!r} of table {self.table} must hold {wanted}, but holds {self.cells[column]!r}"
        return ValueError(f"{found}; run its study again")


@dataclass(frozen=True)
class _Source:
    """Where a measure stands of which less is better: table, columns, and what the rows are that have it."""

    measure: str
    table: str
    value: str
    p: str = "p"
    deviation: str = "deviation"
    runs: str = "runs"
    rows: tuple[str, str] | None = None
    level: str = ""  # what the levels are, where there are any


_SOURCES = (
    _Source("embeddings", "noise", "decrease", rows=("kind", "embeddings"), level="variance"),
    _Source("features", "noise", "decrease", rows=("kind", "features"), level="variance"),
    _Source("adjustment", "adjustment", "decrease", rows=("kind", "features"), level="share"),
    _Source("spread", "generalization-spread", "deviation", p="p of the spread", deviation="", runs="splits"),
    _Source("eigenvalue", "landscape", "mean", rows=("number", "top eigenvalue")),
    _Source("rise", "landscape", "mean", rows=("number", "worst rise")),
)


def _read(table: Table) -> Iterator[_Found]:
    names = [column.name for column in table.columns]
    lines = [_Line(table.name, dict(zip(names, row, strict=True))) for row in table.rows]
    if table.name == "overall-details":
        yield from _scores(lines)
    for source in _SOURCES:
        if source.table == table.name:
            these = [line for line in lines if source.rows is None or line.text(source.rows[0]) == source.rows[1]]
            yield from _tested(_highest(these) if source.level else these, source)


def _scores(lines: Sequence[_Line]) -> Iterator[_Found]:
    for line in lines:
        if line.text("metric") == SCORE:
            runs, gain, p = int(line.number("runs")), line.known("gain"), line.known("p (t)")
            yield _Found(*line.place, "score", Fact(line.number("mean"), line.number("deviation"), runs=runs))
            if line.text("against") == BASELINE and gain is not None:
                ahead = gain > 0 if gain else None
                yield _Found(*line.place, "gain", Fact(gain, None, p, BASELINE, ahead=ahead, runs=runs))


def _highest(lines: Sequence[_Line]) -> list[_Line]:
    """Those at the highest level of each data set and model."""
    levels: dict[tuple[str, ...], float] = {}
    for line in lines:
        levels[line.place[:2]] = max(line.level, levels.get(line.place[:2], line.level))
    return [line for line in lines if line.level == levels[line.place[:2]]]


def _tested(lines: Sequence[_Line], source: _Source) -> Iterator[_Found]:
    """Values, each tested against that of the first strategy there."""
    firsts: dict[tuple[str, ...], _Line] = {}
    for line in lines:
        first = firsts.setdefault(line.place[:2], line)
        value, other, p = line.number(source.value), first.number(source.value), line.known(source.p)
        # Of eigenvalues that are largest in size, a negative one is no sign of flatness.
        unclear = value == other or (source.measure == "eigenvalue" and min(value, other) < 0)
        fact = Fact(
            value,
            line.known(source.deviation) if source.deviation else None,
            p,
            "" if p is None else first.text("strategy"),
            ahead=None if unclear else value < other,
            condition=f"{line.metric}, {source.level} {line.text('level')}" if source.level else "",
            runs=int(line.number(source.runs)),
        )
        yield _Found(*line.place, source.measure, fact)


def _names(given: set[str], outcome: Outcome) -> dict[str, str]:
    """The name of a data set by what the study was given, such as a path, where that ends in a name it knows."""
    ends = Counter(PurePath(one).name for one in given)
    sure = {end for end, count in ends.items() if count == 1 and end in outcome.fingerprints}
    return {one: end if (end := PurePath(one).name) in sure else one for one in given}
