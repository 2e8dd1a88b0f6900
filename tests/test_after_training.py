"""The page docs/after-training.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from safetensors import safe_open

from flatrec.config import Training
from flatrec.inference.storage import save_recommender
from flatrec.testing import block_dataset
from flatrec.utils.integrity import MANIFEST

PAGE = (Path(__file__).parents[1] / "docs" / "after-training.md").read_text(encoding="utf-8")
HOLDS = PAGE.split("## What a recommender folder holds\n")[1].split("\n## ")[0]


def test_the_example_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", HOLDS, flags=re.DOTALL)
    exec(compile(example, "after-training.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out == "known popular\n"


@pytest.mark.parametrize("model", ["bpr", "item-knn", "popularity"])
def test_every_file_and_every_tensor_of_a_folder_is_on_the_page(model, tmp_path):
    import flatrec

    run = flatrec.fit(block_dataset(), model, training=Training(epochs=1, select="last"))
    save_recommender(run.recommender, tmp_path / "saved")
    files = set(re.findall(r"^\| `([\w.-]+\.(?:json|safetensors|parquet|faiss))` \|", HOLDS, flags=re.MULTILINE))
    assert {path.name for path in (tmp_path / "saved").iterdir()} == files - {"index.faiss"}
    assert MANIFEST in files
    with safe_open(tmp_path / "saved" / "recommender.safetensors", framework="pt") as file:
        names = {name.partition(".")[0] for name in file.keys()}  # noqa: SIM118
    described = HOLDS.split("The tensors of `recommender.safetensors`:")[1]
    first_cells = " ".join(re.findall(r"^\| (`[^|]*) \|", described, flags=re.MULTILINE))
    assert names <= {name.partition(".")[0] for name in re.findall(r"`([\w.*]+)`", first_cells)}
    assert pl.read_parquet(tmp_path / "saved" / "users.parquet").columns == ["user"]


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"^flatrec ([a-z-]+(?: forget| info)?)", PAGE, re.MULTILINE)))
)
def test_the_options_of_every_command_on_the_page_exist(command, capsys):
    from flatrec.cli import main

    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    help_text = capsys.readouterr().out
    for line in re.findall(rf"^flatrec {command} (.*)$", PAGE, flags=re.MULTILINE):
        for option in re.findall(r"--[a-z-]+", line):
            assert option in help_text, option
