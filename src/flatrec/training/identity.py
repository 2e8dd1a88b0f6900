"""The identity of a run, written into its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from flatrec.utils import integrity


@dataclass(frozen=True)
class Identity:
    """Everything that decides the numbers of a run; each of its files holds it, so files of other runs are refused."""

    model: str = ""  # name of the model
    strategy: str = ""  # name of the strategy
    seed: int = 0  # the seed
    data: str = ""  # fingerprint of the data set
    settings: str = ""  # digest of every setting that decides the bits of an epoch

    @cached_property
    def digest(self) -> str:
        """A short text that stands for the whole identity."""
        return integrity.digest(*vars(self).values())

    def as_dict(self) -> dict[str, str | int]:
        """The identity as the metadata of a checkpoint holds it."""
        return asdict(self)

    def check(self, recorded: object, path: Path) -> None:
        """Make sure that a file belongs to this run, by the identity that it holds, or the digest of one.

        Raises:
            ValueError: it belongs to another run.
        """
        if recorded in (self.digest, self.as_dict()):
            return
        other = recorded if isinstance(recorded, Mapping) else {}
        differ = [
            f"{name} {other[name]!r} instead of {own!r}"
            for name, own in self.as_dict().items()
            if own != other.get(name, own)
        ]
        raise ValueError(
            f"{path} belongs to another run ({', '.join(differ) or 'with other settings'}); put back the file of this "
            "run, or train again with --overwrite"
        )
