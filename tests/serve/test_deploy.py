"""The examples of running the service elsewhere."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import typer
from typer.main import get_command

import flatrec
from flatrec.cli.serve import serve
from tests.serve.shops import saved

DEPLOY = Path(__file__).parents[2] / "deploy"


def options():
    single = typer.Typer()
    single.command()(serve)
    return {name for one in get_command(single).params for name in one.opts}


def test_the_dockerfile_copies_what_is_there_and_serves_with_options_that_exist():
    text = (DEPLOY / "Dockerfile").read_text()
    for words in re.findall(r"^COPY (.*) \S+$", text, flags=re.MULTILINE):
        assert all((DEPLOY.parent / name).exists() for name in words.split())
    words = json.loads(re.search(r"^CMD (\[.*\])$", text, flags=re.MULTILINE)[1])
    assert {word for word in words if word.startswith("--")} <= options()


def test_the_unit_serves_with_options_that_exist():
    unit = DEPLOY / "flatrec.service"
    program, command, *words = shlex.split(re.search(r"^ExecStart=(.*)$", unit.read_text(), flags=re.MULTILINE)[1])
    assert (Path(program).name, command) == ("flatrec", "serve")
    assert {word for word in words if word.startswith("--")} <= options()


@pytest.mark.slow
def test_granian_runs_the_app(tmp_path):
    if importlib.util.find_spec("granian") is None:
        pytest.skip("granian is not installed")
    (tmp_path / "service.py").write_text(
        "from pathlib import Path\n\nfrom flatrec.serve.runner import Factory\n"
        "from flatrec.serve.settings import ServeSettings\n\n"
        f"app = Factory(Path({str(saved(tmp_path))!r}), ServeSettings())()\n"
    )
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "service:app", "--port", "8471"]
    environment = {**os.environ, "PYTHONPATH": str(Path(flatrec.__file__).parents[1])}
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, env=environment) as process:
        try:
            assert recommended("http://127.0.0.1:8471") == "known"
        finally:
            process.terminate()


@pytest.mark.slow
def test_ray_serve_runs_the_app(tmp_path):
    if importlib.util.find_spec("ray") is None or importlib.util.find_spec("fastapi") is None:
        pytest.skip("ray[serve] is not installed")
    environment = {**os.environ, "FLATREC_RECOMMENDER": str(saved(tmp_path))}
    command = [shutil.which("serve"), "run", "deploy.ray_serve:app"]
    with subprocess.Popen(command, cwd=DEPLOY.parent, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            assert recommended("http://127.0.0.1:8000") == "known"
        finally:
            process.terminate()


def recommended(address):
    """The path of a list, as soon as the service answers."""
    end = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(f"{address}/v1/recommend/ann") as answer:
                return json.loads(answer.read())["path"]
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.5)
