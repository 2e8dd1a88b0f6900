"""The examples of docs/notebooks.md run, and what is said of them is so."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from flatrec.inference.answers import ItemLists
from tests.display.pages import checked, words

PAGE = (Path(__file__).parents[2] / "docs" / "notebooks.md").read_text(encoding="utf-8")


def test_the_examples_run_and_every_value_is_shown(capsys):
    names: dict[str, object] = {}
    shown = []
    for example in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(compile(example, "notebooks.md", "exec"), names)  # noqa: S102
        shown += [
            node.value.id for node in ast.parse(example).body if isinstance(getattr(node, "value", None), ast.Name)
        ]
    assert shown == ["dataset", "run", "lists"]
    for name in shown:
        checked(names[name]._repr_html_())
    assert isinstance(names["lists"], ItemLists)
    assert words(checked(names["html"])).startswith("user-00007 ")
    scores = r"best \d+, validation recall@5 0\.\d+, test recall@5 0\.\d+"
    assert re.fullmatch(rf"Run lightgcn with bsam on .*, seed 0, 10 epochs, {scores}\n", capsys.readouterr().out)
