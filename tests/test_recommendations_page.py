"""The examples of docs/recommendations.md run, one after the other, and print what the page says."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs" / "recommendations.md").read_text(encoding="utf-8")


def test_the_examples_run(capsys):
    names: dict[str, object] = {}
    for example in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(compile(example, "recommendations.md", "exec"), names)  # noqa: S102
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 5 + 2 + 1 + 3
    assert printed[5:7] == ["history", "['history', 'popular']"]
    assert all("exact" in line for line in printed[-3:])
