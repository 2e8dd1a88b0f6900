"""What goes wrong with a store is one line, in plain words."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text

from flatrec.research.sweeps.store import store_errors, without_password


def fill(connection):
    """Write more than fits."""
    connection.execute(text("pragma max_page_count = 1"))  # SQLite takes it for a full disk
    for number in range(3):
        connection.execute(text(f"create table t{number} (a int)"))


def test_a_full_disk_is_said_in_plain_words():
    said = r"^cannot write the store sqlite:///x: the disk is full; free some space and start again$"
    with (
        create_engine("sqlite://").connect() as connection,
        pytest.raises(OSError, match=said),
        store_errors("sqlite:///x"),
    ):
        fill(connection)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql+psycopg://me:secret@host:5432/name", "postgresql+psycopg://me:***@host:5432/name"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
        ("no url", "no url"),
    ],
)
def test_an_address_is_shown_without_its_password(url, said):
    assert without_password(url) == said
