"""One page of HTML on a generation: what came, what was decided and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import Template
from typing import Any

from flatrec.refresh.state import State
from flatrec.utils.moments import as_date_time

N_LINES = 14  # of the history
_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>$title</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: .5rem 0 1.5rem }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #ddd; vertical-align: top }
.promoted { color: #17692b } .refused, .failed, .broken { color: #a11d1d } .kept, .abandoned { color: #7a5200 }
</style>
</head>
<body>
<h1>$title</h1>
<p class="$kind"><strong>$kind.</strong> $reason</p>
$sections
</body>
</html>
""")


def render(state: State, history: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the page of a generation.

    Args:
        state: its record.
        history: lines of the history, the oldest first; the newest ones are shown.
    """
    sections = (
        _section("Delivery", _delivery(state)),
        _section("Checks", _checks(state)),
        _section("Comparison", _comparison(state)),
        _section("Exports", _exports(state)),
        _section("Steps", _table(("step", "seconds"), [(step, f"{s:.1f}") for step, s in state.seconds.items()])),
        _section("History", _history(history)),
    )
    return _PAGE.substitute(
        title=escape(f"Generation {state.number} of {state.delivery.get('name', 'the data')}"),
        kind=escape(_kind(state)),
        reason=escape(state.reason or state.error or "It has not ended."),
        sections="\n".join(filter(None, sections)),
    )


def _kind(state: State) -> str:
    return state.outcome or ("failed" if state.error else "begun")


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>\n{content}" if content else ""


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]], classes: Sequence[str] = ()) -> str:
    lines = []
    for number, row in enumerate(rows):
        kind = f' class="{escape(classes[number])}"' if number < len(classes) and classes[number] else ""
        lines.append(f"<tr{kind}>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>")
    if not lines:
        return ""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    return "\n".join(["<table>", f"<tr>{head}</tr>", *lines, "</table>"])


def _delivery(state: State) -> str:
    now, before = state.delivery, state.before or {}
    if not now:
        return ""
    rows: list[Sequence[object]] = [
        (name, _number(before.get(name)), _number(now[name])) for name in ("interactions", "users", "items")
    ]
    rows.append(("newest interaction (UTC)", _date(before.get("newest")), _date(now["newest"])))
    return _table(("", "last accepted", "this one"), rows)


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "–"


def _date(value: object) -> str:
    return as_date_time(value) if isinstance(value, int) else "–"


def _checks(state: State) -> str:
    rows = [(check["about"], check["found"], check["allowed"], check["setting"]) for check in state.checks]
    return _table(
        ("", "found", "allowed", "bound"), rows, ["" if check["passed"] else "broken" for check in state.checks]
    )


def _comparison(state: State) -> str:
    comparison = state.comparison
    if comparison is None:
        return ""
    values: Mapping[str, Mapping[str, float]] = comparison["values"]
    metrics = list(next(iter(values.values())))
    table = _table(
        ("", *metrics), [(name, *(f"{row[metric]:.4f}" for metric in metrics)) for name, row in values.items()]
    )
    return f"<p>{escape(comparison['about'])}</p>\n{table}"


def _exports(state: State) -> str:
    return _table(
        ("what", "target", "rows"),
        [(export["what"], export["target"], _number(export["rows"])) for export in state.exports],
    )


def _history(history: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (line.get("number"), line.get("started"), line.get("outcome"), line.get("reason"))
        for line in reversed(history[-N_LINES:])
    ]
    return _table(("generation", "started (UTC)", "outcome", "why"), rows, [str(row[2]) for row in rows])
