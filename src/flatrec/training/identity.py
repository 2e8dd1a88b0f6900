"""Which run a file belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from flatrec.utils import integrity


@dataclass(frozen=True)
class Identity:
    """All that decides the numbers of a run; written into each of its files, so that no file of another run is taken.

    Args:
        model: name of the model.
        strategy: name of the strategy.
        seed: the seed.
        data: fingerprint of the data set.
        settings: digest of every setting that decides an epoch's bits.
    """

    model: str = ""
    strategy: str = ""
    seed: int = 0
    data: str = ""
    settings: str = ""

    @cached_property
    def digest(self) -> str:
        """Stands for the whole where a file has little room."""
        return integrity.digest(*vars(self).values())

    def as_dict(self) -> dict[str, str | int]:
        """As a checkpoint's facts hold it."""
        return asdict(self)

    def check(self, found: object, path: Path) -> None:
        """Make sure that a file says it is of this run.

        Args:
            found: what the file says: the whole, as :meth:`as_dict` has it, or the digest.
            path: the file.

        Raises:
            ValueError: it is of another one.
        """
        if found in (self.digest, self.as_dict()):
            return
        was = found if isinstance(found, Mapping) else {}
        differ = [
            f"{name} {was[name]!r} instead of {now!r}"
            for name, now in self.as_dict().items()
            if now != was.get(name, now)
        ]
        raise ValueError(
            f"{path} belongs to another run ({', '.join(differ) or 'with other settings'}); put back the file of this "
            "run, or train again with --overwrite"
        )
