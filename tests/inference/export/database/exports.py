"""Exports whose rows are known, and a process that makes one; what a reader sees tells the exports apart."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from flatrec.inference.export.database import export_table

ROOT = Path(__file__).parents[4]
SCHEMA = pl.Schema({"user": pl.String, "rank": pl.Int32, "item": pl.String, "score": pl.Float64, "path": pl.String})
KEY = ("user", "rank")
BLOCKS, USERS, RANKS = 6, 20, 5  # users of one block, rows of one user
ROWS = BLOCKS * USERS * RANKS


def block(number, name, users=USERS):
    """Block of the export of a name; the name stands in every row."""
    rows = [(f"u{number * users + user:06}", rank) for user in range(users) for rank in range(1, RANKS + 1)]
    return pl.DataFrame(
        [(user, rank, f"{name}-{rank}", len(name) + rank / 3, name) for user, rank in rows], schema=SCHEMA, orient="row"
    )


def blocks(name, pause=0.0, users=USERS):
    def those_from(start):
        for number in range(start, BLOCKS):
            yield block(number, name, users)
            time.sleep(pause)

    return those_from


def all_rows(name):
    return sorted(row for number in range(BLOCKS) for row in block(number, name).rows())


def export(url, name, table="recommendations", make=None, **options):
    """Make the export of a name."""
    return export_table(url, table, SCHEMA, make or blocks(name), generation=name, key=KEY, **options)


class Client:
    """Somebody else's session: each statement is a transaction of its own."""

    def __init__(self, url):
        self.engine = sa.create_engine(
            url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )

    def __call__(self, *statements):
        """Execute statements, and return the rows of the last one."""
        with self.engine.connect() as connection:
            for statement in statements:
                result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []

    def rows(self, table="recommendations"):
        return sorted(self(f'SELECT "user", rank, item, score, path FROM {table}'))

    def tables(self):
        with self.engine.connect() as connection:
            return set(sa.inspect(connection).get_table_names())


def process(url, name, pause=0.0, users=USERS):
    """Begin an export in a process of its own."""
    words = [sys.executable, "-m", __spec__.name, url, name, str(pause), str(users)]
    return subprocess.Popen(words, cwd=ROOT)


def until(claim, seconds=60):
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.01)


if __name__ == "__main__":
    address, export_name, wait, n_users = sys.argv[1:]
    export(address, export_name, make=blocks(export_name, float(wait), int(n_users)))
