"""What will be fetched, and how large it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

from flatrec.data.fetching.catalog import IMAGE_FEATURES, Encoder, PublicDataset, RemoteFile
from flatrec.data.fetching.listing import read_records
from flatrec.data.fetching.record import Record
from flatrec.data.fetching.web import FAILURES, open_url
from flatrec.data.tables.indexed import feature_files
from flatrec.utils.messages import shortlist

NOT_STATED = "not stated"


@dataclass(frozen=True)
class FetchSettings:
    """What to fetch, and from where."""

    encoders: Mapping[str, str]  # the chosen encoder by modality; the default of the data set where none is chosen
    image_features: bool = True  # whether to fetch Amazon's image features of 2014
    source: Path | None = None  # a folder of files that were downloaded by other means; None downloads them


@dataclass(frozen=True)
class FetchPlan:
    """The files of a data set, and which of them are still to be downloaded."""

    dataset: PublicDataset
    encoders: tuple[Encoder, ...]
    files: tuple[RemoteFile, ...]
    missing: tuple[RemoteFile, ...]  # the files to be downloaded
    sizes: tuple[int | None, ...]  # their bytes; None where neither publisher nor server says
    source: Path | None  # as in the settings

    @property
    def total(self) -> int | None:
        """The bytes of the missing files; None if a size is not known."""
        known = [size for size in self.sizes if size is not None]
        return sum(known) if len(known) == len(self.sizes) else None

    def sentences(self) -> list[str]:
        """Return lines for the user: license, terms, and the size of the download; none if all files are there."""
        dataset, known = self.dataset, [size for size in self.sizes if size is not None]
        terms = f"license {dataset.license or NOT_STATED}; terms of use: {dataset.terms or NOT_STATED}"
        unknown = len(self.sizes) - len(known)
        hosts = ", ".join(dict.fromkeys(urlsplit(file.address).netloc for file in self.missing))
        size = readable_size(sum(known)) + (f" and {unknown} of a size that is not stated" if unknown else "")
        download = f"{len(self.missing)} file{'s' * (len(self.missing) != 1)} from {hosts}, {size}"
        lines = [*([terms] if self.missing or self.source else []), *([download] if self.missing else [])]
        return [f"{dataset.name}: {line}" for line in lines]


def plan_fetch(dataset: PublicDataset, out: Path, settings: FetchSettings) -> FetchPlan:
    """Choose files, and ask publishers and servers for the sizes and checksums of those that are not there yet.

    Raises:
        ConnectionError: the record of the data set cannot be read.
        ValueError: an encoder is not known, the folder holds features that were not chosen, or a server has a file of
            another size than its publisher states.
    """
    encoders = dataset.choose_encoders(settings.encoders)
    _check_folder(dataset, encoders, out)
    files = [file for file in dataset.files if settings.image_features or file.kind != IMAGE_FEATURES]
    files += [encoder.file for encoder in encoders if encoder.file is not None]
    missing = [] if settings.source else _missing(files, out)
    if records := read_records(missing):
        files = [records[file.listing].with_stated(file) if file.listing in records else file for file in files]
        missing = _missing(files, out)
        dataset = replace(dataset, license=next(iter(records.values())).license or dataset.license)
    return FetchPlan(dataset, tuple(encoders), tuple(files), tuple(missing), _sizes(missing), settings.source)


def readable_size(size: int) -> str:
    """Return a number of bytes with a unit.

    Example:
        >>> readable_size(2188928)
        '2.2 MB'
    """
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def _missing(files: list[RemoteFile], out: Path) -> list[RemoteFile]:
    """Return the files that are not there as far as their names and addresses tell."""
    record = Record(out)
    return [file for file in files if not (record.sha256(file) and (out / file.name).is_file())]


def _check_folder(dataset: PublicDataset, encoders: list[Encoder], out: Path) -> None:
    """Refuse a folder with features that would be read although they were not chosen.

    Raises:
        ValueError: the folder has such features.
    """
    if dataset.layout not in ("mmrec", "mmrec-archive") or not out.is_dir():
        return
    foreign = feature_files(out).keys() - {encoder.modality for encoder in encoders}
    if foreign:
        names = shortlist(sorted(f"{modality}_feat.npy" for modality in foreign))
        raise ValueError(f"{out} already holds {names}, which would be read too; remove it, or choose another folder")


def _sizes(files: list[RemoteFile]) -> tuple[int | None, ...]:
    """Return the sizes of files; a server that cannot be reached is not asked again, as the download will say so."""
    sizes: list[int | None] = []
    silent: set[str] = set()
    for file in files:
        announced, host = None, urlsplit(file.address).netloc
        if host not in silent:
            try:
                announced = _announced(file.address)
            except FAILURES:
                silent.add(host)
        if None not in (announced, file.size) and announced != file.size:
            raise ValueError(
                f"{file.address} has {announced} bytes, but its publisher states {file.size}; it is not the same file"
            )
        sizes.append(announced if file.size is None else file.size)
    return tuple(sizes)


def _announced(address: str) -> int | None:
    """Return the size that a server announces; None if it does not.

    Raises:
        URLError: the server cannot be reached.
    """
    try:
        with open_url(address, method="HEAD") as answer:
            length = answer.headers.get("Content-Length", "")
    except HTTPError:
        return None
    return int(length) if length.isdecimal() and len(length) < 19 else None
