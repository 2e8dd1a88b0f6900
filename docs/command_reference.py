"""The page of all commands, from the same help texts that `--help` shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import prose

from flatrec.cli.app import load_command
from flatrec.cli.commands import COMMANDS
from flatrec.config.description import type_name

Click: TypeAlias = Any  # an object of click's, whose module differs between versions of typer

INTRODUCTION = """\
# Commands

<!-- Written by `make docs` from the help of the commands; change that. -->

Every command shows this text with `--help`. An option that may be given several times is marked *repeatable*. Values of
`--set` are [settings](settings.md). Errors are one line on standard error; the exit code is 0 (success), 1 (failed),
2 (bad usage), 130 (interrupted), 143 (terminated) or 141 (the output was closed). `--debug`, which any command takes,
shows the traceback of an error, and `flatrec --version` prints the version.
"""

_DEFAULT = re.compile(r"\s*\bDefault: (?P<value>[^.]+(?:\.\S+)*)\.(?=\s|$)")
_LITERAL = re.compile(r"(`[^`]+`)")


def commands_page() -> str:
    """The whole page: a table of the commands under each heading of `flatrec --help`, then each command."""
    parts = [INTRODUCTION]
    for panel in dict.fromkeys(command.panel for command in COMMANDS.values()):
        rows = [
            [f"[`flatrec {name}`](#flatrec-{name})", marked(command.about)]
            for name, command in COMMANDS.items()
            if command.panel == panel
        ]
        parts.append(prose.table([panel, "what it does"], rows))
    for name in COMMANDS:
        for words, command in walk(f"flatrec {name}", load_command(name)):
            parts += section(words, command)
    return "\n".join(parts)


def walk(words: str, command: Click) -> Iterator[tuple[str, Click]]:
    """A command, and the commands of its own."""
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(f"{words} {name}", inner)


def section(words: str, command: Click) -> list[str]:
    """A command: what it does, how it is called, its arguments and options."""
    level = "##" if words.count(" ") == 1 else "###"
    shown = [one for one in command.params if not one.hidden and one.name != "help"]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    options = [one for one in shown if one.param_type_name == "option"]
    parts = [f"{level} {words}\n", help_text(command.help or "")]
    if options or arguments:
        parts.append(f"```text\n{usage(words, arguments, has_options=bool(options))}\n```\n")
    if arguments:
        rows = [[f"`{label(one)}`", kind(one), meaning(one)] for one in arguments]
        parts.append(prose.table(["argument", "type", "meaning"], rows))
    if options:
        rows = [[names(one), kind(one), default(one), meaning(one)] for one in options]
        parts.append(prose.table(["option", "type", "default", "meaning"], rows))
    return parts


def help_text(text: str) -> str:
    """The paragraphs of a command's help, the example as code."""
    paragraphs = [" ".join(one.split()) for one in re.split(r"\n\s*\n", text.split("\f")[0].strip())]
    return "".join(f"{example(one) or marked(one)}\n\n" for one in paragraphs)[:-1]


def example(paragraph: str) -> str:
    """The commands of a paragraph that is nothing but an example, as a block; else nothing."""
    found = re.fullmatch(r"Examples?: (`[^`]+`(?:[,;]? (?:or |and )?`[^`]+`)*)\.?", paragraph)
    return "" if found is None else "```\n" + "\n".join(re.findall(r"`([^`]+)`", found[1])) + "\n```"


def marked(text: str) -> str:
    """Plain text with code in backticks, in which no other character means anything to Markdown."""
    return "".join(part if part.startswith("`") else prose.escaped(part) for part in _LITERAL.split(text))


def usage(words: str, arguments: list[Click], *, has_options: bool) -> str:
    """How a command is called."""
    parts = [label(one) if one.required else f"[{label(one)}]" for one in arguments]
    return " ".join([words, *(["[OPTIONS]"] if has_options else []), *parts])


def label(argument: Click) -> str:
    """How an argument is written in a usage line."""
    repeated = "…" if argument.nargs == -1 and not (argument.metavar or "").endswith("…") else ""
    return (argument.metavar or argument.name.upper()) + repeated


def names(option: Click) -> str:
    """All names of an option."""
    return ", ".join(f"`{one}`" for one in (*option.opts, *option.secondary_opts))


def kind(parameter: Click) -> str:
    """What a parameter takes."""
    annotation = parameter.type_descriptor.annotation
    repeated = ", repeatable" if getattr(annotation, "__origin__", None) is list and parameter.nargs != -1 else ""
    if parameter.metavar and parameter.param_type_name == "option":
        return f"`{parameter.metavar}`{repeated}"
    inner = annotation.__args__[0] if getattr(annotation, "__origin__", None) is list else annotation
    return _WORDS.get(inner, type_name(inner)) + repeated


_WORDS = {bool: "flag", str: "text", int: "integer", float: "number", Path: "path"}


def default(option: Click) -> str:
    """The default, as the help or the option states it."""
    if option.required:
        return "required"
    found = _DEFAULT.search(option.help or "")
    if found is not None:
        return prose.escaped(found["value"])
    return f"`{option.default}`" if option.default not in (None, False, True, ()) else ""


def meaning(parameter: Click) -> str:
    """What the help says, without the default, which has a column of its own."""
    text = parameter.help or ""
    return marked(" ".join((text if parameter.param_type_name == "argument" else _DEFAULT.sub("", text)).split()))
