"""The folder of a recommender: tensors, tables and facts, checked by digests; nothing is pickled."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy import ndarray
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from scipy import sparse
from torch import Tensor

from flatrec._version import __version__
from flatrec.data.features import Features
from flatrec.data.frames.writing import item_table
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.ann.files import FILE as INDEX
from flatrec.inference.ann.files import read_index, write_index
from flatrec.inference.catalog import Catalog
from flatrec.inference.recommender import Facts, Recommender
from flatrec.models.content_similarity import ContentSimilarity
from flatrec.models.perceptron import ProductPerceptron
from flatrec.models.scoring import ItemMatrix, ItemScores, Scoring, Similarities, UserMatrix, Vectors
from flatrec.training.checkpoint import check_finite
from flatrec.utils.atomic_write import atomic_write, own_folder, sweep, write_text
from flatrec.utils.integrity import MANIFEST, check_manifest, read_sealed, seal, write_manifest
from flatrec.utils.messages import clipped
from flatrec.utils.renaming import move

FOLDER = "recommender"  # in a run folder
FACTS, TENSORS, FEATURES = "recommender.json", "recommender.safetensors", "features.safetensors"
RUN = "data.json"  # what a run folder says of its run
USERS, ITEMS = "users.parquet", "items.parquet"
FORMAT, VERSION = "flatrec recommender", 1
MAPPED_FROM = 2**26  # bytes from which a tensor is read from the disk as it is used, instead of at once
PERCEPTRON_TENSORS = ("users", "items", "hidden_weight", "hidden_bias", "output_weight", "output_bias")
ADVICE = "write it again (flatrec train, or save_recommender), or restore the folder"
_FACTS = TypeAdapter(Facts)
_KINDS: Mapping[type, str] = {
    Vectors: "vectors",
    ItemMatrix: "item-matrix",
    ItemScores: "item-scores",
    UserMatrix: "user-matrix",
    ProductPerceptron: "product-perceptron",
}


def save_recommender(recommender: Recommender, folder: Path | str) -> None:
    """Write a recommender into a folder of its own, which appears whole; an earlier recommender there is replaced.

    Equal recommenders give equal bytes.

    Raises:
        ValueError: it has histories of users that it was not trained on, which the folder would lose.
        OSError: the folder cannot be written to, the disk is full, or it holds something else than a recommender.
    """
    if recommender.histories:
        raise ValueError(
            "a recommender with newer interactions has histories that its folder cannot hold; save it as it was before "
            "with_interactions"
        )
    folder = Path(folder)
    if folder.exists() or folder.is_symlink():
        _check_replaceable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent)
    with own_folder(folder) as temporary:
        new, old = temporary / "new", temporary / "old"
        new.mkdir()
        names = _write(recommender, new)
        write_manifest(new, names)
        if folder.exists():
            move(folder, old)
        move(new, folder)
    sweep(folder)


def load_recommender(path: Path | str, *, index: bool = True) -> Recommender:
    """Read a recommender: from its folder, or from the folder of the run that it was made by.

    Every file is compared with its digest. Large tensors are mapped from the disk: they take memory as they are used,
    and the files must stay in place meanwhile.

    Args:
        path: the folder of a recommender or of a run.
        index: whether an approximate index in the folder is used. It is read by faiss, which checks its content less
            than everything else is checked here, so use only that of a folder that you trust.

    Raises:
        FileNotFoundError: there is no recommender.
        ValueError: the folder is damaged, or of a version that this flatrec does not read.
    """
    folder = recommender_folder(Path(path)).resolve()  # all files of one recommender, if a link moves meanwhile
    check_manifest(folder, advice=ADVICE)
    facts = read_sealed(folder / FACTS, advice=ADVICE)
    _check_version(facts, folder / FACTS)
    _check_run(Path(path), folder, facts)
    try:
        recommender = _read(folder, facts)
        return (
            replace(recommender, index=read_index(folder, facts["index"]))
            if index and "index" in facts
            else recommender
        )
    except (LookupError, TypeError, ValueError, OverflowError, SafetensorError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"{folder} is damaged ({clipped(str(error), 200)}); {ADVICE}") from None


def recommender_folder(path: Path) -> Path:
    """Return the folder of a recommender: the path itself, or the folder in the run folder that it names.

    Raises:
        FileNotFoundError: there is no recommender.
        ValueError: the folder has no list of digests, so that it is not finished.
    """
    for folder in (path, path / FOLDER):
        if (folder / FACTS).is_file():
            if not (folder / MANIFEST).is_file():
                raise ValueError(f"{folder} is not finished (it has no {MANIFEST}); {ADVICE}")
            return folder
    if (path / "current" / FACTS).is_file():
        raise FileNotFoundError(
            f"{path} holds the recommenders of a nightly job; name the one in use, {path / 'current'}"
        )
    raise FileNotFoundError(
        f"{path} holds no recommender (no {FACTS}); name the folder of a run that flatrec train wrote, or that of a "
        "recommender"
    )


def has_recommender(path: Path) -> bool:
    """Return True if a path is a recommender's folder, or that of a run with a recommender."""
    return (path / FACTS).is_file() or (path / FOLDER / FACTS).is_file()


