"""What the page is made of, without a browser."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from flatrec.serve.page_routes import PageFacts, page_routes
from flatrec.serve.runner import Factory
from flatrec.serve.settings import TOKENS, ServeSettings
from tests.serve.shops import client_of

FILES = {
    file.name: file.read_text(encoding="utf-8") for file in resources.files("flatrec.serve").joinpath("page").iterdir()
}


@pytest.fixture(scope="module")
def guarded(folder):
    with client_of(folder, tokens=("a-token-of-the-shop",), pages=page_routes(PageFacts(False, False, True))) as one:
        yield one


def test_the_page_is_open_and_has_a_strict_policy(guarded):
    answer = guarded.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for name in FILES:
        path = "/" if name == "index.html" else f"/page/{name}"
        policy = guarded.get(path).headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "unsafe" not in policy
    assert guarded.get("/page/about.json").json() == {"compare": False, "user_search": False, "token": True}


def test_only_the_files_of_the_page_are_served(guarded):
    for path in ("/page/", "/page/index.html", "/page/../settings.py", "/page/%2e%2e/settings.py", "/page/nothing.js"):
        assert guarded.get(path).status_code == 401  # as any path that is not open


def test_the_page_has_nothing_inline_and_nothing_from_outside():
    index = FILES["index.html"]
    assert re.findall(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)|javascript:", index) == []
    for name, content in FILES.items():
        outside = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"')]*", content)) - {"http://www.w3.org/2000/svg"}
        assert outside == set(), name
        assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|@import|url\(", content) == []


def test_modules_import_what_is_there():
    for name, content in FILES.items():
        imported = re.findall(r"from \"\./([^\"]+)\"", content)
        assert set(imported) <= FILES.keys(), name
    addresses = re.findall(r"(?:href|src)=\"page/([^\"]+)\"", FILES["index.html"])
    assert addresses
    assert set(addresses) <= FILES.keys()


def test_a_service_may_have_no_page(folder, monkeypatch):
    monkeypatch.delenv(TOKENS, raising=False)
    from starlette.testclient import TestClient

    for page, status in ((True, 200), (False, 404)):
        with TestClient(Factory(folder, ServeSettings(page=page))(), base_url="http://localhost") as client:
            assert client.get("/").status_code == status


def test_the_model_names_the_values_of_columns_with_few_of_them(client):
    answer = client.get("/v1/model").json()
    assert answer["choices"] == {"kind": ["cup", "jug", "pan"]}
