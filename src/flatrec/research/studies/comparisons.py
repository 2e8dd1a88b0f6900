"""Scores of groups of runs over seeds, each against its baseline: rows, tables, and what they come to in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from flatrec.evaluation.significance import ENOUGH, Comparison, compare, holm, spread
from flatrec.research.reporting.formats import percent
from flatrec.research.reporting.outcome import Column, Table, Value
from flatrec.research.reporting.report import LEVEL, metric_name, p_value
from flatrec.research.reporting.reported import Reported, reported
from flatrec.research.studies.base import Finished, Label

METRICS = ("recall@5", "recall@10", "ndcg@5", "ndcg@10")
STARRED = 0.01  # corrected p below which a difference gets the paper's star
Group = tuple[Label, ...]


@dataclass(frozen=True)
class Row:
    """One metric of one group of runs that differ by seed only, against another group.

    Args:
        group: the values of the labels, the strategy last.
        metric: such as ``recall@10``, on the test part.
        values: one a seed.
        baseline: the strategy compared with; empty for a baseline itself.
        comparison: over the seeds that both have; None without a baseline.
        t_p: of the t-test, corrected by Holm over all rows.
        wilcoxon_p: of Wilcoxon's test, likewise.
        reported: what the paper has for it.
    """

    group: Group
    metric: str
    values: tuple[float, ...]
    baseline: str = ""
    comparison: Comparison | None = None
    t_p: float | None = None
    wilcoxon_p: float | None = None
    reported: Reported | None = None

    @property
    def gain(self) -> float | None:
        """Relative gain of the mean over the baseline's, where there is one."""
        return self.comparison.gain if self.comparison else None


def compared(
    finished: Sequence[Finished],
    labels: Sequence[str],
    *,
    metrics: Sequence[str] = METRICS,
    baselines: Mapping[str, Sequence[str]] | None = None,
    condition: Mapping[Label, str] | None = None,
) -> list[Row]:
    """A row a group and metric, and one more for each baseline that a strategy has besides its first.

    Args:
        finished: the runs.
        labels: by which they are grouped besides the strategy, such as data and model.
        metrics: of the test part.
        baselines: of each strategy; if left out, plain for all, and plain+ too for those that are mixed.
        condition: what the paper calls a value of the last label.
    """
    groups = _groups(finished, labels)
    rows = [
        row
        for group, values in groups.items()
        for metric in metrics
        if metric in next(iter(values.values()))
        for row in _rows(groups, group, metric, baselines)
    ]
    t_p = holm([row.comparison.t_p if row.comparison else None for row in rows])
    wilcoxon_p = holm([row.comparison.wilcoxon_p if row.comparison else None for row in rows])
    names = {one.label("data"): one.dataset for one in finished}
    return [
        replace(row, t_p=t, wilcoxon_p=w, reported=_reported(row, labels, names, condition or {}))
        for row, t, w in zip(rows, t_p, wilcoxon_p, strict=True)
    ]


def long_table(rows: Sequence[Row], labels: Sequence[str], *, name: str, title: str) -> Table:
    """All that is known of each row."""
    fewest = min((len(row.values) for row in rows), default=0)
    columns = [
        *(Column(label) for label in (*labels, "strategy", "metric")),
        *(Column(text, "number") for text in ("mean", "deviation")),
        Column("runs", "number", 0),
        Column("against"),
        Column("gain", "percent"),
        *(Column(text, "p") for text in ("p (t)", "p (Wilcoxon)")),
        *([Column("reported", "number"), Column("reported in")] if any(row.reported for row in rows) else []),
    ]
    shown = any(row.reported for row in rows)
    note = (
        "Test part; mean and sample deviation over seeds; gain of the mean; p paired over seeds, two-sided, corrected "
        "by Holm over this table."
    )
    few = "" if fewest >= ENOUGH else f" Some rows have {fewest} runs only; fewer than {ENOUGH} are not a result."
    return Table(name, title, tuple(columns), tuple(_cells(row, reported=shown) for row in rows), note + few)


def wide_table(rows: Sequence[Row], labels: Sequence[str], *, name: str, title: str) -> Table:
    """A line a group, a column a metric: mean ± deviation, starred where the first comparison is clear."""
    metrics = list(dict.fromkeys(row.metric for row in rows))
    cells: dict[Group, dict[str, str]] = {}
    for row in rows:
        if row.metric not in cells.setdefault(row.group, {}):
            mean, deviation = spread(row.values)
            star = "*" if row.t_p is not None and row.t_p < STARRED else ""
            gain = f" ({percent(row.gain)}{star})" if row.comparison else ""
            cells[row.group][row.metric] = f"{mean:.4f} ± {deviation:.4f}{gain}"
    lines = tuple(
        (*(_plainly(one) for one in group), *(line.get(metric) for metric in metrics)) for group, line in cells.items()
    )
    columns = (*labels, "strategy", *map(metric_name, metrics))
    note = "Mean ± deviation over seeds (gain over the baseline; * for p < 0.01 of the t-test, corrected by Holm)."
    return Table(name, title, tuple(Column(one) for one in columns), lines, note)