def remove_recommender(run: Path) -> None:
    """Remove the recommender of a run folder, if there is one.

    Raises:
        OSError: it is a symbolic link or a file.
    """
    folder = run / FOLDER
    if folder.exists() or folder.is_symlink():
        _check_replaceable(folder)
        shutil.rmtree(folder)


def _check_replaceable(folder: Path) -> None:
    if folder.is_symlink() or not folder.is_dir():
        raise OSError(f"cannot write {folder}: it is not a folder; choose another name")
    if any(folder.iterdir()) and not (folder / FACTS).is_file():
        raise FileExistsError(f"{folder} holds other files than a recommender; choose another folder")


def _write(recommender: Recommender, folder: Path) -> list[str]:
    """Write all files but the manifest; return their names."""
    catalog = recommender.catalog
    _save_tensors(dict(_tensors(recommender)), folder / TENSORS)
    pl.DataFrame({"user": pl.Series(list(recommender.users), dtype=pl.String)}).write_parquet(folder / USERS)
    items = item_table(catalog.ids, catalog.titles, catalog.images, catalog.columns)
    items.write_parquet(folder / ITEMS)
    names = [FACTS, TENSORS, USERS, ITEMS]
    if catalog.features:
        _save_tensors(dict(_features(catalog.features)), folder / FEATURES)
        names.append(FEATURES)
    index = {}
    if recommender.index is not None:
        index = {"index": write_index(recommender.index, folder)}
        names.append(INDEX)
    facts = {
        "format": FORMAT,
        "version": VERSION,
        "written_by": __version__,
        "kind": _KINDS[type(recommender.scoring)],
        "users": len(recommender.users),
        "items": len(catalog),
        "filter_seen": recommender.filter_seen,
        "features": sorted(catalog.features),
        "facts": asdict(recommender.facts),
        **index,
    }
    write_text(folder / FACTS, seal(facts) + "\n")
    return names


def _tensors(recommender: Recommender) -> Iterator[tuple[str, Tensor]]:
    scoring = recommender.scoring
    if isinstance(scoring, Vectors):
        yield from (("users", scoring.users), ("items", scoring.items))
        if scoring.contributions is not None:
            yield "contributions", scoring.contributions
    elif isinstance(scoring, ProductPerceptron):
        yield from scoring.tensors().items()
        yield "negative_slope", torch.tensor(scoring.negative_slope, dtype=torch.float64)
    elif isinstance(scoring, UserMatrix):
        yield from _matrix("similarities", scoring.similarities)
        yield from _matrix("profiles", scoring.profiles)
        yield "n_neighbors", torch.tensor(scoring.n_neighbors)
        yield "shrinkage", torch.tensor(scoring.shrinkage, dtype=torch.float64)
    elif isinstance(scoring, ItemMatrix):
        yield from _similarities(scoring.similarities)
        yield from _matrix("profiles", scoring.profiles)
        if scoring.content is not None:
            yield "content", _content_tensor(scoring.content)
    else:
        yield "values", scoring.values
    yield from _matrix("history", recommender.history)
    yield from (entry for entry in _matrix("seen", recommender.seen) if entry[0] != "seen.data")
    yield "popularity", torch.tensor(recommender.catalog.popularity)
    yield "new", torch.tensor(recommender.catalog.new)
    if recommender.groups:
        yield "groups", torch.tensor(recommender.groups)
    if recommender.by_members:
        yield "by_members", torch.tensor(recommender.by_members)


