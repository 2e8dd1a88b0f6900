"""The documents say what is so."""

from __future__ import annotations

import importlib
import re
import sys
import textwrap
import types
from pathlib import Path

import polars as pl
import pytest
import torch

import flatrec
from flatrec.cli.descriptions import describe
from flatrec.config.description import parse_docstring
from flatrec.data.loading import load_data
from flatrec.models import BASELINES, MODELS
from flatrec.registry.instantiate import strategy_names
from flatrec.registry.listing import setting_groups
from flatrec.testing import block_dataset, check_model

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_examples_of_the_readme_run(capsys):
    for example in blocks("python"):
        exec(compile(example, "README.md", "exec"), {})  # noqa: S102
    printed = capsys.readouterr().out.splitlines()
    assert 0 <= float(printed[0]) <= 1
    assert len(printed) == 6


def example_of(document, monkeypatch):
    """The class that a guide's first Python block defines."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    block, *_ = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    module = types.ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)  # dataclasses look their module up
    exec(compile(textwrap.dedent(block), document, "exec"), vars(module))  # noqa: S102
    return module.Example


def test_the_examples_of_the_guides_train(monkeypatch):
    dataset, training = block_dataset(), flatrec.Training(epochs=2, batch_size=32)
    example = example_of("adding-a-model.md", monkeypatch)
    model = example(dataset, example.Config(embedding_dim=4))
    strategy = example_of("adding-a-strategy.md", monkeypatch)(strength=0.2)
    run = flatrec.fit(dataset, model, strategy, training=training)
    assert run.result["epochs"] == 2
    assert set(strategy.state()) == {"steps", *(f"last.{place}" for place, _ in enumerate(model.parameters()))}


def test_the_model_of_the_guide_passes_every_check(monkeypatch):
    findings = check_model(example_of("adding-a-model.md", monkeypatch))
    assert [(one.check, one.reason) for one in findings if one.outcome != "ok"] == []


def test_the_description_of_own_data_in_the_readme_is_read(tmp_path):
    (description,) = blocks("toml")
    (tmp_path / "dataset.toml").write_text(description)
    pairs = [(f"c{customer}", f"sku-{(customer + step) % 8}") for customer in range(8) for step in range(6)]
    rows = [f"{customer},{sku},2024-05-{day % 28 + 1:02}" for day, (customer, sku) in enumerate(pairs)]
    (tmp_path / "clicks.csv").write_text("\n".join(["customer,sku,clicked_at", *rows, ""]))
    (tmp_path / "products.csv").write_text("sku,name\n" + "".join(f"sku-{n},Mug {n}\n" for n in range(8)))
    pl.DataFrame({"sku": [f"sku-{n}" for n in range(7)], "a": [0.5] * 7, "b": list(range(7))}).write_parquet(
        tmp_path / "image.parquet"
    )
    dataset = load_data(tmp_path / "dataset.toml")
    assert (dataset.n_users, dataset.n_items, len(dataset.interactions)) == (8, 8, 48)
    assert dataset.split_report.settings.method == "time"
    assert dataset.titles[dataset.items.index_of("sku-3")] == "Mug 3"
    assert dataset.features["image"].present.sum() == 7


@pytest.mark.parametrize("name", [*MODELS, *BASELINES, *(one for one in strategy_names() if "+" not in one)])
def test_the_readme_names_every_model_and_strategy(name):
    assert f"`{name}`" in README


def test_links_to_files_lead_somewhere():
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_public_names_are_there():
    assert all(getattr(flatrec, name) is not None for name in flatrec.__all__)
    assert set(flatrec.__all__) <= set(dir(flatrec))
    with pytest.raises(AttributeError, match="no attribute"):
        _ = flatrec.nothing
    assert flatrec.models.FREEDOM is MODELS["freedom"]


@pytest.fixture(scope="module")
def generator():
    """The script that writes the generated pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")
        yield importlib.import_module("generate")


@pytest.fixture(scope="module")
def pages(generator):
    """The text of every generated page."""
    return generator.pages()


GENERATED = ["models.md", "settings.md", "commands.md", "api/optimizers.md"]


@pytest.mark.parametrize("page", GENERATED)
def test_a_generated_page_is_what_classes_and_commands_say(pages, page):
    assert list(pages) == GENERATED
    assert (ROOT / "docs" / page).read_text(encoding="utf-8") == pages[page], "run make docs"


