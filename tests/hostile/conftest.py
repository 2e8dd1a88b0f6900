"""One nursery for all commands of a test session, and what they work on."""

from __future__ import annotations

from functools import partial

import pytest
from PIL import Image

from flatrec.data.formats import mmrec
from flatrec.testing import block_dataset
from tests.data.amazon.files import image_features, meta_2014, reviews_2014
from tests.hostile.processes import Command, Nursery


@pytest.fixture(scope="session")
def nursery():
    made = Nursery()
    yield made
    made.close()


@pytest.fixture(scope="session")
def begin(nursery):
    """Begins a command."""
    return partial(Command, nursery)


@pytest.fixture(scope="session")
def run(begin):
    """Runs a command from its begin to its end."""
    return lambda *words, **others: begin(*words, **others).ended()


@pytest.fixture
def raw(tmp_path):
    """A folder with clicks, items, images and Amazon's files."""
    folder = tmp_path / "raw"
    (folder / "images").mkdir(parents=True)
    rows = [f"s{n},{'word ' * (n % 5 + 1)}{n},images/s{n}.png" for n in range(60)]
    (folder / "items.csv").write_text("sku,text,image\n" + "\n".join(rows) + "\n")
    for n in range(60):
        Image.new("RGB", (64, 64), (n, 2 * n, 3 * n)).save(folder / "images" / f"s{n}.png")
    image_features(folder / "i.b")
    reviews_2014(folder / "r.json.gz")
    meta_2014(folder / "m.json.gz")
    return folder


@pytest.fixture(scope="session")
def blocks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "blocks"
    mmrec.write(block_dataset(blocks=3, users=8, items=6), folder)
    return folder