def _content_tensor(content: ContentSimilarity) -> Tensor:
    numbers = (content.n_neighbors, content.weight, content.image_weight, content.missing_modality == "mean")
    return torch.tensor(numbers, dtype=torch.float64)


def _content(numbers: Tensor) -> ContentSimilarity:
    n_neighbors, weight, image_weight, uses_mean = numbers.tolist()
    return ContentSimilarity(int(n_neighbors), weight, image_weight, "mean" if uses_mean else "zero")


def _similarities(similarities: Similarities) -> Iterator[tuple[str, Tensor]]:
    if isinstance(similarities, np.ndarray):
        yield "similarities", torch.from_numpy(similarities)
    else:
        yield from _matrix("similarities", similarities)


def _matrix(name: str, matrix: sparse.csr_array) -> Iterator[tuple[str, Tensor]]:
    sorted_matrix = matrix.sorted_indices()
    for part in ("data", "indices", "indptr"):
        yield f"{name}.{part}", torch.tensor(getattr(sorted_matrix, part))


def _features(features: Mapping[str, Features]) -> Iterator[tuple[str, Tensor]]:
    for name in sorted(features):
        yield f"{name}.values", torch.tensor(features[name].values)
        yield f"{name}.present", torch.tensor(features[name].present)


def _save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with atomic_write(path) as temporary:  # with the permissions of a new file, which safetensors denies to others
            save_file(contiguous, temporary)
    except SafetensorError as error:
        raise OSError(f"cannot write {path}: {error}; free some space or choose another folder") from None


def _check_version(facts: Mapping[str, Any], path: Path) -> None:
    if facts.get("format") != FORMAT:
        raise ValueError(f"{path} is not that of a flatrec recommender; give the folder that flatrec train wrote")
    if facts.get("version") != VERSION:
        raise ValueError(
            f"{path} has version {json.dumps(facts.get('version'))[:30]} of the format, but this flatrec reads version "
            f"{VERSION}; write it again with this flatrec, or install the one that wrote it"
        )


def _check_run(path: Path, folder: Path, facts: Mapping[str, Any]) -> None:
    """Refuse a recommender that was put into the folder of another run."""
    record = path / RUN
    if folder == path or not record.is_file():
        return
    if read_sealed(record, advice=ADVICE).get("run") != facts.get("facts", {}).get("run"):
        raise ValueError(f"{folder} belongs to another run than {record} beside it; {ADVICE}")


def _read(folder: Path, facts: Mapping[str, Any]) -> Recommender:
    n_users, n_items = int(facts["users"]), int(facts["items"])
    tensors = dict(_loaded(folder / TENSORS))
    check_finite(tensors, "the recommender")
    users = pl.read_parquet(folder / USERS)["user"].to_list()
    history = _csr("history", tensors, (n_users, n_items))
    return Recommender(
        scoring=_scoring(str(facts["kind"]), tensors, (n_users, n_items)),
        users=Vocabulary("user", users),
        catalog=_catalog(folder, tensors, facts["features"]),
        history=history,
        seen=_csr("seen", tensors, (n_users, n_items)),
        filter_seen=bool(facts["filter_seen"]),
        facts=_facts(facts["facts"]),
        groups=_indices("groups", tensors),
        by_members=_indices("by_members", tensors),
    )