def test_the_page_of_models_shows_the_defaults_of_a_model(generator, monkeypatch):
    monkeypatch.setattr(MODELS["lightgcn"], "DEFAULTS", {"regularization.kind": "squared", "optimizer.lr": 0.003})
    section = generator.section(describe("lightgcn"))
    assert '| `regularization.kind` | `"squared"` |\n| `optimizer.lr` | `0.003` |' in section
    assert "training.md#defaults-of-a-model" in section
    assert "#defaults-of-a-model" not in generator.section(describe("bpr"))


def test_every_setting_but_those_of_torch_has_a_meaning():
    for group in setting_groups():
        if group.group not in ("optimizer", "schedule"):
            assert [setting.name for setting in group.settings if not setting.meaning] == [], group.name


@pytest.mark.parametrize("name", MODELS)
def test_every_model_cites_its_paper_and_says_where_it_deviates(pages, name):
    described = describe(name)
    assert described.reference is not None, described.doc.short_description
    assert f"]({described.reference.link})" in pages["models.md"]
    assert "Deviations" in described.doc.long_description


@pytest.mark.parametrize("name", [*MODELS, *BASELINES])
def test_every_setting_is_documented_and_none_that_is_not_there(name):
    described = describe(name)
    settings = {setting.name for setting in described.settings}
    assert {param.arg_name for param in parse_docstring(described.kind.Config).params} <= settings
    assert all(setting.meaning and setting.default is not None for setting in described.settings)
    groups = {key: key.partition(".") for key in described.search_space}
    assert all(group in ("model", "optimizer", "training", "strategy") for group, _, _ in groups.values())
    assert {setting for group, _, setting in groups.values() if group == "model"} <= settings


def test_the_examples_on_the_page_of_models_run(pages):
    examples = re.findall(r"```python\n(.*?)```", pages["models.md"], flags=re.DOTALL)
    assert len(examples) == len([*MODELS, *BASELINES])
    for example in examples:
        exec(compile(example, "models.md", "exec"), {})  # noqa: S102


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("S^L_ii E_item, a * b", "S^L_ii E_item, a * b"),
        ("<e_u, e_i> < 3", r"\<e_u, e_i> < 3"),
        ("x_{l-1}, a*b, 2**3", r"x\_{l-1}, a\*b, 2\*\*3"),
        ("``a_*``, :func:`b.c_` and https://d.org/e_f.", "`a_*`, `b.c_` and <https://d.org/e_f>."),
        ("[a](b)", r"[a\](b)"),
    ],
)
def test_prose_means_to_markdown_what_it_says(generator, text, markdown):
    assert generator.prose(text) == markdown


def test_indented_blocks_keep_their_form_and_paragraphs_cannot_turn_into_lists(generator):
    text = "A sum of terms\n+ another term:\n\n    y = <a, b>\n      * c\n\nDeviations: none,\n- not one."
    expected = "A sum of terms + another term:\n\n```text\ny = <a, b>\n  * c\n```\n\n**Deviations:** none, - not one.\n"
    assert generator.body(text) == expected


def test_the_examples_of_the_optimizers_run():
    text = (ROOT / "docs" / "optimizers.md").read_text(encoding="utf-8")
    parts = re.findall(r"(<!-- not run: [^\n]* -->\n)?```python\n(.*?)```", text, flags=re.DOTALL)
    assert sum(not skipped for skipped, _ in parts) == 4
    namespace: dict[str, object] = {}
    for skipped, example in parts:
        compile(example, "optimizers.md", "exec")
        if not skipped:
            exec(compile(example, "optimizers.md", "exec"), namespace)  # noqa: S102
    assert bool(torch.isfinite(namespace["loss"]))


def test_the_example_of_frames_runs(capsys):
    text = (ROOT / "docs" / "raw-data.md").read_text(encoding="utf-8")
    section = text.split("## From frames in Python\n")[1].split("\n## ")[0]
    (example,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    namespace: dict[str, object] = {}
    exec(compile(example, "raw-data.md", "exec"), namespace)  # noqa: S102
    assert capsys.readouterr().out == (
        "Dataset products: 3 users, 3 items, 6 interactions (train 2, valid 1, test 3), features text (3), from "
        "2024-01-31, to 2024-03-08\n"
    )
    assert namespace["frame"].filter(split="test")["user"].to_list() == ["ann", "bob", "eve"]
