"""Take over a recommender or a data set from the Hub: checked before it is in place, and without running code."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from flatrec.data.loading import load_data
from flatrec.hub.names import CARD, ENDING, OF_THE_HUB, Kind, check_paths, is_own
from flatrec.hub.remote import Remote, RemoteFile, RemoteState
from flatrec.inference.ann.files import FILE as INDEX
from flatrec.inference.storage import FACTS, ITEMS, load_recommender
from flatrec.utils.atomic_write import own_folder, sweep
from flatrec.utils.integrity import MANIFEST, check_manifest, listed_names, read_sealed
from flatrec.utils.locks import LOCK
from flatrec.utils.messages import quoted, shortlist
from flatrec.utils.renaming import move

ADVICE = "do not use this repository, or pull another revision of it"
MAX_ROWS_PER_BYTE = 100  # of a table; those that flatrec writes have ids or pairs, a byte or more for each row


@dataclass(frozen=True)
class PullOptions:
    """What is taken over, and where.

    Args:
        revision: a branch, tag or commit; what the repository holds now if it is left out.
        data: whether it is a data set; else a recommender.
        overwrite: whether an earlier recommender or data set at the destination is replaced.
    """

    revision: str | None = None
    data: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class Pulled:
    """What was taken over.

    Args:
        url: the page of the repository.
        commit: the id of the commit.
        folder: where it is.
        files: the number of bytes of each file, by name.
        left_out: the files of the repository that were not downloaded, as flatrec writes none of that name.
    """

    url: str
    commit: str
    folder: Path
    files: Mapping[str, int]
    left_out: tuple[str, ...]


def pull(
    repository: str,
    out: Path | str | None = None,
    options: PullOptions | None = None,
    *,
    on_start: Callable[[Sequence[RemoteFile]], None] | None = None,
) -> Pulled:
    """Download a recommender or a data set from the Hub, check it, and put it in place.

    Only files are downloaded whose names a push writes: safetensors, Parquet, JSON, NumPy arrays without objects, and
    tab-separated text. They are compared with the digests of the Hub and those of the folder, and read once, before the
    folder appears at its place. Nothing that is downloaded runs code.

    The token is that of the environment variable ``HF_TOKEN``, if there is one, and the Hub that of ``HF_ENDPOINT``.

    Args:
        repository: the name of the repository, such as ``user/name``.
        out: the folder; by default the last part of the name, here.
        options: what is taken over.
        on_start: is told the files before they are downloaded.

    Raises:
        FileExistsError: the folder is there already, and may not be replaced.
        ValueError: the repository holds no such thing, or something that is not as flatrec writes it.
        OSError: the Hub refuses or cannot be reached, the disk is full, or the folder cannot be written to.
    """
    options = options or PullOptions()
    remote = Remote(repository, "dataset" if options.data else "model")
    folder = Path(repository.rpartition("/")[2]) if out is None else Path(out)
    _check_target(folder, overwrite=options.overwrite)
    state = remote.state(options.revision)
    if state is None:
        raise ValueError(_missing(remote))
    wanted, left_out = _chosen(remote, state)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _check_space(folder, wanted)
    if on_start is not None:
        on_start(wanted)
    sweep(folder.parent)
    with own_folder(folder) as temporary:
        remote.download([file.name for file in wanted], state.commit, temporary / "downloaded")
        checked = _checked(temporary, wanted, remote)
        _put(checked, folder, temporary / "old", overwrite=options.overwrite)
    return Pulled(remote.url, state.commit, folder, {file.name: file.size for file in wanted}, left_out)


def _check_target(folder: Path, *, overwrite: bool) -> None:
    """Refuse a place where something is, but for what a pull or flatrec itself wrote, if that may be replaced.

    Raises:
        FileExistsError: there is something.
    """
    if folder.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise FileExistsError("--out must name a folder of its own, not the one that you are in; choose another")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FileExistsError(f"{folder} is not a folder; choose another (--out)")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not overwrite:
        raise FileExistsError(f"{folder} is there already; choose another folder (--out), or replace it (--overwrite)")
    foreign = sorted(path.name for path in folder.iterdir() if not _is_replaceable(path))
    if foreign or not (folder / MANIFEST).is_file():
        raise FileExistsError(
            f"{folder} holds something else than what a pull writes ({shortlist(foreign, 3) or 'no ' + MANIFEST}); "
            "choose another folder (--out)"
        )


def _is_replaceable(path: Path) -> bool:
    """Return True for a file that a pull writes, or that flatrec adds to a recommender."""
    name = path.name
    return path.is_file() and (name in (INDEX, LOCK) or is_own(name, "model") or is_own(name, "dataset"))


def _missing(remote: Remote) -> str:
    what, other = ("data set", "leave --data out") if remote.kind == "dataset" else ("recommender", "give --data")
    return (
        f"there is no {what} {remote.name} on {remote.host}, or the token in HF_TOKEN may not see it; check the name "
        f"and the token, or {other} if it is the other kind"
    )


def _chosen(remote: Remote, state: RemoteState) -> tuple[list[RemoteFile], tuple[str, ...]]:
    """Return the files that are downloaded, and the names of the others.

    Raises:
        ValueError: a name leads out of the folder, or the repository is not one of flatrec.
    """
    check_paths([*state.files, *state.folders], remote.name)
    wanted = [file for name, file in sorted(state.files.items()) if is_own(name, remote.kind)]
    names = {file.name for file in wanted}
    marker = FACTS if remote.kind == "model" else next((name for name in names if name.endswith(ENDING)), f"*{ENDING}")
    for name in (MANIFEST, marker):
        if name not in names:
            what = "recommender" if remote.kind == "model" else "data set"
            raise ValueError(
                f"{remote.name} holds no {what} of flatrec (no {name}); nothing was downloaded: check the name"
            )
    others = tuple(sorted(name for name in state.files if name not in names and name != OF_THE_HUB))
    return wanted, others


def _check_space(folder: Path, files: Sequence[RemoteFile]) -> None:
    needed, free = sum(file.size for file in files), shutil.disk_usage(folder.parent).free
    if needed > free:
        raise OSError(
            f"{folder} needs {needed} bytes, but {free} are free on that disk; free some, or choose another folder"
        )


def _checked(temporary: Path, files: Sequence[RemoteFile], remote: Remote) -> Path:
    """Move what was downloaded into a folder of its own, and return it if it is as flatrec wrote it.

    Raises:
        ValueError: it is not.
    """
    folder = temporary / "new"
    folder.mkdir()
    for file in files:
        path = temporary / "downloaded" / file.name
        if path.is_symlink() or not path.is_file() or not file.fits(path):
            raise ValueError(f"{file.name} of {remote.name} is not what the Hub says that it is; pull again")
        path.rename(folder / file.name)
    try:
        _check_content(folder, {file.name for file in files}, remote.kind)
    except (ValueError, FileNotFoundError, pl.exceptions.PanicException) as error:
        said = str(error).replace(f"{folder}/", "").replace(str(folder), remote.name)
        raise ValueError(f"{remote.name} is refused, and nothing was kept: {said}") from None
    return folder


def _check_content(folder: Path, names: set[str], kind: Kind) -> None:
    listed = listed_names(folder, advice=ADVICE)
    if foreign := sorted(name for name in listed if name not in names):
        raise ValueError(f"{MANIFEST} lists {quoted(foreign, 3)}, which a pull does not download; {ADVICE}")
    if unlisted := sorted(names - listed - {MANIFEST, CARD}):
        raise ValueError(f"{MANIFEST} does not list {shortlist(unlisted, 3)}; {ADVICE}")
    check_manifest(folder, advice=ADVICE)
    for table in folder.rglob("*.parquet"):
        _check_rows(table)
    if (folder / ITEMS).is_file() and "image" in _columns(folder / ITEMS):
        raise ValueError(f"{ITEMS} names image files, which could be any of this machine; {ADVICE}")
    if kind == "model":
        load_recommender(folder, index=False)
        if "index" in read_sealed(folder / FACTS, advice=ADVICE):
            raise ValueError(f"{FACTS} names an approximate index, which a pull does not download; {ADVICE}")
    else:
        load_data(folder)


def _check_rows(table: Path) -> None:
    """Refuse a table that would need far more memory than its file is large, as a forged one may."""
    try:
        n_rows = pl.scan_parquet(table).select(pl.len()).collect().item()
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{table} is no Parquet table ({type(error).__name__}); {ADVICE}") from None
    if n_rows > MAX_ROWS_PER_BYTE * table.stat().st_size:
        raise ValueError(f"{table} claims {n_rows} rows in {table.stat().st_size} bytes; {ADVICE}")


def _columns(table: Path) -> list[str]:
    try:
        return [name.lower() for name in pl.read_parquet_schema(table)]
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{table} is no Parquet table ({type(error).__name__}); {ADVICE}") from None


def _put(new: Path, folder: Path, old: Path, *, overwrite: bool) -> None:
    """Put a folder at its place, as a whole; an earlier one comes back if that fails.

    Raises:
        FileExistsError: something came there meanwhile.
        OSError: the folder cannot be renamed.
    """
    _check_target(folder, overwrite=overwrite)
    if not folder.exists():
        move(new, folder)
        return
    move(folder, old)
    try:
        move(new, folder)
    except OSError:
        move(old, folder)
        raise
