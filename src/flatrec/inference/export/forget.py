"""Exported lists and vectors without some users: their rows are removed, and the other rows stay as they are."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from flatrec.inference.export.blocks import RECOMMENDATIONS
from flatrec.inference.export.files import write_frames
from flatrec.inference.export.manifests import record, stated
from flatrec.inference.export.options import ExportOptions, Format
from flatrec.inference.export.report import ExportReport, Tally
from flatrec.inference.export.vectors import ABOUT, forget_vectors
from flatrec.utils.atomic_write import atomic_write
from flatrec.utils.shards import shard_names

COLUMN = "user_id"


@dataclass(frozen=True)
class Removal:
    """What was removed from a file.

    Args:
        file: the file, or the folder of vectors.
        rows: number of rows that were removed.
    """

    file: Path
    rows: int


@dataclass(frozen=True, eq=False)
class _Export:
    """A file of an export as its manifest describes it; other files are read by their content."""

    file: Path
    kind: Format
    identity: str | None
    report: ExportReport | None

    @property
    def header(self) -> bool:
        """Whether a CSV file begins with the names of the columns, as the first of several shards does."""
        return self.report is None or self.report.shard.startswith("1/")


def forget_in_export(target: Path, users: Collection[str]) -> list[Removal]:
    """Remove the rows of users from an export: a file, all shards of one, or a folder of vectors.

    Each file is replaced as a whole, and its manifest states the new digest and the new number of rows. Needs the
    memory of one file.

    Args:
        target: the file of the export, as ``flatrec export --out`` named it, or the folder.
        users: original ids.

    Raises:
        FileNotFoundError: there is neither a file nor a shard.
        ValueError: a file holds no lists of users, or is damaged.
        OSError: a file cannot be written.
    """
    gone = frozenset(users)
    if (target / ABOUT).is_file():
        return [Removal(target, forget_vectors(target, gone))]
    files = _files(target)
    if not files:
        raise FileNotFoundError(f"there is no export {target}, and no shard of it; name the file that --out named")
    return [_forget(_read(file), gone) for file in files]


def _files(target: Path) -> list[Path]:
    """Return the file itself, or its shards."""
    if target.is_file():
        return [target]
    if not target.parent.is_dir():
        return []
    pattern = shard_names(target)
    return sorted(path for path in target.parent.iterdir() if pattern.fullmatch(path.name))


def _read(file: Path) -> _Export:
    """Return a file with its manifest.

    Raises:
        ValueError: the ending of the file names no format, or the file is not the one of its manifest.
    """
    kind = ExportOptions().format_of(file)
    identity, report = stated(file) or (None, None)
    return _Export(file, kind, identity, report)


def _forget(export: _Export, users: frozenset[str]) -> Removal:
    file, rows = export.file, _rows(export)
    if COLUMN not in rows.columns:
        raise ValueError(f"{file} has no column {COLUMN!r}, so that it holds no lists of users; leave it out")
    kept = rows.filter(~pl.col(COLUMN).is_in(list(users)))
    removed = len(rows) - len(kept)
    if removed:
        with atomic_write(file) as temporary:
            if export.kind == "jsonl":
                temporary.write_text("".join(kept["line"]), encoding="utf-8", newline="")
            else:
                write_frames([kept], temporary, export.kind, kept.schema, header=export.header)
            if export.identity is not None and export.report is not None:
                record(file, temporary, export.identity, _counted(export.report, kept))
    return Removal(file, removed)


def _rows(export: _Export) -> pl.DataFrame:
    """Return the rows of a file; of text formats as texts, so that they are written as they were."""
    if export.kind == "parquet":
        return pl.read_parquet(export.file)
    if not export.file.stat().st_size:  # a shard without a list
        return pl.DataFrame(schema=RECOMMENDATIONS)
    if export.kind == "csv":
        names = None if export.header else list(RECOMMENDATIONS)
        return pl.read_csv(export.file, has_header=export.header, new_columns=names, infer_schema=False)
    with export.file.open(encoding="utf-8", newline="") as lines:
        read = [(line, json.loads(line)) for line in lines if line.strip()]
    columns = {name: [str(values.get(name)) for _, values in read] for name in _names([values for _, values in read])}
    return pl.DataFrame({**columns, "line": [line for line, _ in read]}, schema_overrides={"line": pl.String})


def _names(objects: list[dict[str, object]]) -> list[str]:
    return [name for name in RECOMMENDATIONS if all(name in values for values in objects)]


def _counted(report: ExportReport, kept: pl.DataFrame) -> ExportReport:
    """Return the report of the rows that are left; lists without an item stay uncounted."""
    tally = Tally()
    for _ in tally.counting([kept.with_columns(pl.col("rank").cast(pl.Int32))]):
        pass
    return replace(report, rows=tally.rows, lists=tally.lists, paths=dict(sorted(tally.paths.items())))