def in_words(rows: Sequence[Row], metric: str = "recall@10") -> tuple[str, ...]:
    """A sentence a comparison in one metric that is clear, and one for all that are not."""
    tested = [row for row in rows if row.metric == metric and row.comparison]
    clear = [row for row in tested if row.t_p is not None and row.t_p < LEVEL]
    unclear = [row for row in tested if row not in clear]
    sentences = [_verdict(row) for row in clear]
    if unclear:
        listed = "; ".join(f"{_where(row)} {percent(row.gain)}" for row in unclear)
        sentences.append(f"Not significant in {metric_name(metric)}: {listed}.")
    if tested and (few := min(row.comparison.runs for row in tested if row.comparison)) < ENOUGH:
        sentences.append(f"Some comparisons have {few} runs; fewer than {ENOUGH} are not a result.")
    return tuple(sentences)


def _groups(finished: Sequence[Finished], labels: Sequence[str]) -> dict[Group, dict[Label, Mapping[str, float]]]:
    """Test scores by group, then by seed."""
    groups: dict[Group, dict[Label, Mapping[str, float]]] = {}
    for one in finished:
        key = tuple(one.label(label) for label in (*labels, "strategy"))
        groups.setdefault(key, {})[one.label("seed")] = one.result["test"]
    return groups


def _rows(
    groups: Mapping[Group, Mapping[Label, Mapping[str, float]]],
    group: Group,
    metric: str,
    baselines: Mapping[str, Sequence[str]] | None,
) -> Iterator[Row]:
    own = groups[group]
    values = tuple(scores[metric] for scores in own.values())
    strategy = str(group[-1])
    wanted = baselines.get(strategy, ()) if baselines is not None else _usual_baselines(strategy)
    there = [one for one in wanted if (*group[:-1], one) in groups]
    if not there:
        yield Row(group, metric, values)
    for baseline in there:
        other = groups[(*group[:-1], baseline)]
        seeds = [seed for seed in own if seed in other]
        if seeds:
            pair = ([scores[seed][metric] for seed in seeds] for scores in (own, other))
            yield Row(group, metric, values, baseline, compare(*pair))


def _usual_baselines(strategy: str) -> tuple[str, ...]:
    """A mixed strategy sees two batches a step, so it is held against plain steps of two batches as well."""
    if strategy == "plain":
        return ()
    return ("plain", "plain+") if strategy.endswith("+") and strategy != "plain+" else ("plain",)


def _reported(
    row: Row, labels: Sequence[str], names: Mapping[Label, str], condition: Mapping[Label, str]
) -> Reported | None:
    by_name = dict(zip((*labels, "strategy"), row.group, strict=True))
    if "data" not in by_name or "model" not in by_name:
        return None
    varied = row.group[-2] if labels[-1] not in ("data", "model") else ""
    if varied != "" and varied not in condition:
        return None
    where = (names[by_name["data"]], str(by_name["model"]), str(by_name["strategy"]), row.metric)
    return reported(*where, condition=condition.get(varied, ""))


def _cells(row: Row, *, reported: bool) -> tuple[Value, ...]:
    mean, deviation = spread(row.values)
    paper: tuple[Value, ...] = (None, None)
    if row.reported:
        paper = (row.reported.value, f"{row.reported.table}{' (suspect)' if row.reported.suspect else ''}")
    own = (*map(_plainly, row.group), row.metric, mean, deviation, len(row.values), row.baseline, row.gain)
    return (*own, row.t_p, row.wilcoxon_p, *(paper if reported else ()))


def _verdict(row: Row) -> str:
    gain = row.gain
    verb = "is above" if gain is None or gain > 0 else "is below"
    amount = "" if gain is None else f" by {percent(abs(gain)).lstrip('+')}"
    return f"{_where(row)} {verb} {row.baseline}{amount} in {metric_name(row.metric)} ({p_value(row.t_p or 0)})."


def _where(row: Row) -> str:
    return f"{row.group[-1]} against {row.baseline} ({', '.join(map(_plainly, row.group[:-1]))})"


def _plainly(label: Label) -> str:
    return f"{label:g}" if isinstance(label, float) else str(label)
