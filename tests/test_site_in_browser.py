"""The site in Chromium: it loads only its own files, fits a phone, follows the theme of the system, is searched."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("these tests need a Chromium in the path, such as Debian's package", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="these tests need playwright, of the extra dev")

ROOT = Path(__file__).parents[1]
SITE = ROOT / "build" / "site"
PHONE = {"width": 390, "height": 844}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address():
    """The address of the site, built with all its checks."""
    subprocess.run([sys.executable, ROOT / "docs" / "site" / "build.py"], check=True, capture_output=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    arguments = ["--no-sandbox"] if sys.platform != "win32" and os.geteuid() == 0 else []
    with playwright.sync_playwright() as running:
        one = running.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield one
        one.close()


def test_every_page_fits_a_phone_and_asks_nobody_else(address, browser):
    page = browser.new_page(viewport=PHONE)
    requests, errors, wide = [], [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    for file in sorted(SITE.rglob("*.html")):
        page.goto(address + file.relative_to(SITE).as_posix())
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            wide.append(file.name)
    assert wide == []
    assert errors == []
    assert [url for url in requests if not url.startswith((address, "data:", "blob:"))] == []
    assert len(requests) > 100


def test_the_theme_is_that_of_the_system_until_it_is_switched(address, browser):
    shades = {}
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(address + "index.html")
        shades[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert shades["light"] != shades["dark"]
    page.get_by_title("Switch to the light theme").first.click()
    page.wait_for_function("color => getComputedStyle(document.body).backgroundColor === color", arg=shades["light"])


def test_the_search_finds_a_command_a_setting_and_a_name_of_the_api(address, browser):
    page = browser.new_page()
    page.goto(address + "index.html")
    page.keyboard.press("/")
    for words, place, anchor in [
        ("flatrec robustness", "commands.html", "#flatrec-robustness"),
        ("training.patience", "settings.html", "#training"),
        ("load_recommender", "api/recommender.html", "#flatrec.load_recommender"),
    ]:
        found = f'a[href*="{place}"][href$="{anchor}"]:visible'
        assert page.locator(found).count() == 0
        page.get_by_role("combobox").fill(words)
        page.wait_for_selector(found)
