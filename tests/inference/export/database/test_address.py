"""Addresses of databases, and that no message shows a password."""

from __future__ import annotations

import pytest

from flatrec.inference.export.database.address import parse_address


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///shop.db", "sqlite:///shop.db"),
        ("sqlite+pysqlite:////data/shop.db", "sqlite:////data/shop.db"),
        ("postgresql://me:secret@host:5433/shop?sslmode=require", "postgresql://me@host:5433/shop"),
        ("postgresql+psycopg://host/shop?user=me&password=secret", "postgresql://host/shop"),
        ("postgresql:///shop", "postgresql:///shop"),
    ],
)
def test_an_address_is_shown_without_password_and_options(url, shown):
    assert parse_address(url).shown == shown


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("me:secret@host/shop", r"^the database needs a URL such as sqlite:///shop.db or postgresql://user@host/name"),
        ("postgresql://me:secret@host:secret/shop", r"^the database needs a URL such as"),
        ("mysql://me:secret@host/shop", r"^unknown database 'mysql'; write a URL such as"),
        ("postgresql+asyncpg://me:secret@host/shop", r"^unknown driver 'asyncpg'; write the URL with postgresql:// al"),
        ("postgresql://me:sec@secret@host/shop", r"contains @ or /; write @ as %40 and / as %2F$"),
        ("postgresql://me:x@secret/secret@host/shop", r"contains @ or /; write @ as %40 and / as %2F$"),
        ("sqlite://", r"needs the path of a file, such as sqlite:///shop.db$"),
        ("sqlite:///:memory:", r"needs the path of a file"),
        ("sqlite:///file:shop.db?mode=ro&uri=true", r"needs the path of a file"),
    ],
)
def test_what_is_no_address_is_refused_without_showing_it(url, said):
    with pytest.raises(ValueError, match=said) as caught:
        parse_address(url)
    assert "secret" not in str(caught.value)


def test_passwords_are_concealed_in_what_a_driver_says():
    address = parse_address("postgresql://me:p%40ss@host/shop?sslpassword=other")
    assert address.conceal("p@ss, p%40ss, other: no entry") == "***, ***, ***: no entry"
