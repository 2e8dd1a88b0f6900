"""flatrec demo --serve: makes the demo once, and serves what is there."""

from __future__ import annotations

import sys
import webbrowser

import pytest

from flatrec.cli import demo as command
from flatrec.cli import demo_service
from flatrec.config import Training
from flatrec.data.shop import ShopSettings
from flatrec.inference.storage import load_recommender
from flatrec.research.demo import DemoSettings, run_demo
from flatrec.research.demo_runs import finished_demo

TINY = DemoSettings(
    shop=ShopSettings(users=40, items=30, image_dim=4, text_dim=4),
    encoders="shop",
    training=Training(epochs=1, batch_size=128, loggers=()),
    strategies=("plain", "bsam+"),
    seeds=(0,),
    k=4,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a finished demo."""
    out = tmp_path_factory.mktemp("demo") / "out"
    run_demo(out, settings=TINY)
    return out


@pytest.fixture
def served(monkeypatch):
    """What would be served: factory and address are kept, and no server runs."""
    calls = []

    def serve(factory, announce):
        calls.append(factory)
        announce("http://127.0.0.1:8000")

    monkeypatch.setattr(demo_service, "serve", serve)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return calls


def test_a_demo_has_recommenders_of_the_last_and_the_first_strategy(made):
    runs = finished_demo(made, TINY)
    assert (runs.source, runs.baseline) == (made / "runs/bsam+/seed-0", made / "runs/plain/seed-0")
    assert [load_recommender(run).facts.strategy for run in runs] == ["bsam+", "plain"]
    assert {"category", "price", "in_stock"} <= set(load_recommender(runs.source).catalog.frame.columns)


def test_a_folder_without_a_finished_demo_has_none(tmp_path, made):
    assert finished_demo(tmp_path, TINY) is None
    assert finished_demo(made, DemoSettings(seeds=(7,))) is None


def test_a_demo_that_is_there_is_served_at_once(flatrec, made, served, monkeypatch):
    monkeypatch.setattr(command, "_make", lambda *_, **__: pytest.fail("made again"))
    outcome = flatrec("demo", "--out", made, "--serve", "--port", "8123")
    assert outcome.code == 0, outcome.err
    (factory,) = served
    assert (factory.path, factory.compare) == finished_demo(made, TINY)
    assert (factory.settings.port, factory.settings.user_search, factory.settings.page) == (8123, True, True)
    assert outcome.err.splitlines() == [f"flatrec: the page of {factory.path} is at http://127.0.0.1:8000 until Ctrl-C"]


@pytest.mark.parametrize("words", [(), ("--overwrite",)])
def test_a_demo_is_made_where_there_is_none_or_another_is_wanted(flatrec, tmp_path, made, served, monkeypatch, words):
    out = made if words else tmp_path / "new"
    asked = []
    monkeypatch.setattr(
        command, "_make", lambda *_, **given: asked.append(given["overwrite"]) or out.mkdir(exist_ok=True)
    )
    monkeypatch.setattr(
        "flatrec.research.demo_runs.finished_demo", lambda _: finished_demo(made, TINY) if asked else None
    )
    assert flatrec("demo", "--out", out, "--serve", *words).code == 0
    assert asked == [bool(words)]
    assert len(served) == 1


@pytest.mark.usefixtures("served")
def test_the_browser_is_opened_only_where_there_is_a_screen(flatrec, made, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(demo_service, "Thread", Now)
    monkeypatch.setattr(sys, "platform", "linux")
    assert flatrec("demo", "--out", made, "--serve").code == 0
    assert opened == []
    monkeypatch.setenv("DISPLAY", ":0")
    assert flatrec("demo", "--out", made, "--serve", "--no-browser").code == 0
    assert opened == []
    assert flatrec("demo", "--out", made, "--serve").code == 0
    assert opened == ["http://127.0.0.1:8000"]


class Now:
    """A thread that does its work when it is started."""

    def __init__(self, target, args, daemon):
        self.run, self.daemon = lambda: target(*args), daemon

    def start(self):
        self.run()


def test_options_of_the_page_need_the_page(flatrec, tmp_path):
    outcome = flatrec("demo", "--out", tmp_path / "out", "--port", "8123")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "--serve" in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("words", "encoders"), [((), "shop"), (("--encoders", "real"), "real")])
def test_a_quick_demo_is_smaller(flatrec, tmp_path, made, monkeypatch, words, encoders):
    asked = []

    class StopError(Exception):
        """In the place of a demo."""

    def run(*_, settings, **__):
        asked.append(settings)
        raise StopError

    monkeypatch.setattr("flatrec.research.demo.run_demo", run)
    assert flatrec("demo", "--quick", *words, "--out", tmp_path / "out").code == 1
    (settings,) = asked
    assert settings == DemoSettings.quick(encoders)
    assert settings.encoders == encoders
    assert settings.shop.users < DemoSettings().shop.users
    assert settings.training.epochs < DemoSettings().training.epochs
    assert finished_demo(made, settings) == finished_demo(made)  # which --serve looks for


@pytest.mark.slow
def test_a_quick_demo_is_made(flatrec, tmp_path):
    outcome = flatrec("demo", "--quick", "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "out" / "report.html").is_file()
    assert finished_demo(tmp_path / "out") is not None
