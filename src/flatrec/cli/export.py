"""flatrec export."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from flatrec.cli import options, recommenders
from flatrec.cli.printing import print_json, print_text
from flatrec.cli.shard_pool import ShardPool, with_shard_pool
from flatrec.utils.messages import clipped, count

if TYPE_CHECKING:
    from flatrec.inference.candidates import Filters
    from flatrec.inference.export import DatabaseTable, ExportOptions, ExportReport
    from flatrec.inference.rerank import Rerank

logger = logging.getLogger(__name__)

WHAT = ("recommendations", "similar", "vectors")
_LIST_FILE = "one id per line, or a table (.csv, .tsv, .parquet) with a column of that name"


class ExportJob(NamedTuple):
    """What a process needs to export lists, or one shard of them."""

    run: Path
    data: str | None
    model: str | None
    what: str
    target: Path | DatabaseTable
    options: ExportOptions


@with_shard_pool
@recommenders.with_request
def export(
    run: options.RecommenderDir,
    filters: Filters,
    rerank: Rerank | None,
    pool: ShardPool | None,
    what: Annotated[str, typer.Option(help="What to export: recommendations, similar or vectors.")] = WHAT[0],
    k: Annotated[int, typer.Option("-k", "--top-k", help="Number of items in a list.")] = 10,
    users: Annotated[
        Path | None,
        typer.Option(
            help=f"File of the users whose lists are exported: {_LIST_FILE}. Default: all.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write (.parquet, .csv, .jsonl); for vectors: a folder.", show_default=False),
    ] = None,
    file_format: Annotated[
        str | None,
        typer.Option("--format", help="Format: parquet, csv or jsonl. Default: by the ending.", show_default=False),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="3/16", help="One of several shards of the file; each has a file.", show_default=False),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Database to write to, by its SQLAlchemy URL.", show_default=False),
    ] = None,
    table: Annotated[
        str | None, typer.Option(help="Table of the database, which is replaced.", show_default=False)
    ] = None,
    overwrite: options.Overwrite = False,
    model: options.OwnModel = None,
    data: options.NewerData = None,
    json: options.Json = False,
) -> None:
    """Write recommendations, similar items or vectors of a trained run into files or a table of a database.

    Example: `flatrec export runs/first -k 20 --out recs.parquet`
    """
    from flatrec.inference.export import ExportOptions, Shard, export_vectors, format_named

    if what not in WHAT:
        raise ValueError(f"--what must be one of {', '.join(WHAT)}, but is {clipped(what)!r}")
    target = _target(out, to, table)
    if what == "vectors":
        _check_vectors(
            {"--users": users, "--to": to, "--shard": shard, "--shards": pool, "--format": file_format}, filters, rerank
        )
        report = export_vectors(recommenders.opened(run, data=data, model=model), _folder(target), overwrite=overwrite)
    else:
        chosen = ExportOptions(
            k=options.counted("--top-k", k),
            users=_users(users),
            filters=filters,
            rerank=rerank,
            shard=Shard() if shard is None else Shard.parse(shard),
            format=None if file_format is None else format_named(file_format),
            overwrite=overwrite,
        )
        if isinstance(target, Path):
            chosen.format_of(target)  # an unknown ending shows before the recommender is read
        job = ExportJob(run, data, model, what, target, chosen)
        if pool is not None:
            _export_all(job, pool, json=json)
            return
        report = export_job(job)
    if json:
        print_json({"run": str(run), **asdict(report)})
    else:
        _print_report(report)


def export_job(job: ExportJob) -> ExportReport:
    """Export lists, or one shard of them, in the process that this is called in."""
    from flatrec.inference.export import export_recommendations, export_similar

    call = export_recommendations if job.what == "recommendations" else export_similar
    return call(recommenders.opened(job.run, data=job.data, model=job.model), job.target, job.options)


def _export_all(job: ExportJob, pool: ShardPool, *, json: bool) -> None:
    """Export all shards of lists, and print what became of them.

    Raises:
        ValueError: a single shard is asked for too, or the lists go into a table.
    """
    if not job.options.shard.whole:
        raise ValueError("--shard writes one shard, --shards all of them; give one of the two")
    if not isinstance(job.target, Path):
        raise ValueError("--shards writes files, but --to names a database; leave --shards out")
    jobs = [job._replace(options=replace(job.options, shard=one)) for one in pool.shards]
    reports = pool.do(export_job, jobs)
    if json:
        print_json({"run": str(job.run), "shards": [asdict(report) for report in reports]})
        return
    for report in reports:
        _print_report(report)


def _target(out: Path | None, to: str | None, table: str | None) -> Path | DatabaseTable:
    """Return where the rows go.

    Raises:
        ValueError: there is no target, or there are two.
    """
    from flatrec.inference.export import DatabaseTable

    if out is not None and (to is not None or table is not None):
        raise ValueError("--out writes a file, --to and --table a table of a database; give one of them")
    if out is not None:
        return out
    if to is None or table is None:
        raise ValueError("an export needs --out FILE, or --to URL and --table NAME")
    return DatabaseTable(to, table)


def _check_vectors(values: Mapping[str, object], filters: Filters, rerank: Rerank | None) -> None:
    """Refuse options that have no meaning for vectors."""
    names = {"filter_seen": "--include-seen", "items": "--items", "exclude": "--exclude", "where": "--where"}
    given = {option: getattr(filters, name) for name, option in names.items()}
    for option, value in {**values, **given, "re-ranking": rerank}.items():
        if value is not None:
            raise ValueError(
                f"{option} does not go with --what vectors, which writes the vectors of all users and items into a "
                "folder; leave it out"
            )


def _folder(target: Path | DatabaseTable) -> Path:
    if not isinstance(target, Path):
        raise ValueError("--what vectors needs --out FOLDER")
    return target


def _users(file: Path | None) -> tuple[str, ...] | None:
    """Return the users in a file, each once."""
    if file is None:
        return None
    from flatrec.data.id_lists import read_ids

    ids = read_ids(file, "user")
    unique = tuple(dict.fromkeys(ids))
    if len(ids) > len(unique):
        logger.warning("%s: %d of %d ids repeat and count once", file, len(ids) - len(unique), len(ids))
    return unique


def _print_report(report: ExportReport) -> None:
    """Print what was exported, and what a reader of it should know."""
    shard = "" if report.shard == "1/1" else f", shard {report.shard}"
    if report.skipped:
        print_text(f"{report.target} is there already, with the same {count(report.rows, 'row')}{shard}")
    else:
        paths = ", ".join(f"{path} {number}" for path, number in report.paths.items())
        by_path = f"; lists by path: {paths}" if paths else ""
        print_text(f"{count(report.rows, 'row')} of {report.what} written to {report.target}{shard}{by_path}")
    for note in report.notes:
        print_text(f"- {note}")
