"""Test scores of groups of runs over seeds, each compared with its baseline: rows, tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from flatrec.config import DEFAULT_METRICS
from flatrec.evaluation.metrics import higher_is_better
from flatrec.evaluation.significance import MIN_SEEDS, SIGNIFICANCE_LEVEL, PairedTest, holm, paired_test, spread
from flatrec.research.reporting.best import best_of
from flatrec.research.reporting.formats import metric_name, p_value, percent
from flatrec.research.reporting.reported import Reported, reported
from flatrec.research.reporting.study_result import Column, Table, Value
from flatrec.research.studies.base import FinishedRun, Label

METRICS = ("recall@5", "recall@10", "ndcg@5", "ndcg@10")
STAR_LEVEL = 0.01  # a difference with a corrected p below it gets the paper's star
Group = tuple[Label, ...]


@dataclass(frozen=True)
class ScoreRow:
    """One metric of one group of runs that differ by seed only, compared with another group.

    Args:
        group: values of the labels, the strategy last.
        metric: metric on the test split, such as ``recall@10``.
        values: one value per seed.
        baseline: strategy that the group is compared with; empty for a baseline itself.
        paired_test: test over the seeds that both groups have; None without a baseline.
        t_p: p of the t-test, corrected by Holm over all rows.
        wilcoxon_p: p of Wilcoxon's test, corrected likewise.
        reported: what the paper prints for this case.
    """

    group: Group
    metric: str
    values: tuple[float, ...]
    baseline: str = ""
    paired_test: PairedTest | None = None
    t_p: float | None = None
    wilcoxon_p: float | None = None
    reported: Reported | None = None

    @property
    def strategy(self) -> str:
        """Name of the strategy."""
        return str(self.group[-1])

    @property
    def gain(self) -> float | None:
        """Relative gain of the mean over that of the baseline, where there is one."""
        return self.paired_test.gain if self.paired_test else None


def compare_groups(
    finished: Sequence[FinishedRun],
    labels: Sequence[str],
    *,
    metrics: Sequence[str] | None = None,
    baselines: Mapping[str, Sequence[str]] | None = None,
    conditions: Mapping[Label, str] | None = None,
) -> list[ScoreRow]:
    """Make a row per group and metric, and one more for each baseline that a strategy has besides its first.

    Args:
        finished: runs to compare.
        labels: labels by which runs are grouped besides the strategy, such as data and model.
        metrics: metrics of the test split; by default ``METRICS``, and every chosen one that is not of the default.
        baselines: baselines of each strategy; by default plain for all, and plain+ too for mixed strategies.
        conditions: what the paper calls each value of the last label.
    """
    groups = _groups(finished, labels)
    rows = [
        row
        for group, values in groups.items()
        for metric in (metrics if metrics is not None else _reported_metrics(next(iter(values.values()))))
        if all(metric in scores for scores in values.values())
        for row in _rows(groups, group, metric, baselines)
    ]
    t_p = holm([row.paired_test.t_p if row.paired_test else None for row in rows])
    wilcoxon_p = holm([row.paired_test.wilcoxon_p if row.paired_test else None for row in rows])
    names = {run.label("data"): run.dataset for run in finished}
    return [
        replace(row, t_p=t, wilcoxon_p=w, reported=_reported(row, labels, names, conditions or {}))
        for row, t, w in zip(rows, t_p, wilcoxon_p, strict=True)
    ]


def paired_over_seeds(
    own: Mapping[Label, float], other: Mapping[Label, float], *, higher_is_better: bool = True
) -> PairedTest | None:
    """Test the values of one group by seed against those of another, over the seeds that both have, if any."""
    seeds = [seed for seed in own if seed in other]
    values, baseline = [own[seed] for seed in seeds], [other[seed] for seed in seeds]
    return paired_test(values, baseline, higher_is_better=higher_is_better) if seeds else None


def long_table(rows: Sequence[ScoreRow], labels: Sequence[str], *, name: str, title: str) -> Table:
    """Make a table of all that is known of each row."""
    fewest = min((len(row.values) for row in rows), default=0)
    with_paper = any(row.reported for row in rows)
    columns = [
        *(Column(label) for label in (*labels, "strategy", "metric")),
        *(Column(text, "number") for text in ("mean", "deviation")),
        Column("runs", "number", 0),
        Column("baseline"),
        Column("gain", "percent"),
        *(Column(text, "p") for text in ("p (t)", "p (Wilcoxon)")),
        *([Column("reported", "number"), Column("reported in")] if with_paper else []),
    ]
    note = (
        "Scores on the test split: mean and sample deviation over seeds, and gain of the mean over the baseline. The p "
        "values are two-sided, paired over seeds, and corrected by Holm over this table."
    )
    few = (
        ""
        if fewest >= MIN_SEEDS
        else f" Some rows have only {fewest} runs; fewer than {MIN_SEEDS} runs are not a result."
    )
    return Table(
        name,
        title,
        tuple(columns),
        tuple(_cells(row, with_paper=with_paper) for row in rows),
        note + _direction_note(rows) + few,
    )


def wide_table(rows: Sequence[ScoreRow], labels: Sequence[str], *, name: str, title: str) -> Table:
    """Make a table with a line per group and a column per metric; a star marks a clear difference from the baseline."""
    metrics = list(dict.fromkeys(row.metric for row in rows))
    cells: dict[Group, dict[str, str]] = {}
    for row in rows:
        if row.metric not in cells.setdefault(row.group, {}):
            mean, deviation = spread(row.values)
            star = "*" if row.t_p is not None and row.t_p < STAR_LEVEL else ""
            gain = f" ({percent(row.gain)}{star})" if row.paired_test else ""
            cells[row.group][row.metric] = f"{mean:.4f} ± {deviation:.4f}{gain}"
    lines = tuple(
        (*map(_label_text, group), *(line.get(metric) for metric in metrics)) for group, line in cells.items()
    )
    columns = (
        *map(Column, (*labels, "strategy")),
        *(Column(metric_name(name), best=best_of(name)) for name in metrics),
    )
    note = "Mean ± deviation over seeds (gain over the baseline; * for p < 0.01 of the t-test, corrected by Holm)."
    return Table(name, title, columns, lines, note + _direction_note(rows), compares="strategy")


def _direction_note(rows: Sequence[ScoreRow]) -> str:
    """Return a sentence on the metrics in which lower is better; empty if there is none."""
    names = {row.metric.partition("@")[0]: None for row in rows if not higher_is_better(row.metric)}
    return f" Lower is better in {', '.join(names)}: a gain there is by how much the mean fell." if names else ""


def findings_of(rows: Sequence[ScoreRow], metric: str = "recall@10") -> tuple[str, ...]:
    """Write a sentence for each significant comparison in one metric, and one for all that are not significant."""
    tested = [row for row in rows if row.metric == metric and row.paired_test]
    significant = [row for row in tested if row.t_p is not None and row.t_p < SIGNIFICANCE_LEVEL]
    others = [row for row in tested if row not in significant]
    sentences = [_verdict(row) for row in significant]
    if others:
        listed = "; ".join(f"{_where(row)} {percent(row.gain)}" for row in others)
        sentences.append(f"Not significant in {metric_name(metric)}: {listed}.")
    if tested and (few := min(row.paired_test.runs for row in tested if row.paired_test)) < MIN_SEEDS:
        sentences.append(f"Some comparisons have {few} runs; fewer than {MIN_SEEDS} runs are not a result.")
    return tuple(sentences)


def _reported_metrics(scores: Mapping[str, float]) -> list[str]:
    """Return the metrics that the paper reports, and those that are not of the default."""
    chosen = [metric for metric in scores if metric.partition("@")[0] not in DEFAULT_METRICS]
    return [*METRICS, *chosen]


def _groups(finished: Sequence[FinishedRun], labels: Sequence[str]) -> dict[Group, dict[Label, Mapping[str, float]]]:
    """Return test scores by group, then by seed."""
    groups: dict[Group, dict[Label, Mapping[str, float]]] = {}
    for run in finished:
        group = tuple(run.label(label) for label in (*labels, "strategy"))
        groups.setdefault(group, {})[run.label("seed")] = run.result["test"]
    return groups


def _rows(
    groups: Mapping[Group, Mapping[Label, Mapping[str, float]]],
    group: Group,
    metric: str,
    baselines: Mapping[str, Sequence[str]] | None,
) -> Iterator[ScoreRow]:
    own = {seed: scores[metric] for seed, scores in groups[group].items()}
    values = tuple(own.values())
    strategy = str(group[-1])
    wanted = baselines.get(strategy, ()) if baselines is not None else _default_baselines(strategy)
    present = [baseline for baseline in wanted if (*group[:-1], baseline) in groups]
    if not present:
        yield ScoreRow(group, metric, values)
    for baseline in present:
        other = {seed: scores[metric] for seed, scores in groups[(*group[:-1], baseline)].items() if metric in scores}
        if test := paired_over_seeds(own, other, higher_is_better=higher_is_better(metric)):
            yield ScoreRow(group, metric, values, baseline, test)


def _default_baselines(strategy: str) -> tuple[str, ...]:
    """Return plain, and plain+ for mixed strategies, since both see two batches per step."""
    if strategy == "plain":
        return ()
    return ("plain", "plain+") if strategy.endswith("+") and strategy != "plain+" else ("plain",)


def _reported(
    row: ScoreRow, labels: Sequence[str], names: Mapping[Label, str], conditions: Mapping[Label, str]
) -> Reported | None:
    by_name = dict(zip((*labels, "strategy"), row.group, strict=True))
    if "data" not in by_name or "model" not in by_name:
        return None
    varied = row.group[-2] if labels[-1] not in ("data", "model") else ""
    if varied != "" and varied not in conditions:
        return None
    where = (names[by_name["data"]], str(by_name["model"]), str(by_name["strategy"]), row.metric)
    return reported(*where, condition=conditions.get(varied, ""))


def _cells(row: ScoreRow, *, with_paper: bool) -> tuple[Value, ...]:
    mean, deviation = spread(row.values)
    paper: tuple[Value, ...] = (None, None)
    if row.reported:
        paper = (row.reported.value, f"{row.reported.table}{' (suspect)' if row.reported.suspect else ''}")
    own = (*map(_label_text, row.group), row.metric, mean, deviation, len(row.values), row.baseline, row.gain)
    return (*own, row.t_p, row.wilcoxon_p, *(paper if with_paper else ()))


def _verdict(row: ScoreRow) -> str:
    gain = row.gain
    better, worse = ("above", "below") if higher_is_better(row.metric) else ("below", "above")
    verb = f"is {better if gain is None or gain > 0 else worse}"
    amount = "" if gain is None else f" by {percent(abs(gain)).lstrip('+')}"
    return f"{_where(row)} {verb} {row.baseline}{amount} in {metric_name(row.metric)} ({p_value(row.t_p or 0)})."


def _where(row: ScoreRow) -> str:
    return f"{row.group[-1]} against {row.baseline} ({', '.join(map(_label_text, row.group[:-1]))})"


def _label_text(label: Label) -> str:
    return f"{label:g}" if isinstance(label, float) else str(label)
