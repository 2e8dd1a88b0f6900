"""One export of the nightly job, as a table of ``shop.toml`` holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import model_validator

from flatrec.config import Config
from flatrec.utils.ranges import Range

_MOST_ITEMS = 10_000
_LISTS_ONLY = ("k", "where", "include_seen", "users")


class ExportSettings(Config):
    """What is exported of a new recommender, and where to.

    Args:
        what: ``recommendations``, ``similar`` items, or ``vectors``.
        out: the file (``.parquet``, ``.csv``, ``.jsonl``), for vectors the folder; what an earlier refresh wrote there
            is replaced.
        url: SQLAlchemy URL of a database, in the place of ``out``; the path of a SQLite file is absolute.
        url_env: name of an environment variable that holds the URL, for one with a password.
        table: the table of the database, which is replaced in one transaction.
        k: length of a list.
        where: a condition on item columns, such as ``in_stock = true and price < 30``.
        include_seen: whether items that a user has an interaction with are listed; left out, as the model was
            evaluated.
        users: a file with the ids of the users whose lists are exported, one per line, or a table with a column of
            them; left out, all users.
    """

    what: Literal["recommendations", "similar", "vectors"] = "recommendations"
    out: str | None = None
    url: str | None = None
    url_env: str | None = None
    table: str | None = None
    k: Annotated[int, Range(ge=1, le=_MOST_ITEMS)] = 10
    where: str | None = None
    include_seen: bool | None = None
    users: str | None = None

    @model_validator(mode="after")
    def _check_target(self) -> ExportSettings:
        urls = [value for value in (self.url, self.url_env) if value is not None]
        if not (self.out is not None and not urls and self.table is None) and not (
            self.out is None and len(urls) == 1 and self.table is not None
        ):
            raise ValueError("needs out, or else table and one of url and url_env")
        if self.what == "vectors" and self.out is None:
            raise ValueError("vectors are written into a folder; name it by out, without url and table")
        if self.what == "similar" and (self.include_seen is not None or self.users is not None):
            raise ValueError("similar items are the same for every user; leave out include_seen and users")
        if self.what == "vectors" and (foreign := [name for name in _LISTS_ONLY if name in self.model_fields_set]):
            raise ValueError(f"vectors are of all users and items; leave out {foreign[0]}")
        return self

    def within(self, base: Path) -> ExportSettings:
        """Return the settings with paths relative to a folder."""
        files = {name: value for name, value in (("out", self.out), ("users", self.users)) if value is not None}
        values = {name: getattr(self, name) for name in self.model_fields_set}
        return ExportSettings(**{**values, **{name: str(base / value) for name, value in files.items()}})
