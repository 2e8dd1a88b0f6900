"""Answers of language models, which are paid for once."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from flatrec.utils.cache_dir import cache_dir
from flatrec.utils.keyed_table import Cell, KeyedTable


@dataclass(frozen=True)
class Answer:
    """What came back.

    Args:
        text: None where the model gave none that can be used; the remarks say why.
        remarks: what was wrong with image or answer, in a few fixed words each.
        prompt_tokens: of the question; None where the endpoint does not say.
        completion_tokens: of the answer; None where the endpoint does not say.
    """

    text: str | None
    remarks: tuple[str, ...] = ()
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


def default_path() -> Path | None:
    """Where answers are kept; None where they are not."""
    folder = cache_dir("answers")
    return folder / "answers.sqlite3" if folder else None


def key_of(*parts: bytes) -> bytes:
    """The key of the answer to a question that is made of these parts."""
    digest = blake2b(digest_size=20)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


class AnswerStore:
    """A SQLite file of answers; what was put in survives a kill.

    Several processes may use it at once. Who deletes it pays for its answers again.

    Args:
        path: made where it is not there; None keeps nothing beyond this object.

    Raises:
        OSError: the file cannot be made, or is none of ours.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        columns = ("answer text", "remarks text not null", "prompt_tokens integer", "completion_tokens integer")
        self._table = KeyedTable(path, "answers", columns)

    def __enter__(self) -> AnswerStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._table.close()

    def get(self, key: bytes) -> Answer | None:
        """The answer, if it is there as it was kept.

        Raises:
            OSError: the file is damaged.
        """
        return next((_read(*row) for row in self._table.rows([key])), None)

    def put(self, key: bytes, answer: Answer) -> None:
        """Keep an answer.

        Raises:
            OSError: the disk is full, or the file is damaged.
        """
        row = (key, answer.text, "\n".join(answer.remarks), answer.prompt_tokens, answer.completion_tokens)
        self._table.put([row])


def _read(_key: Cell, text: Cell, remarks: Cell, prompt_tokens: Cell, completion_tokens: Cell) -> Answer:
    return Answer(
        text if isinstance(text, str) else None,
        tuple(filter(None, str(remarks).split("\n"))),
        prompt_tokens if isinstance(prompt_tokens, int) else None,
        completion_tokens if isinstance(completion_tokens, int) else None,
    )
