"""Responses of language models on disk, so that each is paid for once.

It is a table of our own, since the cache packages unpickle, evict what was paid for, or do not notice damage.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from flatrec.utils.cache_dir import cache_dir
from flatrec.utils.keyed_table import Cell, KeyedTable


@dataclass(frozen=True)
class Response:
    """What a language model returned for a request.

    Args:
        text: None if the model gave no usable text; the warnings say why.
        warnings: what was wrong with the image or the response; each is one of a few fixed phrases.
        prompt_tokens: tokens of the request; None if the endpoint does not report them.
        completion_tokens: tokens of the response; None if the endpoint does not report them.
    """

    text: str | None
    warnings: tuple[str, ...] = ()
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


def default_path() -> Path | None:
    """Return the path of the user's cache; None if caching is switched off."""
    folder = cache_dir("responses")
    return folder / "responses.sqlite3" if folder else None


def response_key(*parts: bytes) -> bytes:
    """Return the key of the response to a request that consists of these parts."""
    digest = blake2b(digest_size=20)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


class ResponseCache:
    """A SQLite file of responses; every response that was put in survives a kill.

    Several processes may use it at once. Whoever deletes it pays for its responses again.

    Args:
        path: created if it does not exist; None keeps nothing beyond the lifetime of this object.

    Raises:
        OSError: the file cannot be created, or is not such a cache.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        columns = ("response text", "warnings text not null", "prompt_tokens integer", "completion_tokens integer")
        self._table = KeyedTable(path, "responses", columns)

    def __enter__(self) -> ResponseCache:
        return self

    def __exit__(self, *_: object) -> None:
        self._table.close()

    def get(self, key: bytes) -> Response | None:
        """Return the response of a key; None if it is absent or damaged.

        Raises:
            OSError: the file is damaged.
        """
        return next((_response(*row) for row in self._table.rows([key])), None)

    def put(self, key: bytes, response: Response) -> None:
        """Store a response.

        Raises:
            OSError: the disk is full, or the file is damaged.
        """
        warnings = "\n".join(response.warnings)
        self._table.put([(key, response.text, warnings, response.prompt_tokens, response.completion_tokens)])


def _response(_key: Cell, text: Cell, warnings: Cell, prompt_tokens: Cell, completion_tokens: Cell) -> Response:
    return Response(
        text if isinstance(text, str) else None,
        tuple(filter(None, str(warnings).split("\n"))),
        prompt_tokens if isinstance(prompt_tokens, int) else None,
        completion_tokens if isinstance(completion_tokens, int) else None,
    )
