"""The file of an index, in the folder of a recommender."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from flatrec.inference.ann.index import ItemIndex, faiss_module
from flatrec.inference.ann.settings import IndexFacts
from flatrec.utils.integrity import file_digest

FILE = "index.faiss"
ADVICE = "build the index again (flatrec recommender index), or load the recommender without it"


def write_index(index: ItemIndex, folder: Path) -> dict[str, Any]:
    """Write an index into a folder; return what the recommender's facts say of it.

    Raises:
        OSError: the file cannot be written.
    """
    path = folder / FILE
    try:
        faiss_module().write_index(index.graph, str(path))
    except RuntimeError as error:  # that of faiss for every failure
        raise OSError(f"cannot write {path}; free some space or choose another folder ({_first_line(error)})") from None
    return {"digest": file_digest(path), **index.facts.model_dump()}


def read_index(folder: Path, entry: Mapping[str, Any]) -> ItemIndex:
    """Return the index of a folder; its file is read when the index is first searched, after its digest is compared.

    Args:
        folder: the folder of a recommender.
        entry: what :func:`write_index` returned.

    Raises:
        ValueError: the entry is malformed.
    """
    facts = IndexFacts(**{name: value for name, value in entry.items() if name != "digest"})
    return ItemIndex(partial(_read, folder / FILE, str(entry["digest"]), facts), facts)


def _read(path: Path, digest: str, facts: IndexFacts) -> Any:  # noqa: ANN401 - an index of faiss
    """Read an index.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or not the index that the recommender was saved with.
    """
    if file_digest(path) != digest:
        raise ValueError(f"{path} is damaged, or was changed since it was written; {ADVICE}")
    faiss = faiss_module()
    try:
        graph = faiss.read_index(str(path))
    except RuntimeError as error:
        raise ValueError(f"{path} cannot be read ({_first_line(error)}); {ADVICE}") from None
    if not isinstance(graph, faiss.IndexHNSWFlat) or (graph.ntotal, graph.d) != (facts.n_items, facts.width):
        raise ValueError(f"{path} is no index of {facts.n_items} items of {facts.width} columns; {ADVICE}")
    return graph


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
