"""Writes the generated pages from what classes and commands say of themselves; `make docs` runs it."""

from __future__ import annotations

import json
from pathlib import Path

from command_reference import commands_page
from optimizer_reference import optimizers_page
from prose import body, code_cell, one_line, prose, table, type_cell

from flatrec.cli.descriptions import Description, Reference, describe
from flatrec.models import BASELINES, MODELS
from flatrec.registry.listing import SettingsGroup, setting_groups

DOCS = Path(__file__).parent

INTRODUCTION = """\
# Models

<!-- Written by `make docs` from the docstrings of the models; change those. -->

A model is chosen by name (`flatrec train --model freedom`), and `--set model.SETTING=VALUE` sets its settings. In
Python it is a class of `flatrec.models` that takes the data set and an object of its class `Config`. *Modalities* says
which item features a model reads: none, or those of any data set with one or more modalities of any name. *Search
space* lists the values that sweeps try by default. Baselines need no training; a trained model must beat them, and
often does not: [Which model should I take?](choosing-a-model.md) has accuracy, cost and memory of all, measured. To
write a model of your own, read [Adding a model](adding-a-model.md).
"""

LEFT_OUT = """\
**Left out: PMMIR** (Wu, Macdonald & Ounis, 2024), which the paper of BSAM names, is a conversation: it shows
images, a user picks one and says in words what should differ, and it shows the next ones. That does not fit a
library of user and item vectors, since it is trained on sessions with a simulator of the user inside the loop, and
judged turn by turn. It would need data of sessions with critiques, a captioner and a text encoder that play the user,
a trainer and a protocol of turns.
"""

SETTINGS_INTRODUCTION = """\
# Settings

<!-- Written by `make docs` from the classes of the settings; change those. -->

Every setting can be given on the command line (`flatrec train --set training.epochs=50`), in an experiment file
(`flatrec train --config experiment.toml`), and in Python (`flatrec.Training(epochs=50)`). An experiment file is a TOML
file with a table for each group:

```toml
data = "shop"
seed = 1

[model]
name = "freedom"
embedding_dim = 32

[training]
epochs = 50
```

Everything that is left out has its default; a model may have [its own](training.md#defaults-of-a-model). An unknown
name, a value of the wrong type and a value out of range are refused before anything is trained. `flatrec list settings`
prints these tables; `flatrec list settings freedom` prints one of them. The settings of an optimizer or a schedule
are the arguments of its class in the installed torch: `flatrec list settings optimizer` prints them.
"""

_HEADINGS = {
    "experiment": "Experiment",
    "training": "Training",
    "training.amr": "Adversarial noise on item features",
    "training.mdvt": "Virtual triplets in the loss",
    "regularization": "Regularization",
    "evaluation": "Evaluation",
    "split": "Split",
    "model": "Models and baselines",
    "loss": "Losses",
    "sampling": "Sampling of negatives",
    "strategy": "Strategies",
}


def models_page() -> str:
    """The whole page."""
    models, baselines = ([describe(name) for name in names] for names in (MODELS, BASELINES))
    headings = ["what it is", "modalities", "reference"]
    parts = [
        INTRODUCTION,
        table(["name", *headings], [overview(one) for one in models]),
        table(["baseline", *headings], [overview(one) for one in baselines]),
        LEFT_OUT,
        *(section(one) for one in (*models, *baselines)),
    ]
    return "\n".join(parts)


def overview(one: Description) -> list[str]:
    """A model's row in the table of its kind."""
    return [f"[`{one.name}`](#{one.name})", prose(one.about), one.modalities, cited(one)]


def settings_page() -> str:
    """The page of all settings but those of optimizers, which depend on the installed torch."""
    parts = [SETTINGS_INTRODUCTION]
    for group, heading in _HEADINGS.items():
        parts.append(f"## {heading}\n")
        for one in setting_groups(group):
            parts += [f"### {one.name}\n"] if one.name else []
            parts.append(settings_table(one))
    return "\n".join(parts)


def settings_table(group: SettingsGroup) -> str:
    """The settings of a group, of a model or of a strategy."""
    rows = [
        [f"`{group.key(one)}`", type_cell(one.type), code_cell(one.default_text), one.range, prose(one.meaning)]
        for one in group.settings
    ]
    return table(["setting", "type", "default", "range", "meaning"], rows) if rows else "No settings.\n"


def cited(one: Description) -> str:
    """Authors, venue and year, linked to the paper."""
    reference: Reference | None = one.reference
    return "" if reference is None else f"[{prose(str(reference))}]({reference.link})"


def section(one: Description) -> str:
    """A model: what its docstring says, its settings, and its search space."""
    kind = f"`flatrec.models.{one.kind.__name__}`"
    parts = [
        f"## {one.name}\n",
        f"{kind}, modalities: {one.modalities}.\n",
        prose(one_line(one.doc.short_description or "")) + "\n",
        body(one.doc.long_description or ""),
    ]
    if one.settings:
        rows = [
            [f"`{each.name}`", type_cell(each.type), code_cell(each.default_text), each.range, prose(each.meaning)]
            for each in one.settings
        ]
        parts.append(table(["setting", "type", "default", "range", "meaning"], rows))
    if one.search_space:
        tried = [[f"`{key}`", ", ".join(map(str, values))] for key, values in one.search_space.items()]
        parts.append(table(["setting", "search space"], tried))
    if one.defaults:
        parts.append("[Defaults of the model](training.md#defaults-of-a-model), where nothing else is stated:\n")
        own = [[f"`{key}`", code_cell(json.dumps(value))] for key, value in one.defaults.items()]
        parts.append(table(["setting", "default"], own))
    parts += [f"Raises `{error.type_name}`: {prose(one_line(error.description or ''))}\n" for error in one.doc.raises]
    if one.doc.examples:
        parts.append(example(one))
    return "\n".join(part for part in parts if part)


def example(one: Description) -> str:
    """The example as code that runs on its own; what it prints stands in comments."""
    code = "\n".join(part for each in one.doc.examples for part in (each.snippet, each.description) if part)
    lines = [f"from flatrec.models import {one.kind.__name__}"]
    if "torch." in code:
        lines.insert(0, "import torch\n")
    for line in code.splitlines():
        lines.append(line[4:] if line.startswith((">>> ", "... ")) else f"# {line}")
    return "\n".join(["```python", *lines, "```", ""])


def pages() -> dict[str, str]:
    """The text of every generated page by its file in this folder."""
    return {
        "models.md": models_page(),
        "settings.md": settings_page(),
        "commands.md": commands_page(),
        "api/optimizers.md": optimizers_page(),
    }


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
