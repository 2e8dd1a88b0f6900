"""The tables of models, strategies, studies and commands say what the classes and functions say of themselves."""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

import flatrec
from flatrec.cli.commands import COMMANDS
from flatrec.cli.descriptions import describe
from flatrec.models import BASELINES, MODELS, registry
from flatrec.models.base import Baseline, Model
from flatrec.research.studies import STUDIES
from flatrec.strategies import MIXABLE, STRATEGIES
from flatrec.strategies.base import SingleBatchStrategy, Strategy
from flatrec.utils.lazy_registry import Entry, Registry

SOURCE = Path(flatrec.__file__).parent


@pytest.mark.parametrize("name", [*MODELS, *BASELINES])
def test_a_row_of_models_says_what_the_docstring_says(name):
    described, entry = describe(name), registry.ENTRIES[name]
    reference = described.reference
    paper = "" if reference is None else f"{reference}, {reference.link}"
    reads = entry.family in (registry.FEATURES, registry.FEATURE_BASELINE)
    assert (entry.about, entry.paper) == (described.about, paper)
    assert reads == (described.modalities != "none")


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_row_of_strategies_says_what_the_docstring_says(name):
    kind = STRATEGIES[name]
    assert STRATEGIES.entries[name].about == inspect.getdoc(kind).partition("\n")[0]
    assert issubclass(kind, SingleBatchStrategy) == (name in MIXABLE)


@pytest.mark.parametrize("name", STUDIES)
def test_a_row_of_studies_says_what_the_study_asks(name):
    assert STUDIES.entries[name].about == STUDIES[name].QUESTION


@pytest.mark.parametrize(
    ("package", "tables", "bases"),
    [("models", (MODELS, BASELINES), (Model, Baseline)), ("strategies", (STRATEGIES,), (Strategy,))],
)
def test_every_class_that_can_be_chosen_has_a_row(package, tables, bases):
    """Wrappers, which take a model or a strategy, and bases, which are abstract, need none."""
    listed = {table[name] for table in tables for name in table}
    for path in (SOURCE / package).glob("*.py"):
        module = import_module(f"flatrec.{package}.{path.stem}") if path.stem != "__init__" else flatrec
        for kind in vars(module).values():
            if inspect.isclass(kind) and kind.__module__ == module.__name__ and issubclass(kind, bases):
                wraps = any(word in inspect.signature(kind).parameters for word in ("inner", "model"))
                assert kind in listed or inspect.isabstract(kind) or wraps, kind


def reached(package):
    """The modules of a package that each of them imports, however indirectly."""
    direct = {}
    for path in (SOURCE / package).glob("*.py"):
        imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        prefix = f"flatrec.{package}."
        direct[path.stem] = {
            name for node in imports for name in _modules(node, prefix) if path.stem != "__init__" and name != path.stem
        }
    found = {name: set(modules) for name, modules in direct.items()}
    for _ in direct:
        found = {name: modules.union(*(found.get(one, set()) for one in modules)) for name, modules in found.items()}
    return found


def _modules(node, prefix):
    if f"{node.module}." == prefix:
        return [name.name for name in node.names]
    return [node.module.removeprefix(prefix).split(".")[0]] if (node.module or "").startswith(prefix) else []


@pytest.mark.parametrize(("package", "tables"), [("models", (MODELS, BASELINES)), ("strategies", (STRATEGIES,))])
def test_no_model_or_strategy_imports_another(package, tables):
    listed = {one.target.partition(":")[0].rpartition(".")[2] for table in tables for one in table.entries.values()}
    assert len(listed) > 10
    for name, modules in reached(package).items():
        if name != "__init__":
            assert not modules & (listed - {name}), f"{name} imports {modules & listed}"


def test_the_search_for_imports_finds_indirect_ones():
    assert {"losses", "base"} <= reached("models")["freedom"]
    assert {"perturbation", "context"} <= reached("strategies")["bsam"]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_row_of_commands_says_what_the_help_of_the_command_says(name):
    target, panel, about = COMMANDS[name]
    module, _, function = target.partition(":")
    found = getattr(import_module(module), function)
    said = found.info.help if function == "app" else inspect.getdoc(found).partition("\n\n")[0]
    assert about == " ".join(said.split())
    assert panel in ("Data", "Train and compare", "Recommend", "Research", "Develop")


def test_a_registry_imports_what_is_looked_up_alone():
    table = Registry({"gone": Entry("nowhere.at:All", "files", ""), "path": Entry("pathlib:Path", "files", "")})
    assert "gone" in table
    assert list(table) == ["gone", "path"]
    assert table["path"] is Path
    with pytest.raises(ModuleNotFoundError):
        _ = table["gone"]
    with pytest.raises(KeyError):
        _ = table["other"]
    assert not Registry(table.entries, ("others",))


def test_every_public_package_can_be_reached():
    for path in SOURCE.iterdir():
        if path.is_dir() and (path / "__init__.py").exists():
            assert getattr(flatrec, path.name) is import_module(f"flatrec.{path.name}")
    assert flatrec.models.losses is import_module("flatrec.models.losses")
    for package, name in [(flatrec, "nothing"), (flatrec.models, "Nothing"), (flatrec.models, "__path_of__")]:
        with pytest.raises(AttributeError, match=re.escape(f"has no attribute {name!r}")):
            getattr(package, name)
