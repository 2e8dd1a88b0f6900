"""The table of all tests of a season."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flatrec.research.league.verdict import Verdict
from flatrec.research.reporting.formats import SPACE, metric_name, p_value, percent
from flatrec.research.reporting.study_result import Column, Table, Value

COUNT = Column("n", "number", 0)
COLUMNS = (
    Column("comparison"),
    Column("verdict"),
    Column("cell"),
    Column("metric"),
    Column("relative", "percent"),
    Column("p, Holm", "p"),
    Column("p", "p"),
    Column("detectable, %", "number", 1),
    Column("corrected, %", "number", 1),
    COUNT,
    Column("mean", "number"),
    Column("baseline", "number"),
    Column("difference", "number", 5),
    Column("deviation", "number", 5),
    Column("t", "number", 2),
    Column("detectable", "number", 5),
    Column("notes"),
)
NOTE = (
    "Relative: the difference, method minus baseline, in % of the baseline, over the final seeds that both have. "
    "Confirmed: p after Holm's correction over all tests of the season is below 0.05 and the method is better; "
    "contradicted: it is below 0.05 and the method is worse; not shown: it is not below 0.05, whatever becomes of "
    "open tests; open: runs are missing, or the correction depends on tests whose runs are. Open tests count in the "
    "correction with p = 1. Detectable: the smallest true difference that a paired t-test over these seeds shows with "
    "probability 0.8 at level 0.05; corrected: the same at 0.05 divided by the number of tests, the strictest step of "
    "the correction; both in % of the baseline."
)


def verdict_tables(verdicts: Sequence[Verdict]) -> Iterator[Table]:
    """Make the tables of all tests of the season: those of claims, and the others."""
    claims = [one for one in verdicts if one.comparison.claim]
    others = [one for one in verdicts if not one.comparison.claim]
    if claims:
        yield Table("claims", "Tests of claims", COLUMNS, tuple(map(_verdict_row, claims)), NOTE)
    if others:
        title, note = "Other tests that were stated beforehand", "Read as the table above." if claims else NOTE
        yield Table("comparisons", title, COLUMNS, tuple(map(_verdict_row, others)), note)


def verdict_line(one: Verdict) -> str:
    """Write a verdict in one line."""
    comparison = one.comparison
    what = f"{comparison.method} against {comparison.baseline}, {measured(comparison.metric, comparison.under)}"
    return f"{one.cell}: {what}: {one.word}{numbers(one)}"


def numbers(one: Verdict) -> str:
    """Write difference, corrected p and what could have been shown, in parentheses; nothing if none is known."""
    parts = [percent(one.relative(one.difference))] if one.difference is not None else []
    if one.corrected_p is not None:
        parts.append(p_value(one.corrected_p))
    low, high = one.relative(one.detectable), one.relative(one.corrected_detectable)
    if one.word == "not shown" and low is not None and high is not None:
        parts.append(f"detectable {extent(f'{100 * low:.1f}', f'{100 * high:.1f}')}{SPACE}%")
    return f" ({', '.join(parts)})" if parts else ""


def extent(low: str, high: str) -> str:
    """Write ``low to high``, or one of them if they are the same."""
    return low if low == high else f"{low} to {high}"


def measured(metric: str, under: str) -> str:
    """Name what is compared: a metric, or the fraction of it that is left under a disturbance."""
    return f"{metric_name(metric)} left under {under}" if under else metric_name(metric)


def _verdict_row(one: Verdict) -> tuple[Value, ...]:
    comparison = one.comparison
    return (
        f"{comparison.method} against {comparison.baseline}",
        one.word,
        one.cell,
        measured(comparison.metric, comparison.under),
        one.relative(one.difference),
        one.corrected_p,
        one.p,
        *(None if value is None else 100 * value for value in _detectable(one)),
        len(one.seeds),
        one.mean,
        one.baseline_mean,
        one.difference,
        one.deviation,
        one.t,
        one.detectable,
        "; ".join(one.notes),
    )


def _detectable(one: Verdict) -> tuple[float | None, float | None]:
    return one.relative(one.detectable), one.relative(one.corrected_detectable)
