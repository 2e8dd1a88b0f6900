"""Progress on standard error: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

from flatrec.cli.messages import STATUS, console, print_progress, shows_bars

if TYPE_CHECKING:
    from flatrec.config import Experiment
    from flatrec.training import EpochRecord

SECONDS_BETWEEN_LINES = 10


class ProgressBar:
    """Bar that shows the epoch, its steps, the last loss, and the last and the best validation score.

    Args:
        title: what is being trained.
        note: a line to print when training begins; empty for none.
    """

    def __init__(self, title: str, note: str = "") -> None:
        self.title, self.note = title, note
        self.monitor, self.status = "", ""
        self.best: float | None = None
        self.lines = Lines()

    def on_start(self, first_epoch: int, epochs: int, steps: int) -> None:
        """Open the bar."""
        del first_epoch  # the bar is of the steps of one epoch
        if self.note:
            print_progress(self.note)
        self.epochs = epochs
        self.progress = bar("status")
        self.task = self.progress.add_task(self.title, total=steps, status="")
        self.progress.start()

    def on_step(self, epoch: int, step: int) -> None:
        """Show the step."""
        self.progress.update(
            self.task, completed=step, description=f"{self.title} · epoch {epoch}/{self.epochs}", status=self.status
        )

    def on_epoch(self, record: EpochRecord) -> None:
        """Show loss and score of the epoch."""
        loss = "-" if record.loss is None else f"{record.loss:.4f}"
        self.monitor = record.monitor or self.monitor
        score = record.valid.get(self.monitor)
        if score is not None:
            self.best = better_of(self.monitor, score, self.best)
        shown, best = ("-" if value is None else f"{value:.4f}" for value in (score, self.best))
        self.status = f"loss {loss}" + (f" · {self.monitor} {shown} (best {best})" if self.monitor else "")
        self.progress.update(self.task, status=self.status)
        self.lines.say(f"{self.title} · epoch {record.epoch}/{self.epochs} · {self.status}")

    def on_end(self) -> None:
        """Close the bar."""
        self.progress.stop()


class Lines:
    """Lines for those who see no bar, at most one every few seconds.

    Args:
        last: time of the last line, by the clock of :func:`time.monotonic`.
    """

    def __init__(self, last: float = float("-inf")) -> None:
        self.last = last

    def say(self, line: str) -> None:
        """Print a line, unless the last one was a moment ago."""
        if time.monotonic() - self.last >= SECONDS_BETWEEN_LINES:
            self.last = time.monotonic()
            STATUS.info("%s", line)


def bar(field: str = "") -> Progress:
    """Return a bar that is shown on a terminal alone; at its end it shows a field of its task, as far as there is room.

    Args:
        field: name of the field; empty for none.
    """
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn())
    rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    ends = [TextColumn(f"{{task.fields[{field}]}}", markup=False, table_column=rest)] if field else []
    return Progress(*columns, *ends, console=console(), disable=not shows_bars(), expand=bool(field))


def better_of(monitor: str, score: float, best: float | None) -> float:
    """Return the better of two scores."""
    from flatrec.evaluation.metrics import higher_is_better

    if best is None:
        return score
    return max(score, best) if higher_is_better(monitor) else min(score, best)


def training_bar(experiment: Experiment, note: str = "") -> ProgressBar:
    """Return a bar for the training of an experiment, with a line to print when it begins."""
    from flatrec.utils.user_classes import short

    return ProgressBar(f"{short(experiment.model.name)} {short(experiment.strategy.name)}", note)


@contextmanager
def counting(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal, or a line every few seconds elsewhere; yield the function that counts on."""
    done, lines = 0, Lines(time.monotonic())
    with bar() as progress:
        task = progress.add_task(title, total=total)

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress.update(task, completed=done)
            lines.say(f"{title} {done}" + (f"/{total}" if total else ""))

        yield advance