def _indices(name: str, tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    return tuple(tensors[name].tolist()) if name in tensors else ()


def _facts(values: Mapping[str, Any]) -> Facts:
    """Return the facts of a recommender.

    Raises:
        TypeError: a name is unknown or missing.
        ValueError: a value is of another type.
    """
    facts = Facts(**{**values, "forgotten": tuple(values.get("forgotten", ()))})
    try:
        _FACTS.validate_json(json.dumps(asdict(facts)), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return facts


def _scoring(kind: str, tensors: Mapping[str, Tensor], shape: tuple[int, int]) -> Scoring:
    if kind == "vectors":
        return Vectors(tensors["users"], tensors["items"], tensors.get("contributions"))
    if kind == "item-matrix":
        dense = tensors.get("similarities")
        similar = _csr("similarities", tensors, (shape[1], shape[1])) if dense is None else dense.numpy()
        content = _content(tensors["content"]) if "content" in tensors else None
        return ItemMatrix(_csr("profiles", tensors, shape), similar, content)
    if kind == "user-matrix":
        neighbors, shrinkage = int(tensors["n_neighbors"]), float(tensors["shrinkage"])
        similar = _csr("similarities", tensors, (shape[0], shape[0]))
        return UserMatrix(_csr("profiles", tensors, shape), similar, neighbors, shrinkage)
    if kind == "product-perceptron":
        return ProductPerceptron(
            **{name: tensors[name] for name in PERCEPTRON_TENSORS}, negative_slope=float(tensors["negative_slope"])
        )
    if kind == "item-scores":
        return ItemScores(tensors["values"], shape[0])
    raise ValueError(f"it is of kind {clipped(kind)!r}, but must be {', '.join(_KINDS.values())}")


def _catalog(folder: Path, tensors: Mapping[str, Tensor], features: list[str]) -> Catalog:
    frame = pl.read_parquet(folder / ITEMS)
    own = [name for name in ("item", "title", "image") if name in frame.columns]
    columns = frame.drop(own)
    images = frame["image"].to_list() if "image" in own else None
    return Catalog(
        ids=Vocabulary("item", frame["item"].to_list()),
        popularity=tensors["popularity"].numpy(),
        new=tensors["new"].numpy(),
        titles=tuple(frame["title"].to_list()) if "title" in own else None,
        images=None if images is None else tuple(None if name is None else Path(name) for name in images),
        columns=columns if columns.width else None,
        features=FeatureFile(folder / FEATURES, features, len(frame)) if features else {},
    )


def _csr(name: str, tensors: Mapping[str, Tensor], shape: tuple[int, int]) -> sparse.csr_array:
    indices, offsets = (tensors[f"{name}.{part}"].numpy() for part in ("indices", "indptr"))
    values: ndarray = np.ones(len(indices), dtype=np.float32)
    if f"{name}.data" in tensors:
        values = tensors[f"{name}.data"].numpy()
    matrix = sparse.csr_array((values, indices, offsets), shape=shape)
    matrix.check_format(full_check=True)
    return matrix


def _loaded(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a file: large ones mapped from the disk, others copied, so that they are aligned."""
    with safe_open(path, framework="pt", device="cpu") as file:
        for name in file.keys():  # noqa: SIM118
            tensor = file.get_tensor(name)
            yield name, tensor if tensor.nbytes >= MAPPED_FROM else tensor.clone()


class FeatureFile(Mapping[str, Features]):
    """The features of a recommender, each modality read when it is first used.

    Args:
        path: the file.
        modalities: the names of the modalities in it.
        n_items: number of items.

    Raises:
        ValueError: the file has other modalities, or other numbers of items.
    """

    def __init__(self, path: Path, modalities: Sequence[str], n_items: int) -> None:
        self.path = path
        self.modalities = tuple(modalities)
        self._read: dict[str, Features] = {}
        with safe_open(path, framework="pt", device="cpu") as file:
            sizes = {name: file.get_slice(name).get_shape()[0] for name in file.keys()}  # noqa: SIM118
        expected = {f"{name}.{part}": n_items for name in modalities for part in ("values", "present")}
        if sizes != expected:
            raise ValueError(f"{path.name} holds {sizes} rows instead of {expected}")

    def __getitem__(self, name: str) -> Features:
        if name not in self.modalities:
            raise KeyError(name)
        if name not in self._read:
            with safe_open(self.path, framework="pt", device="cpu") as file:
                values, present = (file.get_tensor(f"{name}.{part}").numpy() for part in ("values", "present"))
            self._read[name] = Features(values, present)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.modalities)

    def __len__(self) -> int:
        return len(self.modalities)
