"""The API page of the optimizers, whose classes are made from the strategies when they are first used."""

from __future__ import annotations

import inspect
import re

from docstring_parser import DocstringStyle, parse
from prose import docstring, one_line, prose, table

import flatrec.optim
from flatrec.strategies.registry import ENTRIES

INTRODUCTION = """\
# Optimizers

<!-- Written by `make docs` from the docstrings of the strategies; change those. -->

The classes of `flatrec.optim`, which wrap any optimizer of torch. How they are used, with and without closures, with
gradient accumulation and in frameworks: [Optimizers in your own loop](../optimizers.md).

::: flatrec.optim.StrategyOptimizer

::: flatrec.optim.Mixed

::: flatrec.optim.Closure

::: flatrec.optim.NonFiniteGradientError
"""

_SECTION = re.compile(r"^(?:Args|Example|Raises):$", flags=re.MULTILINE)
_MODULES = re.compile(r"\b(?:typing\.|torch\.(?:optim\.optimizer|nn\.modules\.module)\.)")


def optimizers_page() -> str:
    """The whole page."""
    made = [name for name in flatrec.optim.__all__ if any(entry.class_name == name for entry in ENTRIES.values())]
    return "\n".join([INTRODUCTION, *(section(name) for name in sorted(made))])


def section(name: str) -> str:
    """An optimizer: its signature, what its docstring says, and its arguments."""
    kind = getattr(flatrec.optim, name)
    text = inspect.getdoc(kind) or ""
    parsed = parse(text, style=DocstringStyle.GOOGLE)
    rows = [[f"`{one.arg_name}`", prose(one_line(one.description or ""))] for one in parsed.params]
    raised = [f"Raises `{one.type_name}`: {prose(one_line(one.description or ''))}\n" for one in parsed.raises]
    title = f"## `flatrec.optim.{name}` {{ #flatrec.optim.{name} }}\n"
    about = docstring(_SECTION.split(text)[0].strip())
    return "\n".join([title, signature(name, kind), about, table(["argument", "meaning"], rows), *raised])


def signature(name: str, kind: type) -> str:
    """How an optimizer is made, one argument per line."""
    lines = []
    for one in inspect.signature(kind).parameters.values():
        lines += ["*"] if one.kind is one.KEYWORD_ONLY and "*" not in lines else []
        lines.append(_MODULES.sub(lambda found: "torch.nn." if "nn" in found[0] else "", str(one)))
    return "```text\n" + f"{name}(\n" + "".join(f"    {line},\n" for line in lines) + ")\n```\n"
