"""The project's words: one term for one thing, the field's own, in American spelling."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import typer

from flatrec.cli.app import app

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "flatrec"
OLD_WORDS = SOURCE / "config" / "old_words.py"  # the table of old words, which answers with the new ones
WORDS_PAGE = ROOT / "docs" / "words.md"  # the page of old words, which quotes them as code
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])

# What is banned everywhere: in names, options, messages, docstrings, headings and pages.
EVERYWHERE = (
    r"anew|yardsticks?|remarks?|remarked|pictures?|newcomers?|colours?|neighbours?|catalogues?|centres?|behaviours?"
    r"|favours?|artefacts?|licences?|learnt|towards|analyse[ds]?|modelling|labelled|cancelled"
)
BRITISH = (
    r"(?:un|re|de|mis)?(?:normal|summar|regular|personal|general|initial|optim|minim|maxim|recogn|organ|serial|vector"
    r"|parallel|synchron|util|visual|symmetr|penal|random|standard|categor|priorit|equal|material|final|special|memor"
    r"|local|stabil|factor|binar|linear)is(?:e|ed|es|er|ers|ing|ation|ations)"
)
# What is banned in the names of modules, classes, functions, parameters and fields.
IN_NAMES = re.compile(
    r"yardstick|remarks?|pictures?|newcomers?|rivals?|usual|anew|thinning|unperturbed|shifted|elsewhere|learners?"
    r"|observers?|waited|pairing|refined|straight|cuts|neighbours?|colour|pairs|shares?"
)
OPTIONS = {
    *("--part", "--share", "--way", "--with-known", "--length", "--core", "--key-variable", "--tries", "--rate"),
    *("--keep-unanswered", "--experiment", "--cold", "--picture-dir", "--picture-column", "--picture-encoder"),
    *("--pairs", "--neighbours", "--neighbors"),
}

BANNED = re.compile(rf"(?i)\b(?:{EVERYWHERE}|{BRITISH})\b")
ALLOWED = re.compile(r"raw_neighbour|grey")
CODE = re.compile(r"`[^`]*`")


@cache
def modules():
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCE.rglob("*.py"))}


def names_of(tree):
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.name
            if not node.name.startswith("_") or node.name == "__init__":
                arguments = node.args
                for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                    yield one.lineno, one.arg
        elif isinstance(node, ast.ClassDef):
            yield node.lineno, node.name
            for one in node.body:
                if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
                    yield one.lineno, one.target.id


def words_of(name):
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def test_public_names_use_the_terms_of_the_field():
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path, tree in modules().items()
        for line, name in ((1, path.stem), *names_of(tree))
        if not (name.startswith("_") and name != "__init__") and any(map(IN_NAMES.fullmatch, words_of(name)))
    ]
    assert found == []


@pytest.mark.parametrize("paths", [[*modules()], PAGES], ids=["source", "pages"])
def test_source_and_pages_are_spelled_in_one_way(paths):
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in paths
        if path != OLD_WORDS
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if BANNED.search(ALLOWED.sub("", CODE.sub("", line) if path == WORDS_PAGE else line))
    ]
    assert found == []


def commands(command, words=()):
    yield words, command
    context = typer.Context(command)
    for name in command.list_commands(context) if isinstance(command, typer.core.TyperGroup) else ():
        yield from commands(command.get_command(context, name), (*words, name))


def test_options_and_their_help_use_the_terms_of_the_field():
    found = []
    for words, command in commands(typer.main.get_command(app)):
        for parameter in command.params:
            text = getattr(parameter, "help", "") or ""
            if set(parameter.opts) & OPTIONS or BANNED.search(text):
                found.append((" ".join(words), parameter.opts, text))
        if BANNED.search(command.help or ""):
            found.append((" ".join(words), command.help))
    assert found == []


def test_help_lines_of_options_stand_alone():
    found = [
        (" ".join(words), parameter.opts, text)
        for words, command in commands(typer.main.get_command(app))
        for parameter in command.params
        if (text := getattr(parameter, "help", "") or "")
        and (len(text.split()) < 2 or text.startswith(("Of ", "How ", "Its ")))
    ]
    assert found == []
