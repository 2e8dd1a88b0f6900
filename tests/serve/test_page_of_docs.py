"""The requests of docs/serving.md are answered, and its tables say what is so."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

import flatrec
from flatrec.data.shop import ShopSettings, generate
from flatrec.inference.storage import save_recommender
from flatrec.serve.errors import KINDS
from flatrec.serve.events import PATH as EVENTS
from flatrec.serve.routes import OPERATIONS
from flatrec.serve.settings import Limits
from tests.serve.logs import logging_client

PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
CALLS = re.findall(r"^curl .*$", PAGE, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def shop_client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page") / "recommender"
    dataset = generate(ShopSettings(users=300, items=120)).dataset
    training = flatrec.Training(epochs=1, loggers=())
    save_recommender(flatrec.fit(dataset, "lightgcn", training=training).recommender, folder)
    with logging_client(folder, folder.with_name("events.sqlite")) as client:
        yield client


@pytest.mark.parametrize("call", CALLS, ids=range(len(CALLS)))
def test_the_requests_are_answered(shop_client, call):
    _, address, *rest = shlex.split(call)
    path = address.removeprefix("http://127.0.0.1:8000")
    answer = shop_client.post(path, json=json.loads(rest[1])) if rest else shop_client.get(path)
    assert answer.status_code == (409 if "new_item" in call else 200), answer.text


def test_every_operation_limit_and_status_is_named():
    assert f"POST {EVENTS}" in PAGE
    for operation in OPERATIONS:
        assert f"{operation.method} {operation.path.replace(':path}', '}')}" in PAGE
    section = PAGE.partition("## Limits")[2].partition("## ")[0]
    rows = [row for row in section.splitlines() if row.startswith("|")]
    for name, value in Limits():
        (row,) = [row for row in rows if f"`{name}`" in row.split("|")[1]]
        shown = row.split("|")[2]
        assert any(text in shown for text in (f"{value:g}", f"{value:,}", f"{value / 2**20:g} MiB")), row
    for status, kind in KINDS.items():
        assert re.search(rf"\| .*\b{status}\b", PAGE) or kind == "conflict", status
