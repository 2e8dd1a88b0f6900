"""The service of the demo, with its page in the browser."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from threading import Thread

import typer

from flatrec.config import validate
from flatrec.serve.runner import Factory, serve
from flatrec.serve.settings import ServeSettings


def serve_demo(source: Path, compare: Path, *, port: int | None, browser: bool) -> None:
    """Serve a run beside another one until Ctrl-C, and open the page.

    Raises:
        ValueError: the port is out of range.
        OSError: it cannot be listened on.
    """
    given = {} if port is None else {"port": port}
    settings = validate(ServeSettings, {"user_search": True, **given}, "serve")

    def announce(address: str) -> None:
        typer.echo(f"flatrec: the page of {source} is at {address} until Ctrl-C", err=True)
        if browser and has_browser():
            Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    serve(Factory(source, settings, compare), announce)


def has_browser() -> bool:
    """Return True if a browser has a screen to be opened on; one in the terminal would take its place."""
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
