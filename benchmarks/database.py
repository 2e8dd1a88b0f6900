"""How long exports into a database table take, and what a reader sees meanwhile.

    python benchmarks/database.py --url sqlite:///bench.db
    python benchmarks/database.py --url postgresql://user@host/name --users 100000 --rows 50 --out database.json

The table ``flatrec_benchmark`` is dropped first and at the end. Every export is a process of its own and replaces all
rows; the first one creates the table. During the following exports a reader counts the rows, and asks which exports
they come from, again and again; one row of the result is one export. A last export is killed when half of its blocks
are committed, and continued. The benchmark fails if the reader ever sees another number of rows or two exports. It
reports the longest count, and the longest of the queries for the list of one user that the reader sends in between.
The rows are random, with user ids in random order; making them is part of the seconds, and is also measured alone.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa
from results import record
from sqlalchemy.pool import NullPool

from flatrec.inference.export.database import export_table

TABLE = "flatrec_benchmark"
SCHEMA = pl.Schema({"user": pl.String, "rank": pl.Int32, "item": pl.String, "score": pl.Float32, "path": pl.String})
BLOCK_USERS, N_ITEMS = 2000, 100_000
SEEN = f"SELECT count(*), min(path), max(path) FROM {TABLE}"
USER_LIST = f"SELECT item, score FROM {TABLE} WHERE \"user\" = 'user-7' ORDER BY rank"
COMMITTED = f"SELECT next_block FROM {TABLE}_flatrec_progress"


def main() -> None:
    arguments = parsed()
    if arguments.export:
        export(arguments)
    else:
        record(measured(arguments), arguments.out, users=arguments.users, rows_per_user=arguments.rows)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Export into a database table while a reader polls it.")
    parser.add_argument("--url", required=True, help="SQLAlchemy URL of a SQLite or PostgreSQL database")
    parser.add_argument("--users", type=int, default=100_000, help="100000 unless given")
    parser.add_argument("--rows", type=int, default=50, help="rows of one user; 50 unless given")
    parser.add_argument("--exports", type=int, default=3, help="exports during which the reader polls; 3 unless given")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    parser.add_argument("--export", help=argparse.SUPPRESS)  # name of the export that this process makes
    return parser.parse_args()


def blocks(name: str, n_users: int, n_rows: int) -> Callable[[int], Iterator[pl.DataFrame]]:
    order = np.random.default_rng(0).permutation(n_users)

    def those_from(start: int) -> Iterator[pl.DataFrame]:
        for number in range(start, -(-n_users // BLOCK_USERS)):
            users = order[number * BLOCK_USERS : (number + 1) * BLOCK_USERS].repeat(n_rows)
            random = np.random.default_rng(number)
            columns = {
                "user": "user-" + pl.Series(users).cast(pl.String),
                "rank": np.tile(np.arange(1, n_rows + 1), len(users) // n_rows),
                "item": "item-" + pl.Series(random.integers(0, N_ITEMS, len(users))).cast(pl.String),
                "score": random.standard_normal(len(users)),
                "path": pl.repeat(name, len(users), eager=True),
            }
            yield pl.DataFrame(columns).cast(SCHEMA)

    return those_from


def export(arguments: argparse.Namespace) -> None:
    name = arguments.export
    done = export_table(
        arguments.url, TABLE, SCHEMA, blocks(name, arguments.users, arguments.rows), generation=name, lock_timeout=600.0
    )
    print(done.rows, done.seconds, done.first_block, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def process(arguments: argparse.Namespace, name: str) -> subprocess.Popen[str]:
    words = ["--url", arguments.url, "--users", arguments.users, "--rows", arguments.rows, "--export", name]
    return subprocess.Popen([sys.executable, __file__, *map(str, words)], stdout=subprocess.PIPE, text=True)


def measured(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    engine = sa.create_engine(
        arguments.url.replace("postgresql://", "postgresql+psycopg://"),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
    )
    clear(engine)
    start = time.perf_counter()
    for _ in blocks("rows", arguments.users, arguments.rows)(0):
        pass
    yield {"export": "rows alone", "seconds": round(time.perf_counter() - start, 2)}
    yield {"export": "new table", **finished(process(arguments, "export-0"))}
    for number in range(1, arguments.exports + 1):
        with Reader(engine, arguments.users * arguments.rows) as reader:
            row = finished(process(arguments, f"export-{number}"))
        yield {"export": f"replaced {number}", **row, **reader.summary()}
    with Reader(engine, arguments.users * arguments.rows) as reader:
        killed = process(arguments, "killed")
        while committed(engine) < arguments.users // BLOCK_USERS // 2:
            time.sleep(0.05)
        killed.kill()
        killed.wait()
        row = finished(process(arguments, "killed"))
    yield {"export": "continued after a kill", **row, **reader.summary()}
    clear(engine)


def finished(running: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = running.communicate()
    if running.returncode:
        raise SystemExit("an export failed")
    rows, seconds, first_block, peak = out.split()
    return {
        "rows": int(rows),
        "seconds": round(float(seconds), 2),
        "first_block": int(first_block),
        "peak_mib": int(peak),
    }


def committed(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table(f"{TABLE}_flatrec_progress"):
            return 0
        return int(connection.exec_driver_sql(COMMITTED).scalar_one())


def clear(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        for suffix in ("", "_flatrec_staging", "_flatrec_progress"):
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {TABLE}{suffix}")


class Reader:
    """Polls the table in a thread until the block ends."""

    def __init__(self, engine: sa.Engine, n_rows: int) -> None:
        self.engine, self.n_rows, self.waited, self.seen = engine, n_rows, {SEEN: 0.0, USER_LIST: 0.0}, []
        self._thread, self._done = threading.Thread(target=self._poll), threading.Event()

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def summary(self) -> dict[str, Any]:
        wrong = [row for row in self.seen if row[0] != self.n_rows or row[1] != row[2]]
        if wrong or not self.seen:
            raise SystemExit(f"the reader saw {wrong or 'nothing'}")
        names = list(dict.fromkeys(row[1] for row in self.seen))
        longest = {"longest_count": self.waited[SEEN], "longest_list": self.waited[USER_LIST]}
        return {"polls": len(self.seen), "seen": names, **{name: round(value, 3) for name, value in longest.items()}}

    def _poll(self) -> None:
        with self.engine.connect() as connection:
            while not self._done.is_set():
                for statement in (SEEN, USER_LIST):
                    start = time.perf_counter()
                    rows = connection.exec_driver_sql(statement).all()
                    self.waited[statement] = max(self.waited[statement], time.perf_counter() - start)
                    if statement == SEEN:
                        self.seen.append(tuple(rows[0]))
            self.seen.append(tuple(connection.exec_driver_sql(SEEN).one()))


if __name__ == "__main__":
    main()
