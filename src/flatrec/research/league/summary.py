"""What a season says in plain sentences, made of its numbers by fixed rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from flatrec.research.league.cost import ParetoPoint, pareto
from flatrec.research.league.runs import MethodRuns, listed
from flatrec.research.league.spec import Comparison, League
from flatrec.research.league.verdict import Verdict
from flatrec.research.league.verdict_table import extent, measured, numbers
from flatrec.research.reporting.formats import SPACE, metric_name, percent

CLAIMS = ("confirmed", "contradicted", "not shown", "no test", "open")


def summary(league: League, runs: Mapping[tuple[str, str], MethodRuns], verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """Say which method is best in each cell and at what cost, which claims are confirmed, and what is not known.

    Args:
        league: the league.
        runs: what is recorded, by cell and method.
        verdicts: verdicts of all tests.
    """
    of_cells = [
        best_of_cell([runs[cell.name, method.name] for method in league.methods], main_metric(league, runs))
        for cell in league.cells
    ]
    claims = [one for one in league.comparisons if one.claim]
    rest = [one for one in verdicts if not one.comparison.claim]
    return (
        *of_cells,
        *(_claim(one, [verdict for verdict in verdicts if verdict.comparison == one]) for one in claims),
        *_without_claim(rest),
        *_detectable(league, verdicts),
        *_open(verdicts),
    )


def main_metric(league: League, runs: Mapping[tuple[str, str], MethodRuns]) -> str:
    """Return the metric of the first comparison; without one, that which is monitored."""
    if league.comparisons:
        return league.comparisons[0].metric
    return next((record.monitor for one in runs.values() for record in one.trials), "recall@20")


def best_of_cell(runs: Sequence[MethodRuns], metric: str) -> str:
    """Say which method of a cell has the best mean, by how much, and which cheaper ones are not dominated."""
    points = pareto(runs, metric)
    cell = runs[0].cell
    n_complete = sum(one.is_complete for one in runs)
    if not points:
        done, wanted = sum(len(one.trials) for one in runs), sum(one.n_trials for one in runs)
        return f"{cell}: no final is recorded yet ({done} of {wanted} trials are)."
    best = max((point for point in points if not point.is_dominated), key=lambda point: point.seconds)
    first = next((point for point in points if point.method == runs[0].method), None)
    start = "" if n_complete == len(runs) else f"so far, with {n_complete} of {len(runs)} methods complete, "
    quality = _mean_and_deviation(best)
    sentence = f"{cell}: {start}{best.method} has the best mean {metric_name(metric)} on the test split, {quality}"
    if first is not None and first is not best:
        sentence += f", {_gain(best, first)} against {first.method} at {_times(best, first)} its seconds"
    return f"{sentence}{_cheaper(points, best)}."


def _cheaper(points: Sequence[ParetoPoint], best: ParetoPoint) -> str:
    cheaper = [point for point in points if not point.is_dominated and point is not best]
    if not cheaper:
        return "; no method is cheaper" if len(points) > 1 else ""
    listing = listed([f"{point.method} ({_gain(point, best)}, {_times(point, best)} its seconds)" for point in cheaper])
    return f"; cheaper and not dominated: {listing}"


def _claim(comparison: Comparison, verdicts: Sequence[Verdict]) -> str:
    """Say what became of a claim in each cell."""
    groups = [
        f"{word} in {listed([f'{one.cell}{numbers(one)}' for one in verdicts if one.word == word])}"
        for word in CLAIMS
        if any(one.word == word for one in verdicts)
    ]
    what = measured(comparison.metric, comparison.under)
    claim = comparison.claim[:1].upper() + comparison.claim[1:].rstrip(".")
    return f"Claim: {claim} ({comparison.method} against {comparison.baseline}, {what}): {'; '.join(groups)}."


def _without_claim(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Say what became of the comparisons that no claim is about."""
    for word, title in (("confirmed", "better"), ("contradicted", "worse")):
        found = [one for one in verdicts if one.word == word]
        for comparison, of_comparison in groupby(found, key=lambda one: one.comparison):
            cells = listed([f"{one.cell}{numbers(one)}" for one in of_comparison])
            what = measured(comparison.metric, comparison.under)
            yield f"{comparison.method} is significantly {title} than {comparison.baseline} in {what} in {cells}."
    if unclear := [one for one in verdicts if one.word == "not shown"]:
        parts = [
            f"{comparison.method} against {comparison.baseline} ({_extent(list(of_comparison))})"
            for comparison, of_comparison in groupby(unclear, key=lambda one: one.comparison)
        ]
        yield f"No difference is shown of {'; '.join(parts)}."


def _extent(verdicts: Sequence[Verdict]) -> str:
    """Say in which cells verdicts are, and between which relative differences."""
    cells = verdicts[0].cell if len(verdicts) == 1 else f"{len(verdicts)} cells"
    found = sorted(amount for one in verdicts if (amount := one.relative(one.difference)) is not None)
    if not found:
        return cells
    return f"{cells}, {extent(percent(found[0]), percent(found[-1]))}"


def _detectable(league: League, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Say how small a difference the tests could have shown."""
    n_seeds = len(league.rules.final_seeds)
    for what, tests in (
        ("of metrics", [one for one in verdicts if not one.comparison.under]),
        ("of what is left under disturbances", [one for one in verdicts if one.comparison.under]),
    ):
        tested = [one for one in tests if one.p is not None]
        low = [amount for one in tested if (amount := one.relative(one.detectable)) is not None]
        high = [amount for one in tested if (amount := one.relative(one.corrected_detectable)) is not None]
        if low:
            strict = (
                f", and of {_percentages(high)} at the strictest step of the correction ({tested[0].n_tests} tests)"
                if tested[0].n_tests > 1
                else ""
            )
            yield (
                f"In tests {what}, {n_seeds} seeds could have shown, with probability 0.8, differences of "
                f"{_percentages(low)} of the baseline at level 0.05{strict}; smaller ones remain unknown."
            )


def _percentages(fractions: Sequence[float]) -> str:
    return extent(*(f"{100 * fraction:.1f}{SPACE}%" for fraction in (min(fractions), max(fractions))))


def _open(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Say how many tests are open, and which cannot be made."""
    if waiting := sum(one.word == "open" for one in verdicts):
        yield f"Open tests, as not all runs are recorded: {waiting} of {len(verdicts)}."
    for one in verdicts:
        if one.word == "no test":
            comparison = one.comparison
            what = f"{comparison.method} against {comparison.baseline}, {one.cell}"
            yield f"There is no test of {what}: {'; '.join(one.notes)}."


def _mean_and_deviation(point: ParetoPoint) -> str:
    mean, deviation = point.quality.mean, point.quality.deviation
    n = point.quality.n
    spread = "" if deviation is None else f" ± {deviation:.4f}"
    return f"{mean:.4f}{spread} ({n} seed{'' if n == 1 else 's'})"


def _gain(point: ParetoPoint, other: ParetoPoint) -> str:
    mean, base = point.quality.mean, other.quality.mean
    return percent(mean / base - 1 if mean is not None and base else None)


def _times(point: ParetoPoint, other: ParetoPoint) -> str:
    return f"{point.seconds / other.seconds:.2f} times" if other.seconds else "unknown times"
