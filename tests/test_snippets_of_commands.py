"""Every command line of the documents is one that flatrec takes, and every TOML block is what it shows."""

from __future__ import annotations

import re
import shlex
import tomllib
from functools import cache

import pytest
import typer

from flatrec import config
from flatrec.cli.app import load_command
from flatrec.cli.commands import COMMANDS
from flatrec.data.formats import description
from flatrec.refresh import read_settings as read_refresh
from flatrec.registry.listing import setting_groups
from flatrec.research.league import read_league
from flatrec.research.studies import STUDIES
from flatrec.research.sweeps import read_space
from tests.snippets import blocks

SHELL = ("", "console", "bash", "sh", "shell")
USAGE_ERROR = typer.BadParameter.__bases__[0]  # of click, whose module differs between versions of typer
OPERATORS = {";", "&&", "||", "|", "&", ">", ">>", "<", "(", ")", "2>"}


def command_lines():
    """The words of every call of flatrec, and where it stands."""
    for block in blocks(*SHELL):
        text = block.text.replace("\\\n", " ")
        for line in text.splitlines():
            if re.search(r"(?:^|[\s/;])flatrec\s", line) and not line.lstrip().startswith("#"):
                yield from (pytest.param(words, id=f"{block} {' '.join(words)[:40]}") for words in calls(line))


def calls(line):
    """The words after each ``flatrec`` of a line, up to the end of its command."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>()")
    lexer.whitespace_split = True
    tokens = list(lexer)
    for place, token in enumerate(tokens):
        starts = place == 0 or tokens[place - 1] in {*OPERATORS, "$", "do", "then", "-m"} or "=" in tokens[place - 1]
        if token.rpartition("/")[2] == "flatrec" and starts:
            rest = tokens[place + 1 :]
            end = next((index for index, word in enumerate(rest) if word in OPERATORS), len(rest))
            yield [word for word in rest[:end] if word != "--debug"]


@cache
def settings():
    """The dotted names of all settings: of experiments, of which a component has a name too, and of studies."""
    groups = setting_groups()
    names = {f"{group.group}.name" for group in groups if group.name}
    of_studies = {f"study.{name}" for study in STUDIES.values() for name in config.config_of(study).model_fields}
    return {group.key(one) for group in groups for one in group.settings} | names | of_studies


def check(words):
    """Fail if flatrec would refuse the words before it begins."""
    if words[0].startswith("-"):
        assert words[0] in ("--version", "--help", "--install-completion")
        return
    name, *rest = words
    assert name in COMMANDS
    command = load_command(name)
    while (commands := getattr(command, "commands", {})) and rest and not rest[0].startswith("-"):
        assert rest[0] in commands
        command, rest = commands[rest[0]], rest[1:]
    context = command.make_context(name, list(rest))
    of_own_class = ".py:" in " ".join(words)
    for one in context.params.get("sets") or []:
        key = one.partition("=")[0]
        assert key in settings() or (of_own_class and key.startswith(("model.", "strategy.")))


@pytest.mark.parametrize("words", list(command_lines()))
def test_a_command_line_of_the_documents_is_taken(words):
    check(words)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("flatrec trian --data shop", AssertionError),
        ("flatrec data imfo my-data", AssertionError),
        ("flatrec train --modle bpr --out runs/a", USAGE_ERROR),
        ("flatrec train --model bpr", USAGE_ERROR),
        ("flatrec train --seed one --out runs/a", USAGE_ERROR),
        ("flatrec train --set training.epoch=3 --out runs/a", AssertionError),
        ("OMP_NUM_THREADS=1 flatrec train --out runs/a && flatrec recomend runs/a", AssertionError),
    ],
)
def test_a_mistake_in_a_command_line_is_found(line, error):
    found = list(calls(line))
    assert len(found) == line.count("flatrec")
    with pytest.raises(error):
        check(found[-1])


def reader(tree):
    """What reads a file with the keys of a TOML block."""
    if "interactions" in tree:
        return description.parse
    if "cells" in tree:
        return read_league
    if "folder" in tree:
        return read_refresh
    return config.read if tree.keys() <= config.Experiment.model_fields.keys() else read_space


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_a_toml_block_is_a_file_that_is_read(block, tmp_path):
    file = tmp_path / "block.toml"
    file.write_text(block.text, encoding="utf-8")
    tree = tomllib.loads(block.text)
    if isinstance(of_train := tree.get("train"), dict) and "config" in of_train:
        (tmp_path / of_train["config"]).write_text(config.write(config.Experiment()), encoding="utf-8")
    assert reader(tree)(file) is not None
