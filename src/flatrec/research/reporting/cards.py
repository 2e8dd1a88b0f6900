"""Robustness cards: for each data set and model, what all studies together say of each strategy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from flatrec.evaluation.significance import MIN_SEEDS, SIGNIFICANCE_LEVEL
from flatrec.research.reporting.study_result import CardColumn, CardEntry, Column, StudyResult, Table, Value

MAY_DIFFER = ("data", "models", "strategies", "seeds", "study.")  # settings in which studies of one card may differ


@dataclass(frozen=True)
class CardRow:
    """Strategy and its entries, by the name of the column."""

    strategy: str
    entries: Mapping[str, CardEntry]


@dataclass(frozen=True)
class Card:
    """What is known of the strategies of one model on one data set.

    Args:
        data: name of the data set; as it was given to the study where its name is not certain.
        model: name of the model.
        columns: columns in which some strategy has an entry, in the order of the studies.
        rows: one per strategy, in the order of the studies.
        notes: sentences on what cannot be compared.
    """

    data: str
    model: str
    columns: tuple[CardColumn, ...]
    rows: tuple[CardRow, ...]
    notes: tuple[str, ...] = ()

    def condition(self, column: CardColumn) -> str:
        """Return the condition under which the values of a column were measured; empty where there is none."""
        return next((row.entries[column.name].condition for row in self.rows if column.name in row.entries), "")


def cards(results: Sequence[StudyResult]) -> list[Card]:
    """Make a card for each data set and model of which some study has a card column.

    A column of a card is that of the first study that has it, since only its strategies were tested against one another
    and under one condition. Columns of the same name in later studies are left out, and a note says so.

    Raises:
        ValueError: a study has two values for the same strategy.
    """
    drafts: dict[tuple[str, str], _Draft] = {}
    for index, result in enumerate(results):
        entries = [(column, entry) for column in result.card_columns for entry in column.entries]
        names = _names({entry.data for _, entry in entries}, result)
        for column, entry in entries:
            drafts.setdefault((names[entry.data], entry.model), _Draft()).add(column, entry, index)
    return [
        Card(
            data,
            model,
            tuple(draft.columns.values()),
            tuple(CardRow(*row) for row in draft.entries.items()),
            tuple(draft.notes(results)),
        )
        for (data, model), draft in drafts.items()
    ]


def summary(card: Card) -> str:
    """Say in one sentence which strategy of a card is best where, as far as that is significant."""
    others = {entry.against for row in card.rows for entry in row.entries.values() if entry.against}
    baseline = next(iter(others)) if len(others) == 1 else "the first strategy" if others else "another"
    better, worse, unclear = _verdicts(card)
    parts = [f"{strategy} is best {_enumerated(places)}" for strategy, places in better.items()]
    if parts:
        parts[0] = f"Among those significantly better than {baseline} (p < {SIGNIFICANCE_LEVEL}), {parts[0]}"
    else:
        parts = [f"No strategy is significantly better than {baseline} in anything that was measured"]
    parts += [f"{strategy} is significantly worse {_enumerated(places)}" for strategy, places in worse.items()]
    about = f" ({', '.join(unclear)})" if unclear else ""
    return f"{'; '.join(parts)}; differences without significance are not claimed{about}."


def card_table(card: Card) -> Table:
    """Return the numbers of a card as they are: value, deviation and p of each column."""
    parts = ("", ", deviation", ", p")
    columns = (
        Column("strategy"),
        *(Column(column.title + part, "number") for column in card.columns for part in parts),
    )
    rows = tuple((row.strategy, *_numbers(row, card.columns)) for row in card.rows)
    return Table(f"robustness {card.model} {card.data}", f"{card.model} on {card.data}", columns, rows)


def _numbers(row: CardRow, columns: Sequence[CardColumn]) -> Iterator[Value]:
    for entry in (row.entries.get(column.name) for column in columns):
        yield from (None, None, None) if entry is None else (entry.value, entry.deviation, entry.p)


@dataclass
class _Draft:
    """Card in the making: its columns, entries by strategy and column, and the study that each column is from."""

    columns: dict[str, CardColumn] = field(default_factory=dict)
    entries: dict[str, dict[str, CardEntry]] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, CardColumn] = field(default_factory=dict)

    def add(self, column: CardColumn, entry: CardEntry, source: int) -> None:
        name = column.name
        if self.sources.setdefault(name, source) != source:
            self.left_out.setdefault(name, column)
            return
        self.columns.setdefault(name, column)
        if self.entries.setdefault(entry.strategy, {}).setdefault(name, entry) != entry:
            where = f"the {name} of {entry.strategy} ({entry.data}, {entry.model})"
            raise ValueError(f"a study has two values for {where}; run it again")

    def notes(self, results: Sequence[StudyResult]) -> Iterator[str]:
        entries = [entry for row in self.entries.values() for entry in row.values()]
        if self.left_out:
            titles = "; ".join(column.title for column in self.left_out.values())
            yield f"Several studies have these columns, and the first study is shown: {titles}."
        used = [results[index].settings for index in dict.fromkeys(self.sources.values())]
        names = [
            name for name in dict.fromkeys(name for one in used for name in one) if not name.startswith(MAY_DIFFER)
        ]
        if differing := [name for name in names if len({settings.get(name) for settings in used}) > 1]:
            yield f"Not all columns are of runs with the same settings; they differ in {', '.join(differing)}."
        if (fewest := min(entry.runs for entry in entries)) < MIN_SEEDS:
            runs = f"{fewest} run{'' if fewest == 1 else 's'}"
            yield f"Some values are of {runs}; fewer than {MIN_SEEDS} runs are not a result."
        yield from dict.fromkeys(entry.note for entry in entries if entry.note)


def _names(sources: set[str], result: StudyResult) -> dict[str, str]:
    """Name each data set by the end of its path, where that is a name which the study knows and no other path has."""
    ends = Counter(PurePath(source).name for source in sources)
    certain = {end for end, count in ends.items() if count == 1 and end in result.fingerprints}
    return {source: end if (end := PurePath(source).name) in certain else source for source in sources}


def _verdicts(card: Card) -> tuple[dict[str, list[str]], dict[str, list[str]], list[str]]:
    """Say where strategies are the best of the better ones, where they are worse, and where nothing is significant."""
    better: dict[str, list[str]] = {}
    worse: dict[str, list[str]] = {}
    unclear = []
    for column in (column for column in card.columns if column.place):
        entries = {row.strategy: row.entries[column.name] for row in card.rows if column.name in row.entries}
        ahead = {strategy: entry.value for strategy, entry in entries.items() if entry.verdict == "better"}
        if ahead:
            best = (max if column.higher_is_better else min)(ahead, key=lambda strategy: ahead[strategy])
            better.setdefault(best, []).append(column.place)
        for strategy, entry in entries.items():
            if entry.verdict == "worse":
                worse.setdefault(strategy, []).append(column.place)
        if not any(entry.p is not None and entry.p < SIGNIFICANCE_LEVEL for entry in entries.values()):
            unclear.append(column.place)
    return better, worse, unclear


def _enumerated(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
