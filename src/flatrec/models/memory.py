"""What a baseline needs in memory, and how it refuses data that are too large for it."""

from __future__ import annotations

from flatrec.models.base import ModelConfig
from flatrec.utils.ranges import PositiveFloat

GIB = 2**30


class MemoryConfig(ModelConfig):
    """Setting of a baseline whose memory grows faster than the data.

    Args:
        max_memory: largest amount of memory that may be needed at once, in GiB; data that need more are refused before
            anything is computed.
    """

    max_memory: PositiveFloat = 6.0


def check_memory(model: str, needed: float, max_memory: float, of_what: str) -> None:
    """Make sure that a computation fits into memory.

    Args:
        model: the name of the model in the message.
        needed: number of bytes.
        max_memory: the limit, in GiB.
        of_what: what takes the memory, such as ``a matrix of 7050 by 7050 items``.

    Raises:
        ValueError: more is needed.

    Example:
        >>> check_memory("EASE", 2.0**31, 1.0, "a matrix")
        Traceback (most recent call last):
        ValueError: EASE needs 2 GiB for a matrix, but max_memory is 1 GiB; raise model.max_memory, or choose item-knn
    """
    if needed > max_memory * GIB:
        raise ValueError(
            f"{model} needs {needed / GIB:.3g} GiB for {of_what}, but max_memory is {max_memory:g} GiB; raise "
            "model.max_memory, or choose item-knn"
        )
