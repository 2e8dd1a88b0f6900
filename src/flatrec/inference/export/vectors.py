"""Exports of user and item vectors, for databases and indexes of vectors.

The folder holds, for users and for items,

- ``users.parquet``: columns ``id`` (text) and ``vector`` (a list of 32-bit floats of fixed size);
- ``users.npy``: the same vectors as one array (n_users, dim), which NumPy can map into memory;
- ``users.ids.json``: the ids in the order of the rows, as one JSON list;

and ``vectors.json``: the width of the vectors, their number, and that a score is their inner product.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float
from numpy import ndarray

from flatrec.inference.export.files import write_frames
from flatrec.inference.export.generation import recommender_values
from flatrec.inference.export.report import ExportReport
from flatrec.inference.recommender import Recommender
from flatrec.models.perceptron import NO_VECTORS, ProductPerceptron
from flatrec.models.scoring import Vectors
from flatrec.utils.atomic_write import own_folder, sweep
from flatrec.utils.integrity import MANIFEST, check_listed, digest, read_sealed, seal, write_manifest
from flatrec.utils.renaming import move

ABOUT = "vectors.json"
FORMAT = "flatrec vectors 1"
FILES = (ABOUT, *(f"{name}.{kind}" for name in ("users", "items") for kind in ("parquet", "npy", "ids.json")))
_BLOCK = 50_000  # rows
_ADVICE = "export again with --overwrite"


def export_vectors(recommender: Recommender, folder: Path | str, *, overwrite: bool = False) -> ExportReport:
    """Write the vectors of all users and items; the score of an item for a user is their inner product.

    The folder appears complete or not at all; one with the same vectors is left as it is.

    Args:
        recommender: a recommender that holds vectors.
        folder: the folder to create.
        overwrite: whether a folder with other exported vectors is replaced.

    Raises:
        ValueError: the recommender holds no vectors.
        FileExistsError: the folder exists; with ``overwrite``: and is not one of exported vectors.
        OSError: the folder cannot be written.

    Example:
        >>> import tempfile, flatrec
        >>> from flatrec.testing import block_dataset
        >>> run = flatrec.fit(block_dataset(), "bpr", training=flatrec.Training(epochs=1))
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     folder = Path(parent) / "vectors"
        ...     report = export_vectors(run.recommender, folder)
        ...     print(report.rows, np.load(folder / "items.npy").shape)
        54 (24, 64)
    """
    folder, vectors = Path(folder), _vectors(recommender)
    generation = digest(FORMAT, *recommender_values(recommender))
    report = ExportReport("vectors", str(folder), generation, rows=vectors.n_users + vectors.n_items)
    if _is_finished(folder, generation):
        return ExportReport("vectors", str(folder), generation, rows=report.rows, skipped=True)
    _check_free(folder, overwrite=overwrite)
    sweep(folder.absolute().parent)
    with own_folder(folder) as private:
        complete, replaced = private / "new", private / "old"
        complete.mkdir()
        try:
            _write(complete, recommender, vectors, generation)
        except OSError as error:
            reason = error.strerror or error
            raise OSError(f"cannot write {folder}: {reason}; free some space or choose another folder") from None
        if folder.exists():
            move(folder, replaced)
        move(complete, folder)
    return report


def forget_vectors(folder: Path, users: Collection[str]) -> int:
    """Remove users from exported vectors, and return how many there were; the folder is replaced as a whole.

    Args:
        folder: the folder of the vectors.
        users: original ids.

    Raises:
        ValueError: the folder is damaged.
        OSError: the folder cannot be written.
    """
    check_listed(folder, FILES, advice=_ADVICE)
    about = read_sealed(folder / ABOUT, advice=_ADVICE)
    ids = json.loads((folder / "users.ids.json").read_text(encoding="utf-8"))
    kept = [row for row, user in enumerate(ids) if user not in users]
    if len(kept) == len(ids):
        return 0
    with own_folder(folder) as private:
        complete, replaced = private / "new", private / "old"
        shutil.copytree(folder, complete, ignore=shutil.ignore_patterns("users.*", ABOUT, MANIFEST))
        _write_side(complete, "users", [ids[row] for row in kept], np.load(folder / "users.npy", mmap_mode="r")[kept])
        _write_text(complete / ABOUT, seal({**about, "users": len(kept)}) + "\n")
        write_manifest(complete, FILES)
        move(folder, replaced)
        move(complete, folder)
    return len(ids) - len(kept)


def _vectors(recommender: Recommender) -> Vectors:
    if isinstance(recommender.scoring, Vectors):
        return recommender.scoring
    if isinstance(recommender.scoring, ProductPerceptron):
        raise ValueError(f"there are no vectors to export: {NO_VECTORS}")
    raise ValueError(
        f"{recommender.facts.model} has no vectors to export, as its scores are not inner products; export "
        "recommendations or similar items of it, or the vectors of another model"
    )


def _is_finished(folder: Path, generation: str) -> bool:
    try:
        about = read_sealed(folder / ABOUT, advice=_ADVICE)
        check_listed(folder, FILES, advice=_ADVICE)
    except (OSError, ValueError):
        return False
    return bool(about.get("generation") == generation)


def _check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that must not be replaced."""
    if folder.is_symlink() or folder.is_file():
        raise FileExistsError(f"{folder} is not a folder; choose another name")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    foreign = sorted({path.name for path in folder.iterdir()} - {*FILES, "flatrec-manifest.json"})
    if foreign or not (folder / ABOUT).is_file():
        raise FileExistsError(f"{folder} holds other files than exported vectors; choose another folder")
    if not overwrite:
        raise FileExistsError(f"{folder} holds other vectors; choose another folder, or replace it with --overwrite")


def _write(folder: Path, recommender: Recommender, vectors: Vectors, generation: str) -> None:
    _write_side(folder, "users", recommender.users, vectors.users.numpy())
    _write_side(folder, "items", recommender.items, vectors.items.numpy())
    about = {
        "format": FORMAT,
        "model": recommender.facts.model,
        "data": recommender.facts.data,
        "metric": "inner product",
        "dim": int(vectors.items.shape[1]),
        "users": vectors.n_users,
        "items": vectors.n_items,
        "dtype": "float32",
        "generation": generation,
    }
    _write_text(folder / ABOUT, seal(about) + "\n")
    write_manifest(folder, FILES)


def _write_side(folder: Path, name: str, ids: Sequence[str], vectors: Float[ndarray, "n dim"]) -> None:
    schema = pl.Schema([("id", pl.String()), ("vector", pl.Array(pl.Float32, vectors.shape[1]))])

    def frames() -> Iterator[pl.DataFrame]:
        for start in range(0, len(vectors), _BLOCK):
            block = range(start, min(start + _BLOCK, len(vectors)))
            values = np.array(vectors[block.start : block.stop], dtype=np.float32)
            yield pl.DataFrame({"id": [ids[row] for row in block], "vector": values}, schema=schema)

    write_frames(frames(), folder / f"{name}.parquet", "parquet", schema, header=False)
    with (folder / f"{name}.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": vectors.shape})
        for start in range(0, len(vectors), _BLOCK):
            file.write(np.ascontiguousarray(vectors[start : start + _BLOCK], dtype="<f4").tobytes())
    _write_text(folder / f"{name}.ids.json", json.dumps(list(ids), ensure_ascii=False))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="")
