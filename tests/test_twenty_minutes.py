"""The page on a shop in twenty minutes: its commands, word for word, with a real PostgreSQL server."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.inference.export.database.exports import Client
from tests.postgresql_server import USER, running_server

PAGE = Path(__file__).parents[1] / "docs" / "shop-in-twenty-minutes.md"
INSTALL = "python -m venv"  # the commands of this block install the package, which the test has already


def steps():
    """Yield the blocks of the page: files as (name, text), commands as (None, lines)."""
    for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S):
        if language == "toml":
            yield text.partition("\n")[0].removeprefix("# "), text
        elif INSTALL not in text:
            yield None, text


@pytest.fixture
def server():
    with running_server() as made:
        yield made


@pytest.mark.slow
def test_every_command_of_the_page_works(tmp_path, server):
    path = f"{Path(sys.executable).parent}:{server.programs}:{os.environ['PATH']}"
    of_server = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": USER}
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", **of_server}
    for name, text in steps():
        if name is not None:
            (tmp_path / name).write_text(text)
            continue
        done = subprocess.run(
            ["bash", "-eu", "-c", text], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    query = Client(server.url(database="shop"))
    assert query("SELECT count(*), count(DISTINCT rank) FROM recommendations") == [(2000 * 20, 20)]
    assert query("SELECT DISTINCT path FROM popular_items") == [("popular",)]
    assert (tmp_path / "recommenders" / "latest.html").is_file()
