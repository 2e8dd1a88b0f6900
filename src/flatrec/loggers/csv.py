"""CSV: curves, settings and result of a run as tables that any program reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from flatrec.loggers.base import RunInfo, Status, curves
from flatrec.training.records import EpochRecord
from flatrec.utils.atomic_write import write_text
from flatrec.utils.csv_cells import no_formulas


class CSV:
    """A logger that writes ``epochs.csv``, ``settings.csv`` and ``result.csv`` into its folder.

    ``epochs.csv`` has one row per epoch and one column per curve; a cell is empty if the epoch has no such number.
    Numbers have all digits that tell them from every other float64; a text that a spreadsheet would take for a formula
    begins with an apostrophe. Artifacts are in the run folder already.
    """

    def start(self, run: RunInfo, done: Sequence[EpochRecord]) -> None:
        """Write the settings, and the epochs that the run has already in the place of those that were written before.

        Raises:
            OSError: the folder cannot be written to.
        """
        self._folder = run.own_folder
        self._folder.mkdir(parents=True, exist_ok=True)
        _write(self._folder / "settings.csv", ("setting", "value"), run.settings.items())
        self._rows: list[dict[str, int | float]] = [_row(record) for record in done]
        self._write_epochs()

    def log(self, record: EpochRecord) -> None:
        """Add a row, with a new column for a curve that begins.

        Raises:
            OSError: the disk is full.
        """
        row, columns = _row(record), self._columns()
        self._rows.append(row)
        if row.keys() - set(columns):
            self._write_epochs()
            return
        with (self._folder / "epochs.csv").open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow([row.get(name, "") for name in columns])

    def end(self, status: Status, result: Mapping[str, float], artifacts: Sequence[Path]) -> None:  # noqa: ARG002
        """Write how the run ended, and its result if it has one.

        Raises:
            OSError: the disk is full.
        """
        _write(self._folder / "result.csv", ("name", "value"), [("status", status), *result.items()])

    def _columns(self) -> list[str]:
        return list(dict.fromkeys(name for row in self._rows for name in row)) or ["epoch"]

    def _write_epochs(self) -> None:
        columns = self._columns()
        _write(self._folder / "epochs.csv", columns, ([row.get(name, "") for name in columns] for row in self._rows))


def _row(record: EpochRecord) -> dict[str, int | float]:
    return {"epoch": record.epoch, **curves(record)}


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(map(no_formulas, rows))
    write_text(path, text.getvalue())
