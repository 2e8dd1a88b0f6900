"""One repository on the Hub, asked through huggingface_hub, which stays quiet and sends no telemetry."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from logging import ERROR
from pathlib import Path
from urllib.parse import urlsplit

import huggingface_hub
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, RepoFile, constants
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.utils import logging
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from flatrec._version import __version__
from flatrec.hub.errors import ENDPOINT, TOKEN, explained
from flatrec.hub.names import Kind, check_repository

HUB = "https://huggingface.co"
_CHUNK = 2**22
_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository.

    Args:
        name: its path in the repository.
        size: number of bytes.
        digest: its digest, as the Hub has it.
        large: whether that is the SHA-256 of its bytes, as of large files, or git's SHA-1.
    """

    name: str
    size: int
    digest: str
    large: bool

    def fits(self, file: Path) -> bool:
        """Return True if a file on this machine has the same content."""
        if file.stat().st_size != self.size:
            return False
        state = hashlib.sha256() if self.large else hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        with file.open("rb") as opened:
            while portion := opened.read(_CHUNK):
                state.update(portion)
        return state.hexdigest() == self.digest


@dataclass(frozen=True)
class RemoteState:
    """What a repository holds at a commit.

    Args:
        commit: the id of the commit; empty if there is none yet.
        private: whether the repository is known to be private.
        files: its files, by name.
        folders: the names of its folders.
    """

    commit: str
    private: bool
    files: dict[str, RemoteFile]
    folders: tuple[str, ...] = ()


def token_of_environment() -> str | None:
    """Return the token in the environment; None if there is none.

    Raises:
        ValueError: it has characters that no token has, such as line breaks.
    """
    token = os.environ.get(TOKEN, "").strip()
    if token and not _TOKEN.fullmatch(token):
        raise ValueError(f"{TOKEN} holds something that is no token, such as blanks or several lines; set it again")
    return token or None


def check_token() -> None:
    """Make sure that there is a token to write with.

    Raises:
        ValueError: there is none.
    """
    if token_of_environment() is None:
        raise ValueError(
            f"a push needs a token of the Hub in the environment variable {TOKEN}, which is not set; make one with the "
            "right to write (Settings, Access Tokens), and export it"
        )


@dataclass(frozen=True)
class Remote:
    """A repository on the Hub, by its name; the token and the address of the Hub are those of the environment.

    Raises:
        ValueError: the name is not of the form ``user/name``, or the address is none.
    """

    name: str
    kind: Kind

    def __post_init__(self) -> None:
        check_repository(self.name)
        parts = urlsplit(self.endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError(
                f"{ENDPOINT} must be an address such as {HUB}, without a user, but is another; correct or unset it"
            )

    @property
    def endpoint(self) -> str:
        """The address of the Hub."""
        return (os.environ.get(ENDPOINT, "").strip() or HUB).rstrip("/")

    @property
    def host(self) -> str:
        """The name of the Hub in messages."""
        parts = urlsplit(self.endpoint)
        return parts.hostname if parts.hostname and parts.port is None else f"{parts.hostname}:{parts.port}"

    @property
    def url(self) -> str:
        """The page of the repository."""
        return f"{self.endpoint}/{'datasets/' if self.kind == 'dataset' else ''}{self.name}"

    def state(self, revision: str | None = None) -> RemoteState | None:
        """Return what the repository holds now, or at a branch, tag or commit; None if there is no such repository.

        Raises:
            ValueError: there is no such revision.
            OSError: the Hub refuses, or cannot be reached.
        """
        with self._asking():
            try:
                about = self._api.repo_info(self.name, repo_type=self.kind, revision=revision)
            except RepositoryNotFoundError:
                return None
            commit = about.sha or ""
            listing = (
                self._api.list_repo_tree(self.name, recursive=True, revision=commit, repo_type=self.kind)
                if commit
                else ()
            )
            entries = list(listing)
        files = {one.path: _file(one) for one in entries if isinstance(one, RepoFile)}
        folders = tuple(one.path for one in entries if not isinstance(one, RepoFile))
        return RemoteState(commit, about.private is True, files, folders)

    def create(self, *, private: bool) -> None:
        """Make the repository.

        Raises:
            OSError: there is one already, the Hub refuses, or cannot be reached.
        """
        with self._asking():
            self._api.create_repo(self.name, repo_type=self.kind, private=private, exist_ok=False)

    def commit(self, folder: Path, names: Iterable[str], removed: Iterable[str], *, message: str, parent: str) -> str:
        """Upload files and remove others in one commit, and return its id; whatever fails before it changes nothing.

        Args:
            folder: where the files are.
            names: the files to upload.
            removed: the files to remove.
            message: the first line of the commit.
            parent: the commit that it follows; another one meanwhile is an error.

        Raises:
            ValueError: the Hub refuses the card.
            OSError: the Hub refuses otherwise, or cannot be reached.
        """
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *(CommitOperationAdd(name, folder / name) for name in names),
            *(CommitOperationDelete(name, is_folder=False) for name in removed),
        ]
        with self._asking():
            done = self._api.create_commit(
                self.name, operations, commit_message=message, repo_type=self.kind, parent_commit=parent or None
            )
        return done.oid

    def download(self, names: Sequence[str], commit: str, folder: Path) -> None:
        """Download files of a commit into a folder.

        Raises:
            OSError: the Hub refuses, cannot be reached, or a file did not arrive whole.
        """
        with self._asking():
            for name in names:
                huggingface_hub.hf_hub_download(
                    self.name,
                    name,
                    repo_type=self.kind,
                    revision=commit,
                    local_dir=folder,
                    cache_dir=folder / ".cache",  # never that of the user, whose files are not those of this download
                    endpoint=self.endpoint,
                    token=token_of_environment() or False,
                    library_name="flatrec",
                    library_version=__version__,
                )

    @property
    def _api(self) -> HfApi:
        return HfApi(
            endpoint=self.endpoint,
            token=token_of_environment() or False,
            library_name="flatrec",
            library_version=__version__,
        )

    @contextmanager
    def _asking(self) -> Iterator[None]:
        with _quiet(), explained(self.name, self.host, token_of_environment()):
            yield


def _file(one: RepoFile) -> RemoteFile:
    if one.lfs is not None:
        return RemoteFile(one.path, one.lfs.size, one.lfs.sha256, large=True)
    return RemoteFile(one.path, one.size, one.blob_id, large=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Let huggingface_hub say nothing, ask for no token elsewhere, and send no telemetry, until the block ends.

    Its progress bars stay on a terminal. Errors are raised all the same.
    """
    hides_bars = not sys.stderr.isatty() and not are_progress_bars_disabled()
    verbosity = logging.get_verbosity()
    with warnings.catch_warnings(), _constant("HF_HUB_DISABLE_TELEMETRY"), _constant("HF_HUB_DISABLE_IMPLICIT_TOKEN"):
        warnings.simplefilter("ignore")
        logging.set_verbosity(ERROR)
        if hides_bars:
            disable_progress_bars()
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if hides_bars:
                enable_progress_bars()


@contextmanager
def _constant(name: str) -> Iterator[None]:
    """Switch on what huggingface_hub read from the environment when it was imported, until the block ends."""
    before = vars(constants)[name]
    vars(constants)[name] = True
    try:
        yield
    finally:
        vars(constants)[name] = before
