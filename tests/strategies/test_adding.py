"""The guide's steps for a strategy inside the package, followed in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "adding-a-strategy.md").read_text(encoding="utf-8")
USED = """
import torch
from flatrec.optim import Example
model = torch.nn.Linear(2, 1)
optimizer = Example(torch.optim.SGD(model.parameters(), lr=0.1), strength=0.3)
for _ in range(2):
    model(torch.ones(1, 2)).sum().backward()
    optimizer.first_step()
    model(torch.ones(1, 2)).sum().backward()
    optimizer.second_step()
print(optimizer.state_dict()["strategy"]["name"])
"""


def patched(text, diff):
    """The text with the added lines of a diff, whose other lines stand in it next to each other."""
    lines = diff.splitlines()
    before, after = ("\n".join(line[1:] for line in lines if line[:1] in marks) for marks in ({" "}, {" ", "+"}))
    assert text.count(before) == 1
    return text.replace(before, after)


@pytest.fixture
def copy(tmp_path):
    for name in ("pyproject.toml", "conftest.py"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("src/flatrec", "tests/strategies"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (ROOT / "tests").glob("*.py"):
        if path.stem in ("__init__", "conftest"):
            shutil.copy(path, tmp_path / "tests")
    return tmp_path


def test_a_new_strategy_is_three_files(copy):
    definition = re.search(r"^ *```python\n(.*?)^ *```$", GUIDE, flags=re.DOTALL | re.MULTILINE)[1]
    (copy / "src/flatrec/strategies/example.py").write_text(textwrap.dedent(definition))
    diffs = re.findall(r"^   ~~~diff\n(.*?)^   ~~~$", GUIDE, flags=re.DOTALL | re.MULTILINE)
    changed = ["src/flatrec/strategies/registry.py", "tests/strategies/problems.py"]
    for name, diff in zip(changed, diffs, strict=True):
        lines = [line[3:] for line in diff.splitlines()]
        (copy / name).write_text(patched((copy / name).read_text(), "\n".join(lines)))
    environment = {**os.environ, "PYTHONPATH": str(copy / "src")}
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "tests/strategies/test_steps.py"]
    steps = subprocess.run(
        [sys.executable, *words, "-k", "example or worked_by_hand and not equal"],
        cwd=copy, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert steps.returncode == 0, steps.stdout + steps.stderr
    assert steps.stdout.count(".") > 50  # two rows of settings, alone and mixed, with five optimizers on two problems
    used = subprocess.run(
        [sys.executable, "-c", USED], cwd=copy, env=environment, capture_output=True, text=True, check=True
    )
    assert used.stdout == "Example\n"
