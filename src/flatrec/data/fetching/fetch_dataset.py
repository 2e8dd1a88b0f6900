"""Fetch a public data set, make it readable, and check its counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flatrec.data.fetching.counts import check_counts
from flatrec.data.fetching.download import fetch
from flatrec.data.fetching.plan import FetchPlan
from flatrec.data.fetching.readable import make_readable
from flatrec.data.loading import load_data
from flatrec.data.summary import Summary, summarize


@dataclass(frozen=True)
class FetchedDataset:
    """What was fetched."""

    paths: Mapping[str, Path]  # the files by what they hold
    summary: Summary | None  # of the data set that was read; None if the files must be prepared first


def fetch_dataset(
    plan: FetchPlan, out: Path, *, on_bytes: Callable[[int], None] = lambda _count: None, pause: float = 2.0
) -> FetchedDataset:
    """Fetch the files of a data set into a folder that ``flatrec.load_data`` reads.

    Args:
        plan: what to fetch.
        out: the folder, created if it does not exist.
        on_bytes: is called with the number of bytes that arrived.
        pause: seconds before the second attempt; twice as many before each further one.

    Raises:
        ConnectionError: a server cannot be reached, or does not give a file.
        FileNotFoundError: the folder of files lacks a file.
        ValueError: a file or a count is not as its publisher states it.
        OSError: the folder cannot be written to.
    """
    fetched = fetch(plan.files, out, source=plan.source, on_bytes=on_bytes, pause=pause)
    paths = {file.kind: path for file, path in zip(plan.files, fetched, strict=True)}
    if not make_readable(plan.dataset, paths, plan.encoders, out):
        return FetchedDataset(paths, None)
    data = load_data(out)
    check_counts(plan.dataset, data, out)
    return FetchedDataset(paths, summarize(data))
