"""A run in a notebook and in a terminal: settings in short, curves, and scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flatrec.display.chart import curve
from flatrec.display.html import Html, element, heading, joined, page, soft, text
from flatrec.display.table import table
from flatrec.utils.messages import clipped, shortlist

if TYPE_CHECKING:
    from flatrec.inference.run import Run

N_METRICS, N_SETTINGS, N_WARNINGS = 40, 6, 5
SPLITS = {"valid": "validation", "test": "test"}


def describe(run: Run) -> str:
    """Return model, strategy, data, epochs, and the first test score in one line."""
    result, name = run.result, _name(run)
    if not result:
        return f"Run {name}, without a result"
    epochs = f", {result.get('epochs', 0)} epochs, best {result['best_epoch']}" if result.get("best_epoch") else ""
    scores = "".join(f", {SPLITS[split]} {one}" for split in SPLITS if (one := _first(result.get(split))))
    return f"Run {name}, seed {result.get('seed', 0)}{epochs}{scores}"


def describe_html(run: Run) -> str:
    """Return settings in short, curves of loss and validation, and the scores of both splits."""
    result = run.result
    best = result.get("best_epoch")
    drawn = [curve(values, name, best) for name, values in _curves(run).items()]
    warnings = [soft(text(one, 300)) for one in result.get("warnings", ())[:N_WARNINGS]]
    return page(
        heading("Run", _name(run)),
        table(("", ""), [(name, text(value, 200)) for name, value in _facts(result)], texts=(0, 1)) if result else "",
        element("div", *drawn, style="display:flex;flex-wrap:wrap;gap:.4rem 1.6rem;margin:.6em 0") if drawn else "",
        _scores(result),
        *warnings,
    )


def _name(run: Run) -> str:
    model = run.result.get("model", type(run.model).__name__)
    strategy = run.result.get("strategy", "none")
    trained = f" with {strategy}" if strategy != "none" else ""
    return f"{model}{trained} on {clipped(run.dataset.name)}"


def _facts(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    settings = result.get("settings", {})
    for group in ("model", "strategy", "optimizer"):
        if chosen := settings.get(group):
            yield group, _component(chosen)
    if training := settings.get("training"):
        yield "training", f"batch size {training.get('batch_size')}, at most {training.get('epochs')} epochs"
    if result.get("epochs"):
        monitor = f" by validation {result['monitor']}" if result.get("monitor") else ""
        yield "epochs", f"{result['epochs']}; epoch {result.get('best_epoch')} is the best{monitor}"
    yield "seed", str(result.get("seed", ""))


def _component(chosen: Mapping[str, Any]) -> str:
    """Return a name with its first settings."""
    options = {
        name: list(value) if isinstance(value, tuple) else value for name, value in chosen.get("options", {}).items()
    }
    settings = shortlist((f"{name} {value}" for name, value in options.items()), N_SETTINGS)
    return f"{chosen.get('name')} ({settings})" if settings else str(chosen.get("name"))


def _curves(run: Run) -> dict[str, dict[int, float]]:
    """Return the loss and the validation metric that decides, by epoch."""
    losses = {record.epoch: record.loss for record in run.records if record.loss is not None}
    monitor = next((record.monitor for record in run.records if record.monitor), "")
    scores = {record.epoch: record.valid[monitor] for record in run.records if monitor in record.valid}
    drawn = {"training loss": losses, f"validation {monitor}": scores}
    return {name: values for name, values in drawn.items() if values}


def _scores(result: Mapping[str, Any]) -> Html:
    """Return a table with a row for each metric, and a column for each list length of each split."""
    splits = [split for split in SPLITS if result.get(split)]
    cells = {(split, *_parted(metric)): value for split in splits for metric, value in result[split].items()}
    columns = list(dict.fromkeys((split, k) for split, _, k in cells))
    metrics = list(dict.fromkeys(name for _, name, _ in cells))
    rows = [[name, *(_score(cells.get((split, name, k))) for split, k in columns)] for name in metrics[:N_METRICS]]
    more = soft(f"and {len(metrics) - N_METRICS} more metrics") if len(metrics) > N_METRICS else ""
    headings = [f"{SPLITS[split]} {k}".strip() for split, k in columns]
    return joined(table(("metric", *headings), rows), more) if rows else joined()


def _parted(metric: str) -> tuple[str, str]:
    """Return the name of a metric, and the length of lists with the sign before it, where it has one."""
    name, at, k = metric.partition("@")
    return name, at + k


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _first(scores: Mapping[str, float] | None) -> str:
    return next((f"{metric} {value:.4f}" for metric, value in (scores or {}).items()), "")
