"""Make a folder of fetched files readable as a data set."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import polars as pl

from flatrec.data.amazon.metadata import read_products
from flatrec.data.amazon.prepare import item_table
from flatrec.data.fetching.archives import member_names, unpack
from flatrec.data.fetching.catalog import ARCHIVE, INTERACTIONS, META, TITLES, Encoder, PublicDataset
from flatrec.data.formats.description import DESCRIPTION
from flatrec.data.tables.files import scan
from flatrec.utils.atomic_write import atomic_write, write_text
from flatrec.utils.integrity import check_text, seal_text
from flatrec.utils.messages import shortlist

ITEMS, FEATURE_IDS = "items.parquet", "feature_ids.txt"
RATINGS, MOVIES = "ratings.csv", "movies.csv"  # the tables in an archive of MovieLens
TIME = "timestamp"
_USERS, _ITEMS = ("user", "userID", "user_id", "userId"), ("item", "videoID", "parent_asin", "movieId")


def make_readable(dataset: PublicDataset, paths: Mapping[str, Path], encoders: Sequence[Encoder], out: Path) -> bool:
    """Write what is missing so that ``flatrec.load_data`` reads the folder; False if the files must be prepared first.

    Args:
        dataset: the data set.
        paths: its files by what they hold.
        encoders: the chosen encoders.
        out: the folder of the files.

    Raises:
        ValueError: an archive or a table is not as its publisher describes it.
        OSError: the folder cannot be written to.
    """
    writers: Mapping[str, Callable[[], None]] = {
        "mmrec": lambda: None,  # the files already have the names of the format
        "mmrec-archive": lambda: _unpack_mmrec(dataset.name, paths[ARCHIVE], encoders, out),
        "movielens": lambda: _unpack_movielens(dataset.name, paths[ARCHIVE], out),
        "microlens": lambda: _describe_microlens(dataset.name, paths, encoders, out),
        "amazon-2023": lambda: _describe_amazon(dataset.name.replace(":", "-"), paths, out),
    }
    if dataset.layout not in writers:
        return False
    writers[dataset.layout]()
    return True


def _unpack_mmrec(name: str, archive: Path, encoders: Sequence[Encoder], out: Path) -> None:
    """Unpack the interactions and the chosen features under the names of the MMRec format."""
    members = member_names(archive)
    targets = {_only(archive, members, ".inter"): f"{name}.inter"}
    targets |= {_only(archive, members, f"/{encoder.member}"): _feature_file(encoder) for encoder in encoders}
    unpack(archive, out, targets)


def _unpack_movielens(name: str, archive: Path, out: Path) -> None:
    """Unpack the folder of the tables; other members, which could take the place of other files, are left out."""
    members = member_names(archive)
    ratings = _only(archive, members, f"/{RATINGS}")
    folder = PurePosixPath(ratings).parent
    wanted = [ratings, str(folder / MOVIES)] if str(folder) == "." else [one for one in members if _is_in(one, folder)]
    unpack(archive, out, {member: member for member in wanted})
    movies = (folder / MOVIES).as_posix()
    _describe(name, out, out / ratings, _items_section(movies, "movieId") if movies in members else "")


def _describe_microlens(name: str, paths: Mapping[str, Path], encoders: Sequence[Encoder], out: Path) -> None:
    """Describe the tables; the features of item n are in row n - 1."""
    rows = _titles(paths[TITLES])
    if rows and not rows[0][0].isdecimal():  # a header, which only some of the files have
        del rows[0]
    titles = pl.DataFrame(rows, schema={"id": pl.String, "title": pl.String}, orient="row")
    with atomic_write(out / ITEMS) as temporary:
        titles.unique("id", keep="first", maintain_order=True).write_parquet(temporary)
    sections = _items_section(ITEMS, "id")
    for encoder in encoders:
        sections += f'\n[features.{encoder.modality}]\nfile = "{_feature_file(encoder)}"\nids = "{FEATURE_IDS}"\n'
    if encoders:
        rows_of = {_feature_file(one): len(np.load(out / _feature_file(one), mmap_mode="r")) for one in encoders}
        if len(set(rows_of.values())) > 1:
            raise ValueError(f"the feature files in {out} have different numbers of rows ({rows_of}); fetch them again")
        write_text(out / FEATURE_IDS, "".join(f"{n}\n" for n in range(1, 1 + next(iter(rows_of.values())))))
    _describe(name, out, paths[INTERACTIONS], sections)


def _titles(path: Path) -> list[tuple[str, str]]:
    """Return item ids and titles; commas in a title need no quotation marks."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [(row[0].strip(), ",".join(row[1:])) for row in csv.reader(file) if len(row) > 1]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as a table of titles ({error}); fetch it again") from None


def _describe_amazon(name: str, paths: Mapping[str, Path], out: Path) -> None:
    """Describe the ratings, and write the metadata of the rated items as a table."""
    path = paths[INTERACTIONS]
    ids = scan(path, wanted=[("parent_asin",)]).select({"item": "parent_asin"})["item"].unique().drop_nulls().sort()
    items = ids.to_list()
    products, _skipped = read_products(paths[META], {item: index for index, item in enumerate(items)})
    table = item_table(items, products).drop("itemID")
    with atomic_write(out / ITEMS) as temporary:
        table.write_parquet(temporary)
    _describe(name, out, path, _items_section(ITEMS, "id"))


def _describe(name: str, out: Path, interactions: Path, sections: str) -> None:
    """Write ``dataset.toml``; one that somebody edited is kept."""
    path = out / DESCRIPTION
    header = scan(interactions, wanted=[_USERS, _ITEMS]).columns
    user, item = (_column(interactions, header, names) for names in (_USERS, _ITEMS))
    time = 'time_column = "timestamp"\n' if TIME in header else ""
    text = (
        "# Written by flatrec data fetch, and replaced by it unless it is edited.\n"
        f"name = {_quoted(name)}\ninteractions = {_quoted(interactions.relative_to(out).as_posix())}\n"
        f"user_column = {_quoted(user)}\nitem_column = {_quoted(item)}\n{time}{sections}"
    )
    if not path.is_file() or _is_ours(path):
        write_text(path, seal_text(text))


def _items_section(file: str, id_column: str) -> str:
    return f'\n[items]\nfile = {_quoted(file)}\nid_column = "{id_column}"\ntitle_column = "title"\n'


def _quoted(text: str) -> str:
    """Return a text as TOML writes it, which escapes like JSON."""
    return json.dumps(text, ensure_ascii=False)


def _is_in(member: str, folder: PurePosixPath) -> bool:
    return PurePosixPath(member).parent == folder


def _is_ours(path: Path) -> bool:
    try:
        check_text(path.read_text(encoding="utf-8"), path, advice="")
    except ValueError:
        return False
    return True


def _column(path: Path, header: Sequence[str], names: Sequence[str]) -> str:
    for name in names:
        if name in header:
            return name
    raise ValueError(f"{path} has none of the columns {shortlist(names)}, but {shortlist(header)}; fetch it again")


def _feature_file(encoder: Encoder) -> str:
    return f"{encoder.modality}_feat.npy"


def _only(archive: Path, names: Sequence[str], ending: str) -> str:
    """Return the only member of an archive whose path ends like that.

    Raises:
        ValueError: there is none, or there are several.
    """
    found = [name for name in names if f"/{name}".endswith(ending) and not name.startswith("__MACOSX/")]
    if len(found) != 1:
        raise ValueError(
            f"{archive} holds {len(found)} files {ending.removeprefix('/')}, where one was expected, among "
            f"{shortlist(names)}; delete it and fetch it again"
        )
    return found[0]
