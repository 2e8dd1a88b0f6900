"""What an error says to a user: one line of bounded length, in words of ours."""

from __future__ import annotations

import difflib
import re
import sysconfig
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path

LONGEST = 500  # characters of a message
SHOWN = 10  # names in a list
_MEMORY = re.compile(r"can't allocate memory|out of memory|Unable to allocate|bad_alloc", re.IGNORECASE)
_BYTES = re.compile(r"allocate (?P<bytes>\d+) bytes|allocate (?P<size>[\d.]+ [KMGTP]iB)")


def shortlist(names: Iterable[str], limit: int = SHOWN) -> str:
    """The first names with commas between them, long ones cut, and how many more there are.

    Example:
        >>> shortlist(["a", "b", "c", "d"], limit=2)
        'a, b and 2 more'
    """
    names = list(names)
    shown = ", ".join(clipped(name) for name in names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def quoted(names: Iterable[str], limit: int = SHOWN) -> str:
    """The same in quotation marks and brackets, for names that a user chose: ``['sku', 'price' and 3 more]``."""
    return f"[{shortlist((repr(clipped(name)) for name in names), limit)}]"


def count(number: int, noun: str) -> str:
    """Return a number with its noun, such as ``2 users``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def clipped(text: str, longest: int = 30) -> str:
    """A text, cut with an ellipsis where it is longer."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def message(error: BaseException) -> str:
    """What an error says, on one line of at most 500 characters; its kind where it says nothing."""
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _MEMORY.search(str(error))):
        return _out_of_memory(str(error))
    if isinstance(error, RecursionError):
        return "something is nested too deeply, such as brackets in a JSON or TOML file; look at the files given"
    if isinstance(error, OSError) and error.filename and error.strerror:
        said = f"{error.filename}: {error.strerror}"
    else:
        said = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return clipped(" ".join(said.split()), LONGEST) or type(error).__name__


def _out_of_memory(said: str) -> str:
    found = _BYTES.search(said)
    asked = ""
    if found:
        asked = f" ({int(found['bytes']) / 2**30:.1f} GiB at once)" if found["bytes"] else f" ({found['size']} at once)"
    if "CUDA" in said:
        return (
            f"out of memory on the GPU{asked}; raise training.grad_accumulation_steps, lower training.batch_size or "
            "model.embedding_dim, set training.precision to bfloat16, or train on the CPU (--device cpu)"
        )
    advice = "lower training.batch_size, model.embedding_dim or model.n_layers, or use a larger machine"
    return f"out of memory{asked}; {advice}"


def unknown(kind: str, name: str, known: Sequence[str]) -> str:
    """A message for a name that is not known: the nearest right one, and up to ten of them."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ";"
    return f"unknown {kind} {clipped(name, 60)!r}{hint} there {'are ' + shortlist(known) if known else 'is none'}"


def raised(error: BaseException, *, typed: bool = True) -> str:
    """What an error in somebody's code says, on one line: its kind if ``typed``, its text, and where it was raised."""
    shown = clipped(" ".join(str(error).split()), 300)
    where = place_of(error)
    parts = [type(error).__name__] if typed or not shown else []
    return ": ".join([*parts, *([shown] if shown else [])]) + (f" ({where})" if where else "")


def place_of(error: BaseException) -> str:
    """The innermost line of the user's own code that an error passed, such as ``mine.py:41``; empty where none did."""
    foreign = [Path(__file__).parents[1], *(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))]
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<")
        and not {"site-packages", "dist-packages"} & set(Path(frame.filename).parts)
        and not any(Path(frame.filename).is_relative_to(folder) for folder in foreign)
    ]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
