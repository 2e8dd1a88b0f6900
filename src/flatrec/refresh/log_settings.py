"""The log of events that the nightly job reads beside the data, as the table ``[events]`` of ``shop.toml`` has it."""

from __future__ import annotations

from pathlib import Path

from pydantic import model_validator

from flatrec.config import Config
from flatrec.data.tables.events import LARGEST
from flatrec.event_log import LogPlace
from flatrec.utils.messages import clipped


class LogSettings(Config):
    """The log to which ``flatrec serve --events`` appends.

    Args:
        path: the SQLite file of the log.
        url_env: the name of the environment variable with the URL of a PostgreSQL database, in the place of a file.
        weights: the weight of each event; others are left out. Left out, the weights are those of the data's own
            events, and all are 1 if these have none.
    """

    path: str | None = None
    url_env: str | None = None
    weights: dict[str, float] = {}

    @model_validator(mode="after")
    def _check(self) -> LogSettings:
        if (self.path is None) == (self.url_env is None):
            raise ValueError("needs path, the SQLite file of the log, or else url_env")
        for name, weight in self.weights.items():
            if not 1 / LARGEST <= weight <= LARGEST:
                raise ValueError(
                    f"weights.{clipped(name)} must be a weight of 1e-12 to 1e12, but is {weight}; leave an event out "
                    "to ignore it"
                )
        return self

    @property
    def place(self) -> LogPlace:
        """Where the log is."""
        return LogPlace(None if self.path is None else Path(self.path), self.url_env)

    def within(self, base: Path) -> LogSettings:
        """Return the settings with the path relative to a folder."""
        return self if self.path is None else self.replace(path=str(base / self.path))
