"""Where lists go: a file, a shard of a file, or a table of a database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from flatrec.inference.export.blocks import Blocks
from flatrec.inference.export.files import write_frames
from flatrec.inference.export.manifests import check_claim, claim, finished, record
from flatrec.inference.export.options import ExportOptions
from flatrec.inference.export.report import ExportReport, Tally
from flatrec.utils.atomic_write import atomic_write, check_target
from flatrec.utils.integrity import digest
from flatrec.utils.messages import count


@dataclass(frozen=True)
class DatabaseTable:
    """A table of a database, which an export replaces.

    Args:
        url: the address of the database as SQLAlchemy has it, such as ``postgresql+psycopg://shop@localhost/shop``.
        table: the name of the table, with or without a schema.
    """

    url: str
    table: str


@dataclass(frozen=True, eq=False)
class ListExport:
    """An export of lists that is ready to be written.

    Args:
        what: ``recommendations`` or ``similar``.
        blocks: its rows.
        options: the options of the export.
        generation: the digest of what the rows depend on.
        notes: what a reader of the rows should know.
    """

    what: str
    blocks: Blocks
    options: ExportOptions
    generation: str
    notes: tuple[str, ...]

    def into(self, target: Path | DatabaseTable) -> ExportReport:
        """Write the lists.

        Raises:
            ValueError: the format is unknown, or a shard is to be written into a table.
            FileExistsError: the file is there and is of another export or of other origin.
            OSError: the file cannot be written.
        """
        if isinstance(target, DatabaseTable):
            return self._into_table(target)
        return self._into_file(target)

    def _into_file(self, out: Path) -> ExportReport:
        kind, shard = self.options.format_of(out), self.options.shard
        file = shard.file(out)
        check_target(file)
        if not file.parent.is_dir():
            raise FileNotFoundError(f"cannot write {file}: there is no folder {file.parent}; create it first")
        identity = digest(self.generation, kind)  # the same rows in another format are another file
        if (before := finished(file, identity)) is not None:
            return before
        claim(out, shard, identity, overwrite=self.options.overwrite)
        tally, indices = Tally(), shard.of(self.blocks.n_blocks)
        with atomic_write(file) as temporary:
            rows = tally.counting(self.blocks.frames(indices))
            write_frames(rows, temporary, kind, self.blocks.schema, header=shard.index == 1)
            check_claim(out, shard, identity)
            report = self._report(str(file), tally, len(self.blocks.lists_of(indices)))
            record(file, temporary, identity, report)
        return report

    def _into_table(self, target: DatabaseTable) -> ExportReport:
        from flatrec.inference.export.database import export_table

        if not self.options.shard.whole:
            raise ValueError("a table is written as a whole; leave out the shard: an export that was stopped goes on")
        tally, n_blocks = Tally(), self.blocks.n_blocks

        def rows(start: int) -> Iterator[pl.DataFrame]:
            yield from tally.counting(self.blocks.frames(range(start, n_blocks)))

        about = f"{self.what} by flatrec export"
        written = export_table(
            target.url, target.table, self.blocks.schema, rows, generation=self.generation, comment=about
        )
        n_lists = len(self.blocks.lists_of(range(written.first_block, n_blocks)))
        report = replace(self._report(target.table, tally, n_lists), rows=written.rows)
        if not written.first_block:
            return report
        note = f"an earlier export of the same was stopped and is completed; only the last {n_lists} lists are counted"
        return replace(report, notes=(*report.notes, note))

    def _report(self, target: str, tally: Tally, n_lists: int) -> ExportReport:
        empty = n_lists - tally.lists
        about = f"{count(empty, 'list')} of {n_lists} have no item left by the filters, and no row"
        return ExportReport(
            self.what,
            target,
            self.generation,
            rows=tally.rows,
            lists=tally.lists,
            empty_lists=empty,
            paths=dict(sorted(tally.paths.items())),
            shard=str(self.options.shard),
            notes=(*self.notes, *([about] if empty else [])),
        )
