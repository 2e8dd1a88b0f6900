"""Manifests beside exported files, by which finished files are told from others, and exports are never mixed.

The manifest of ``recs.parquet`` is ``_recs.parquet.json``; readers of whole folders, such as Spark and Arrow, skip
names that begin with an underscore. A manifest is written twice: before the first row, to claim the name for one
generation, and when the rows are complete, just before the file takes its name. Two exports that begin at the same time
see each other's claims, so that no lock is needed, which folders on a network often do not have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from flatrec.inference.export.report import ExportReport
from flatrec.utils.atomic_write import write_text
from flatrec.utils.integrity import file_digest, read_sealed, seal
from flatrec.utils.messages import shortlist
from flatrec.utils.shards import Shard, shard_names

FORMAT = "flatrec export 1"
_ADVICE = "remove it, or export again with --overwrite"


def manifest_of(file: Path) -> Path:
    """Return the path of the manifest of an exported file."""
    return file.with_name(f"_{file.name}.json")


def finished(file: Path, identity: str) -> ExportReport | None:
    """Return the report of a file that is complete, undamaged and of this identity; None if it is not."""
    stored = _read(manifest_of(file))
    if stored is None or stored["identity"] != identity or stored["file_digest"] is None or not file.is_file():
        return None
    if file_digest(file) != stored["file_digest"]:
        return None
    report = stored["report"]
    return ExportReport(**{**report, "target": str(file), "notes": tuple(report["notes"]), "skipped": True})


def stated(file: Path) -> tuple[str, ExportReport] | None:
    """Return the identity and the report of a complete file; None if it has no manifest.

    Raises:
        ValueError: the manifest is damaged, or the file is not complete or was changed since it was exported.
    """
    if not manifest_of(file).is_file():
        return None
    stored = read_sealed(manifest_of(file), advice=_ADVICE)
    report = finished(file, str(stored.get("identity")))
    if report is None:
        raise ValueError(f"{file} is not complete, or was changed since it was exported; {_ADVICE}")
    return str(stored["identity"]), report


def claim(out: Path, shard: Shard, identity: str, *, overwrite: bool) -> None:
    """Claim the name of a file before it is written.

    Args:
        out: the file of the whole export.
        shard: which shard of it is written.
        identity: the digest of the rows and the format.
        overwrite: whether files in the way are removed.

    Raises:
        FileExistsError: a file of another export or of unknown origin is there, or a shard of another generation.
    """
    file = shard.file(out)
    others = [file] if shard.whole else list(_shards(out))
    in_the_way = [other for other in others if not _belongs(other, shard, identity)]
    if in_the_way and not overwrite:
        raise FileExistsError(_refusal(file, in_the_way, shard))
    if shard.whole:
        return
    for other in in_the_way:
        other.unlink(missing_ok=True)
        manifest_of(other).unlink(missing_ok=True)
    _write(file, identity, None, None)
    check_claim(out, shard, identity)


def check_claim(out: Path, shard: Shard, identity: str) -> None:
    """Make sure that all shards beside this one are still of its generation.

    Raises:
        FileExistsError: another export has begun in the meantime.
    """
    if shard.whole:
        return
    file = shard.file(out)
    others = {*_shards(out), file}
    in_the_way = sorted(other for other in others if not _belongs(other, shard, identity))
    if in_the_way:
        if file not in in_the_way and finished(file, identity) is None:
            manifest_of(file).unlink(missing_ok=True)
        raise FileExistsError(_refusal(file, in_the_way, shard))


def record(file: Path, complete: Path, identity: str, report: ExportReport) -> None:
    """Write the manifest of a file whose rows are complete, under a temporary name still."""
    _write(file, identity, file_digest(complete), replace(report, skipped=False))


def _shards(out: Path) -> Iterator[Path]:
    """Yield the shards of a file that are there, or of which there is a manifest."""
    if not out.parent.is_dir():
        return
    pattern = shard_names(out)
    names = {path.name for path in out.parent.iterdir()}
    manifests = {name[1 : -len(".json")] for name in names if name.startswith("_") and name.endswith(".json")}
    for name in sorted(names | manifests):
        if pattern.fullmatch(name):
            yield out.with_name(name)


def _belongs(file: Path, shard: Shard, identity: str) -> bool:
    """Return True if nothing is in the way: the name is free, or its manifest is of this export."""
    if shard.whole and not file.exists():
        return True
    if not shard.whole and not file.name.removesuffix(file.suffix).endswith(f"-of-{shard.count:05}"):
        return False
    stored = _read(manifest_of(file))
    return stored is not None and stored["identity"] == identity


def _refusal(file: Path, in_the_way: list[Path], shard: Shard) -> str:
    if shard.whole:
        return (
            f"{file} exists and is of another export or of other origin; choose another name, or replace it with "
            "--overwrite"
        )
    return (
        f"{file} is not written, as {shortlist(path.name for path in in_the_way)} beside it are of another export or "
        "another number of shards, and shards of two exports must not be mixed; choose another name, or remove them "
        "with --overwrite"
    )


def _read(path: Path) -> dict[str, Any] | None:
    """Return what a manifest holds; None if there is none, or none that can be read."""
    try:
        stored = read_sealed(path, advice=_ADVICE)
    except (OSError, ValueError):
        return None
    return stored if stored.get("format") == FORMAT else None


def _write(file: Path, identity: str, digest: str | None, report: ExportReport | None) -> None:
    values = {
        "format": FORMAT,
        "identity": identity,
        "file_digest": digest,
        "report": None if report is None else {**asdict(report), "target": file.name},
    }
    write_text(manifest_of(file), seal(values) + "\n")
