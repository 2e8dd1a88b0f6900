"""A database that cannot be reached, and a driver that is not installed."""

from __future__ import annotations

import sys

import pytest

from flatrec.inference.export.database import delete_users
from tests.inference.export.database.exports import export


@pytest.mark.parametrize("host", ["127.0.0.1:1", "nowhere.invalid"])
def test_a_server_that_cannot_be_reached_is_one_line_without_the_password(host):
    pytest.importorskip("psycopg")
    said = rf"^cannot connect to postgresql://me@{host}/shop: [^\n]+; correct the URL, or start the server$"
    with pytest.raises(ConnectionError, match=said) as failed:
        export(f"postgresql://me:secret@{host}/shop?connect_timeout=5", "first")
    assert "secret" not in str(failed.value)


def test_an_option_that_the_client_library_does_not_have_is_one_line():
    pytest.importorskip("psycopg")
    with pytest.raises(
        (ConnectionError, ValueError), match=r"^cannot connect to postgresql://me@127.0.0.1:1/shop: [^\n]*color"
    ):
        export("postgresql://me:secret@127.0.0.1:1/shop?color=red", "first")


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [
        ("sqlite:///shop.db", "sqlalchemy", "sql"),
        ("postgresql://host/shop", "sqlalchemy", "postgresql"),
        ("postgresql://host/shop", "psycopg", "postgresql"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, url, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    said = rf"^{package} is not installed, but .* it; pip install 'flatrec\[{extra}\]'$"
    for call in (lambda: export(url, "first"), lambda: delete_users(url, "recommendations", ["a"], column="user")):
        with pytest.raises(ModuleNotFoundError, match=said):
            call()
