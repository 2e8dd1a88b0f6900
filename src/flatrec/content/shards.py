"""Encoding in shards: every process encodes its part of the items, and the last step puts the parts together.

A shard is a cache of vectors beside the features, with a note that says when it is whole. A process that was killed
goes on where it stopped; the note, written last, says of which items and encoders the vectors are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from flatrec.content.encoders.encoding import ITEMS_PER_BLOCK
from flatrec.content.encoders.vector_cache import CachedVector, VectorCache
from flatrec.utils.atomic_write import write_text
from flatrec.utils.integrity import digest, read_text
from flatrec.utils.messages import shortlist
from flatrec.utils.shards import Shard, shard_names

FOLDER = "shards"


def rows_of(shard: Shard, n_items: int) -> slice:
    """Return the items of a shard: whole blocks, so that an encoder gets the same batches as without shards.

    Example:
        >>> [rows_of(Shard(number, 2), 600) for number in (1, 2)]
        [slice(0, 256, None), slice(256, 600, None)]
    """
    blocks = shard.of(-(-n_items // ITEMS_PER_BLOCK))
    return slice(*(min(edge * ITEMS_PER_BLOCK, n_items) for edge in (blocks.start, blocks.stop)))


def file_of(shard: Shard, out: Path) -> Path:
    """Return the file of a shard's vectors beside features; that of its note has another ending."""
    return shard.file(out / FOLDER / "vectors.sqlite3")


def fingerprint_of(ids: Sequence[str], encoders: Mapping[str, str]) -> str:
    """Return a digest of all items and of the encoder of each modality; shards with equal ones belong together."""
    return digest(json.dumps([list(ids), sorted(encoders.items())]).encode())


def is_whole(shard: Shard, out: Path, fingerprint: str) -> bool:
    """Return True if a shard was finished.

    Raises:
        ValueError: it was, of other items or by another encoder, or its note is damaged.
    """
    note = file_of(shard, out).with_suffix(".json")
    if not note.is_file() or not file_of(shard, out).is_file():
        return False
    advice = f"remove {note.parent} and encode the shards again"
    try:
        found = json.loads(read_text(note, advice=advice))["fingerprint"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{note} is damaged; {advice}") from None
    if found != fingerprint:
        raise ValueError(
            f"{note} is of other items, or of other encoders, than those that are given now; remove {note.parent}, or "
            "choose another folder"
        )
    return True


def check_division(shard: Shard, out: Path) -> None:
    """Make sure that no shards beside features are of another number of shards.

    Raises:
        ValueError: some are.
    """
    if others := _counts(out) - {shard.count}:
        raise ValueError(
            f"{out / FOLDER} has shards of {shortlist(map(str, sorted(others)))}, but {shard} is asked for; divide the "
            "items as before, or remove the folder"
        )


def finish(shard: Shard, out: Path, fingerprint: str) -> None:
    """Say that a shard is whole.

    Raises:
        OSError: the note cannot be written.
    """
    note = {"fingerprint": fingerprint, "shard": shard.index, "of": shard.count}
    write_text(file_of(shard, out).with_suffix(".json"), json.dumps(note) + "\n")


@dataclass(frozen=True, eq=False)
class ShardCache:
    """The vectors of a shard, which also takes those that the user's cache has."""

    own: VectorCache
    users: VectorCache

    def get(self, keys: Sequence[bytes], dim: int) -> dict[bytes, CachedVector]:
        """Return the vectors of a shard, and those of the user's cache, which are the shard's from now on."""
        found = self.own.get(keys, dim)
        others = self.users.get([key for key in keys if key not in found], dim)
        self.own.put(others)
        return found | others

    def put(self, vectors: Mapping[bytes, CachedVector]) -> None:
        """Store vectors in both."""
        self.own.put(vectors)
        self.users.put(vectors)


@dataclass(frozen=True, eq=False)
class WholeCache:
    """The vectors of all shards, in their order, before those of the user's cache."""

    shards: Sequence[VectorCache]
    users: VectorCache

    def get(self, keys: Sequence[bytes], dim: int) -> dict[bytes, CachedVector]:
        """Return the vectors of the first shard that has them, or of the user's cache."""
        found: dict[bytes, CachedVector] = {}
        for cache in (*self.shards, self.users):
            if missing := [key for key in keys if key not in found]:
                found |= cache.get(missing, dim)
        return found

    def put(self, vectors: Mapping[bytes, CachedVector]) -> None:
        """Store vectors in the user's cache."""
        self.users.put(vectors)


@contextmanager
def joined(out: Path, expected: Callable[[], str], users: VectorCache) -> Iterator[VectorCache | WholeCache]:
    """Yield the vectors of all shards beside features; the user's cache where there are no shards.

    Args:
        out: folder of the features.
        expected: returns the fingerprint of the shards; only called where there are some.
        users: the user's cache.

    Raises:
        ValueError: a shard is missing, not finished or of something else.
    """
    folder = out / FOLDER
    if not folder.is_dir():
        yield users
        return
    if len(counts := _counts(out)) > 1:
        raise ValueError(f"{folder} has shards of {shortlist(map(str, sorted(counts)))}; remove those of one division")
    shards = [Shard(number, count) for count in counts for number in range(1, count + 1)]
    fingerprint = expected()
    missing = [str(one) for one in shards if not is_whole(one, out, fingerprint)]
    if missing or not shards:
        lacking = f"lacks {shortlist(missing)}" if missing else "has no finished shard"
        raise ValueError(f"{folder} {lacking}; encode what is missing by --shard, or remove the folder to do all here")
    with ExitStack() as stack:
        yield WholeCache([stack.enter_context(VectorCache(file_of(one, out))) for one in shards], users)


def _counts(out: Path) -> set[int]:
    """Return the numbers of shards that the names of the notes tell of."""
    names = shard_names(Path("vectors.json"))
    found = (names.fullmatch(note.name) for note in (out / FOLDER).glob("vectors*.json"))
    return {1 if name is None else int(name["count"]) for name in found}
