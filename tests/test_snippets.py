"""Every Python block of the documents runs, in the order of its page, where it does not say why not."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

import flatrec
from flatrec.data.shop import ShopSettings, generate, write
from flatrec.inference.export import export_vectors
from tests.snippets import ROOT, blocks

# Pages whose blocks another test runs and compares with what they should give.
ELSEWHERE = {
    "README.md": "tests/test_docs.py",
    "docs/adding-a-model.md": "tests/test_guides.py",
    "docs/adding-a-strategy.md": "tests/test_guides.py",
    "docs/models.md": "tests/test_docs.py",
    "docs/optimizers.md": "tests/test_docs.py",
    "docs/recommendations.md": "tests/test_recommendations_page.py",
}
BLOCKS = {page: list(found) for page, found in itertools.groupby(blocks("python"), key=lambda block: block.page)}
LEFT_OUT = [block for found in BLOCKS.values() for block in found if block.reason]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """What the pages take for granted: the data set my-shop, the run runs/first on it, and its vectors."""
    folder = tmp_path_factory.mktemp("shop")
    write(generate(ShopSettings(users=60, items=740, images=False)), folder / "my-shop")
    training = flatrec.Training(epochs=1, loggers=())
    dataset = flatrec.load_data(folder / "my-shop")
    run = flatrec.fit(dataset, "lightgcn", training=training, out=folder / "runs" / "first")
    export_vectors(run.recommender, folder / "vectors")
    return folder


@pytest.mark.repeats
@pytest.mark.parametrize("page", [page for page in BLOCKS if page not in ELSEWHERE])
def test_the_python_blocks_of_a_page_run(page, shop, tmp_path, monkeypatch):
    shutil.copytree(shop, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "page"}
    for block in BLOCKS[page]:
        code = compile("\n" * block.line + block.text, page, "exec")
        if not block.reason:
            exec(code, namespace)  # noqa: S102


@pytest.mark.parametrize(("page", "test"), ELSEWHERE.items())
def test_the_blocks_of_the_other_pages_are_run_elsewhere(page, test):
    assert page in BLOCKS
    assert Path(page).name in (ROOT / test).read_text(encoding="utf-8")


@pytest.mark.parametrize("block", LEFT_OUT, ids=str)
def test_a_block_that_is_not_run_says_what_it_needs(block):
    assert block.reason.startswith(("needs ", "part of ")), str(block)
