"""How interactions are split into training, validation and test."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, field_validator

from flatrec.config.base import Config
from flatrec.utils.ranges import NonNegativeInt, PositiveInt, Range

SplitMethod = Literal["random", "time", "leave-last", "user-time", "given", "cold-items", "cold-users", "none"]


def _as_text(value: object) -> object:
    """Return a date of a TOML file as the text of it."""
    return value.isoformat() if isinstance(value, date) else value


Moment = Annotated[str | None, BeforeValidator(_as_text)]
Weight = Annotated[float, Range(ge=0)]


class SplitSettings(Config):
    """How interactions are split; what is left out is as the data say, or the default of the method.

    Args:
        method: ``random``: a fraction of each user's interactions; ``time``: one date for all; ``leave-last``: the last
            interactions of each user; ``user-time``: fractions of each user's interactions in their order;
            ``given``: as the data say; ``cold-items`` and ``cold-users``: items or users of which training has no
            interaction; ``none``: all interactions are for training. The default is ``given`` for data with a split,
            else ``random``.
        ratios: weights of training, validation and test, for ``random``, ``time``, ``user-time``, ``cold-items`` and
            ``cold-users``; by default 8, 1 and 1.
        seed: seed of what is drawn, for ``random``, ``cold-items`` and ``cold-users``; by default 0.
        n_last: number of a user's last interactions that are for test, and as many before them for validation, for
            ``leave-last``; by default 1.
        valid_from: date, or date and time, at which the validation split begins, for ``time``; in UTC if it names no
            zone. By default the date that the ratios give.
        test_from: date, or date and time, at which the test split begins, for ``time``. By default the date that the
            ratios give.
        test_until: date, or date and time, at which the test split ends, for ``time``; later interactions are left
            out. By default there is no end.
        windows: number of successive windows of equal length into which the test period is divided, for ``time``; each
            window is scored by a model that is trained on all that is older, as ``flatrec train`` and
            :func:`flatrec.run_windows` do. By default 0, which does not divide it.

    Raises:
        ValueError: a value is out of range, or the ratios cannot split anything.
    """

    method: SplitMethod | None = None
    ratios: tuple[Weight, Weight, Weight] | None = None
    seed: NonNegativeInt | None = None
    n_last: PositiveInt | None = None
    valid_from: Moment = None
    test_from: Moment = None
    test_until: Moment = None
    windows: NonNegativeInt | None = None

    @field_validator("ratios")
    @classmethod
    def _check_ratios(cls, ratios: tuple[float, float, float] | None) -> tuple[float, float, float] | None:
        if ratios is not None and ratios[0] <= 0:
            raise ValueError(f"must be weights of train, valid and test, the first above 0, but are {list(ratios)}")
        return ratios

    @property
    def given(self) -> dict[str, Any]:
        """The settings that are not left out."""
        return {name: value for name, value in self if value is not None}

    def over(self, defaults: SplitSettings) -> SplitSettings:
        """Return these settings, and those of ``defaults`` where these leave something out.

        If both name a method, and not the same one, nothing is taken over.
        """
        if self.method != defaults.method and None not in (self.method, defaults.method):
            return self
        return SplitSettings(**{**defaults.given, **self.given})
