"""The site of the documents: its navigation, the API pages, and the parts that build and check it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import tomllib
from pathlib import Path
from types import ModuleType

import griffe
import pytest

import flatrec

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
API = "\n".join(page.read_text(encoding="utf-8") for page in sorted((DOCS / "api").glob("*.md")))
PUBLIC = (
    "flatrec",
    "flatrec.config",
    "flatrec.data.shop",
    "flatrec.data.splitting",
    "flatrec.evaluation",
    "flatrec.evaluation.metrics",
    "flatrec.event_log",
    "flatrec.inference.ann",
    "flatrec.inference.cold_start",
    "flatrec.inference.export",
    "flatrec.inference.export.database",
    "flatrec.inference.where",
    "flatrec.optim",
    "flatrec.refresh",
    "flatrec.research.league",
    "flatrec.research.reproduction",
    "flatrec.research.robustness",
    "flatrec.research.sweeps",
    "flatrec.testing",
    "flatrec.training",
)


@pytest.fixture(scope="module", autouse=True)
def _site_modules():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        patch.syspath_prepend(DOCS / "site")
        yield


def entries(nav):
    for one in nav:
        for value in one.values() if isinstance(one, dict) else [one]:
            yield from [value] if isinstance(value, str) else entries(value)


def test_every_page_is_in_the_navigation_and_every_entry_is_a_page():
    sources = importlib.import_module("sources")
    nav = list(entries(tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]))
    files = [file.relative_to(ROOT).as_posix() for folder in (DOCS, ROOT / "notebooks") for file in folder.rglob("*.*")]
    documents = [name for name in sources.DOCUMENTS if (ROOT / name).exists()]
    pages = [sources.page_of(Path(name)) for name in (*files, *documents) if name.endswith((".md", ".ipynb"))]
    assert sorted(nav) == sorted(map(str, pages))


def documented():
    """The names that API pages document."""
    headings = re.findall(r"\{ #(\S+) \}", API)  # of what no directive can document
    return {*re.findall(r"^::: (\S+)", API, flags=re.MULTILINE), *headings}


@pytest.fixture(scope="module")
def objects():
    """What API pages document, by identity: a name may be public in two places."""
    found = {name: pkgutil.resolve_name(name) for name in documented()}
    assert [name for name, value in found.items() if isinstance(value, ModuleType)] == []
    return list(found.values())


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_on_an_api_page(module, objects):
    home = importlib.import_module(module)
    public = {name: getattr(home, name) for name in home.__all__ if not name.startswith("__")}
    assert [name for name, value in public.items() if not any(value is one for one in objects)] == []


def test_every_strategy_and_every_loss_is_on_an_api_page():
    strategies = {f"{kind.__module__}.{kind.__name__}" for kind in flatrec.strategies.STRATEGIES.values()}
    losses = {f"{kind.__module__}.{kind.__name__}" for kind in flatrec.losses.LOSSES.values()}
    assert strategies | losses <= documented()


def site(tmp_path, **pages):
    for name, text in pages.items():
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
    return importlib.import_module("links").faults(tmp_path)


def test_a_site_whose_links_lead_somewhere_has_no_faults(tmp_path):
    page = '<h1 id="top">A</h1><a href="b.html#end">b</a> <a href="#top">up</a> <a href="https://a.org/x">x</a>'
    assert site(tmp_path, a=page, b='<a id="end" href="/a.html">a</a>') == []


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ('<a href="c.html">c</a>', "a.html: no file for the link to c.html"),
        ('<a href="a.html#none">c</a>', "a.html: no anchor for the link to a.html#none"),
        ('<a href="#none">c</a>', "a.html: no anchor for the link to #none"),
        ('<img src="https://a.org/x.png" alt="x">', "a.html: loads https://a.org/x.png from elsewhere"),
        ('<script src="//a.org/x.js"></script>', "a.html: loads //a.org/x.js from elsewhere"),
        ('<link rel="stylesheet" href="https://a.org/x.css">', "a.html: loads https://a.org/x.css from elsewhere"),
        ('<img src="a.html" alt="">', "a.html: image a.html has no alt text"),
        ('<p style="background: url(https://a.org/x)">', "a.html: <p> has a style that loads from elsewhere"),
    ],
)
def test_a_fault_of_a_page_is_found(tmp_path, page, fault):
    assert site(tmp_path, a=page) == [fault]


def test_a_style_sheet_that_loads_from_elsewhere_is_found(tmp_path):
    (tmp_path / "a.css").write_text("@import 'https://a.org/x.css';", encoding="utf-8")
    assert site(tmp_path) == ["a.css: loads from elsewhere"]


def test_a_fault_that_many_pages_share_is_told_once(tmp_path):
    broken = '<a href="c.html">c</a>'
    assert site(tmp_path, a=broken, b=broken) == ["a.html and 1 other page: no file for the link to c.html"]


def test_formulas_become_mathml():
    formulas = importlib.import_module("formulas")
    page = r'<p>So <span class="arithmatex">\(x &lt; y_1\)</span>:</p><div class="arithmatex">\[\frac{a}{b}\]</div>'
    shown = formulas.with_formulas(page)
    assert "arithmatex" not in shown
    assert re.search(r"<math[^>]*>.*<mi>x</mi><mo>&#x0003C;</mo><msub>", shown)
    assert re.search(r'<div class="formula"><math[^>]*display="block".*<mfrac>', shown)


def test_a_formula_that_is_not_understood_is_an_error():
    formulas = importlib.import_module("formulas")
    with pytest.raises(ValueError, match=r"formula 'a \\\\unknown b' is not understood"):
        formulas.with_formulas(r'<span class="arithmatex">\(a \unknown b\)</span>')


def test_links_to_files_of_the_repository_become_links_between_pages(tmp_path):
    sources = importlib.import_module("sources")
    root, out = tmp_path / "root", tmp_path / "out"
    files = {
        "README.md": "# R\n[a](docs/a.md#x) ![p](docs/p.png)\n",
        "experiments/LOG.md": "# Log\n[a](../docs/a.md)\n",
        "docs/a.md": "[r](../README.md#r)[b](api/b.md)\n```\n[n](l.md)\n```\n[l](../experiments/LOG.md)[c](../.c/c.py)",
        "docs/api/b.md": "[a](../a.md) [n](../../notebooks/n.ipynb) [out](https://a.org/b.md) [here](#x)\n",
        "docs/p.png": "",
        ".c/c.py": "print('```')\n",
        "notebooks/n.ipynb": '{"cells": [{"cell_type": "markdown", "source": ["# N [a](../docs/a.md)"]},'
        ' {"cell_type": "code", "source": ["1 + 1"]}]}',
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    sources.Sources(root, out).write()
    written = {file.relative_to(out).as_posix(): file.read_text(encoding="utf-8") for file in out.rglob("*.*")}
    assert written["readme.md"] == "# R\n[a](a.md#x) ![p](p.png)\n"
    assert written["lab-book.md"] == "# Log\n[a](a.md)\n"
    assert written["a.md"] == "[r](readme.md#r)[b](api/b.md)\n```\n[n](l.md)\n```\n[l](lab-book.md)[c](files/c/c.py.md)"
    assert written["api/b.md"] == "[a](../a.md) [n](../notebooks/n.md) [out](https://a.org/b.md) [here](#x)\n"
    assert "````python\nprint('```')\n" in written["files/c/c.py.md"]
    assert written["notebooks/n.md"].startswith("# N [a](../a.md)\n\n[Download this notebook](n.ipynb)")
    assert "```python\n1 + 1\n```" in written["notebooks/n.md"]
    assert written["notebooks/n.ipynb"] == files["notebooks/n.ipynb"]


def test_a_link_to_a_file_that_is_not_there_is_an_error(tmp_path):
    sources = importlib.import_module("sources")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("[b](b.md)", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"docs/a.md: no file docs/b.md for the link to b.md"):
        sources.Sources(tmp_path, tmp_path / "out").write()


def test_docstrings_mean_to_markdown_what_they_say():
    docstrings = importlib.import_module("docstrings")
    text = "A <b of :func:`flatrec.fit`.\n\n    y = <a>\n\nArgs:\n    x: ``a_`` * b_ c.\n\nExample:\n    >>> [1][:1]\n"
    link = '<autoref identifier="flatrec.fit" optional><code>flatrec.fit</code></autoref>'
    expected = f"A \\<b of {link}.\n\n    y = <a>\n\nArgs:\n    x: `a_` * b\\_ c.\n\nExamples:\n    >>> [1][:1]\n"
    assert docstrings.as_markdown(text) == expected


def test_long_names_may_break_between_their_words():
    line_breaks = importlib.import_module("line_breaks")
    page = "<code>training.batch_size</code> <code>a.b</code> <code>two words.here</code> <code><a>training.size</a>"
    shown = page.replace("training.batch_size", "training.<wbr>batch_<wbr>size")
    assert line_breaks.with_line_breaks(page) == shown


@pytest.fixture(scope="module")
def package():
    """The package as the API pages see it."""
    docstrings = importlib.import_module("docstrings")
    return griffe.load("flatrec", search_paths=[ROOT / "src"], extensions=griffe.load_extensions(docstrings.Docstrings))


@pytest.mark.parametrize(
    "name",
    ["strategies.bsam.BSAM", "config.experiment.Training", "evaluation.metrics.lists.TopK", "data.dataset.Dataset"],
)
def test_an_api_page_shows_the_arguments_of_a_class_as_they_are(package, name):
    shown = [one.name for one in package[name].parameters if one.name != "self"]
    assert shown == list(inspect.signature(pkgutil.resolve_name(f"flatrec.{name}")).parameters)
