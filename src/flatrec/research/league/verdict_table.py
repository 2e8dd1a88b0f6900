"""The table of all tests of a season."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flatrec.research.league.verdict import Verdict
from flatrec.research.reporting.formats import metric_name, p_value, percent
from flatrec.research.reporting.study_result import Column, Table, Value

COLUMNS = (
    Column("comparison"),
    Column("cell"),
    Column("metric"),
    Column("verdict"),
    Column("mean", "number"),
    Column("baseline", "number"),
    Column("difference", "number", 5),
    Column("relative", "percent"),
    Column("deviation of differences", "number", 5),
    Column("n", "number", 0),
    Column("t", "number", 2),
    Column("p", "p"),
    Column("p, Holm", "p"),
    Column("detectable", "number", 5),
    Column("detectable, % of baseline", "number", 1),
    Column("notes"),
)
NOTE = (
    "Difference: method minus baseline, mean over the final seeds that both have. Confirmed: p after Holm's correction "
    "over all tests of the season is below 0.05 and the method is better; contradicted: it is below 0.05 and the "
    "method is worse; not shown: it is not below 0.05, whatever becomes of tests that are open; open: runs are "
    "missing, or the correction depends on tests whose runs are. Open tests count in the correction with p = 1. "
    "Detectable: the smallest true difference that a paired t-test over these seeds shows with probability 0.8 at "
    "level 0.05, before correction."
)


def verdict_tables(verdicts: Sequence[Verdict]) -> Iterator[Table]:
    """Make the tables of all tests of the season: those of claims, and the others."""
    for name, title, tests in (
        ("claims", "Tests of claims", [one for one in verdicts if one.comparison.claim]),
        (
            "comparisons",
            "Other tests that were stated beforehand",
            [one for one in verdicts if not one.comparison.claim],
        ),
    ):
        if tests:
            yield Table(name, title, COLUMNS, tuple(map(_verdict_row, tests)), NOTE)


def verdict_line(one: Verdict) -> str:
    """Write a verdict in one line."""
    comparison = one.comparison
    what = f"{comparison.method} against {comparison.baseline}, {measured(comparison.metric, comparison.under)}"
    return f"{one.cell}: {what}: {one.word}{numbers(one)}"


def numbers(one: Verdict) -> str:
    """Write difference, p and what could have been shown, in parentheses; nothing if none is known."""
    parts = [percent(one.relative(one.difference))] if one.difference is not None else []
    if one.corrected_p is not None:
        parts.append(p_value(one.corrected_p))
    detectable = one.relative(one.detectable)
    if one.word == "not shown" and detectable is not None:
        parts.append(f"detectable {percent(detectable).lstrip('+')}")
    return f" ({', '.join(parts)})" if parts else ""


def measured(metric: str, under: str) -> str:
    """Name what is compared: a metric, or the fraction of it that is left under a disturbance."""
    return f"{metric_name(metric)} left under {under}" if under else metric_name(metric)


def _verdict_row(one: Verdict) -> tuple[Value, ...]:
    comparison, detectable = one.comparison, one.relative(one.detectable)
    return (
        f"{comparison.method} against {comparison.baseline}",
        one.cell,
        measured(comparison.metric, comparison.under),
        one.word,
        one.mean,
        one.baseline_mean,
        one.difference,
        one.relative(one.difference),
        one.deviation,
        len(one.seeds),
        one.t,
        one.p,
        one.corrected_p,
        one.detectable,
        None if detectable is None else 100 * detectable,
        "; ".join(one.notes),
    )
