"""Errors of the Hub and of the way there, as one line that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from httpx2 import HTTPStatusError, RequestError
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from flatrec.utils.messages import clipped, message

TOKEN, ENDPOINT = "HF_TOKEN", "HF_ENDPOINT"
_CONFLICT, _CHANGED = 409, 412


@contextmanager
def explained(repository: str, host: str, token: str | None) -> Iterator[None]:
    """Turn what goes wrong on the Hub or on the way there into an error of one line, without the token.

    Raises:
        ValueError: the Hub refuses the card, or there is no such revision.
        OSError: anything else.
    """
    try:
        yield
    except (HfHubHTTPError, RequestError, FileMetadataError, OSError, RuntimeError, ValueError) as error:
        found = _explained(error, repository, host)
        said = str(found)
        if token is not None and token in said:
            said = said.replace(token, "…")
        raise type(found)(said) from None


def _explained(error: Exception, repository: str, host: str) -> OSError | ValueError:
    if isinstance(error, ValueError) and "metadata in README.md" in str(error):
        return ValueError(f"{host} refuses the card: {clipped(message(error), 200)}; change --license or --dataset")
    for one in _causes(error):
        if isinstance(one, RevisionNotFoundError):
            return ValueError(f"{repository} has no such revision; give a branch, a tag or a commit of it")
        if isinstance(one, HfHubHTTPError):
            return OSError(_of_status(one, repository, host))
        if isinstance(one, OfflineModeIsEnabled):
            return OSError(f"{host} is not asked, as HF_HUB_OFFLINE is set; unset it")
        if isinstance(one, (RequestError, HTTPStatusError)):
            return OSError(f"cannot reach {host} ({message(one)}); check the connection, or {ENDPOINT}")
        if isinstance(one, FileMetadataError):
            return OSError(f"{host} does not answer as a Hub does ({clipped(message(one), 100)}); check {ENDPOINT}")
    if isinstance(error, OSError) and error.errno is not None:  # of this machine, such as a full disk
        return error
    if "Consistency check failed" in str(error):
        return OSError(f"a file of {repository} did not arrive whole; pull again")
    return OSError(f"the transfer with {repository} on {host} failed: {clipped(message(error), 200)}; try again")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _of_status(error: HfHubHTTPError, repository: str, host: str) -> str:
    status = error.response.status_code
    if isinstance(error, GatedRepoError):
        return f"{repository} on {host} asks for consent; give it there, with the account of the token in {TOKEN}"
    if isinstance(error, RepositoryNotFoundError) or status == 404:  # noqa: PLR2004
        return (
            f"there is no repository {repository} on {host}, or the token may not see it; check the name, and set "
            f"{TOKEN} to a token that may read it"
        )
    if status == 401:  # noqa: PLR2004
        return f"{host} does not accept the token in {TOKEN}; make another one there, and set {TOKEN} to it"
    if status == 403:  # noqa: PLR2004
        return f"the token in {TOKEN} is not allowed this for {repository} on {host}; give it the right to do so there"
    if status in (_CONFLICT, _CHANGED):
        return f"{repository} was changed by somebody else meanwhile, and nothing was written; try again"
    said = f" ({_printable(error.server_message)})" if error.server_message else ""
    return f"{host} answered with status {status}{said}; try again later"


def _printable(text: str) -> str:
    """Return what a server says on one line, without characters that a terminal would obey."""
    return clipped(" ".join("".join(char if char.isprintable() else " " for char in text).split()), 100)
