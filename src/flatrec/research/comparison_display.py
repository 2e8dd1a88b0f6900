"""A comparison of strategies in a notebook and in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flatrec.display.html import Content, element, heading, joined, page, soft, text
from flatrec.display.table import table
from flatrec.evaluation.metrics import higher_is_better
from flatrec.evaluation.significance import SIGNIFICANCE_LEVEL
from flatrec.research.reporting.formats import cell_text, percent
from flatrec.research.reporting.study_result import Column

if TYPE_CHECKING:
    from flatrec.research.comparison import MetricSummary, StrategyComparison


def describe(comparison: StrategyComparison, metrics: list[str]) -> str:
    """Return what was compared, and the means of the first metric, in one line."""
    means = ", ".join(f"{name} {cells[metrics[0]].mean:.4f}" for name, cells in comparison.metrics.items())
    return f"StrategyComparison {_about(comparison)}: test {metrics[0]} {means}"


def describe_html(comparison: StrategyComparison, metrics: list[str], note: str) -> str:
    """Return the table of a comparison: the best mean of each metric in bold, and what is significant with a star.

    Args:
        comparison: what was compared.
        metrics: metrics of the rows.
        note: how the table is read.
    """
    strategies = comparison.metrics
    rows = [[metric, *_row([cells[metric] for cells in strategies.values()], metric)] for metric in metrics]
    return page(
        heading("Comparison", _about(comparison)),
        table(("metric", *map(text, strategies)), rows),
        soft(text(f"{note} Bold: the best mean. Star: p of the t-test below {SIGNIFICANCE_LEVEL}.", 600)),
    )


def _about(comparison: StrategyComparison) -> str:
    return f"{comparison.model} on {comparison.data}, seeds {', '.join(map(str, comparison.seeds))}"


def _row(summaries: list[MetricSummary], metric: str) -> list[Content]:
    means = [round(summary.mean, 4) for summary in summaries]
    best = (max if higher_is_better(metric) else min)(means)
    differ = len(set(means)) > 1
    return [_cell(summary, is_best=differ and mean == best) for summary, mean in zip(summaries, means, strict=True)]


def _cell(summary: MetricSummary, *, is_best: bool) -> Content:
    mean = f"{summary.mean:.4f}"
    score = joined(element("b", mean) if is_best else mean, f" ± {summary.deviation:.4f}")
    if summary.paired_test is None:
        return score
    t_p, wilcoxon_p = summary.t_p_holm, summary.wilcoxon_p_holm
    star = "*" if t_p is not None and t_p < SIGNIFICANCE_LEVEL else ""
    tests = f", p {_p(t_p)} / {_p(wilcoxon_p)}"
    return joined(score, soft(f"{percent(summary.paired_test.gain)}{star}{tests}"))


def _p(value: float | None) -> str:
    return cell_text(value, Column("p", "p"))
