"""What proves that an extra works: one command each, in a folder with a small shop, a run and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

SMALL = "--set model.embedding_dim=8 --set training.epochs=1"
EXPORT = "export run -k 5 --shards 2 --backend"
ENCODE = "encode small/items.parquet --id-column id"
# Weights are downloaded by name; random ones show that the library is complete.
TIMM = """
from PIL import Image
from flatrec.content.encoders.timm_images import TimmEncoder
encoder = TimmEncoder("resnet18", pretrained=False)
assert encoder.encode(encoder.prepare(Image.new("RGB", (64, 64)))[None]).shape == (1, 512)
"""
CLIP = """
import open_clip
from safetensors.torch import save_file
from flatrec.content.encoders.clip import ClipTexts
save_file(open_clip.create_model("ViT-B-32").state_dict(), "clip.safetensors")
assert ClipTexts("ViT-B-32/clip.safetensors").encode(["a pram"]).shape == (1, 512)
"""
# An error of a logger ends no run, so that what it wrote is looked at.
LOGGED = """
import sqlite3
from pathlib import Path
import flatrec
training = flatrec.Training(epochs=1, loggers=["{logger}"])
flatrec.fit(flatrec.load_data("small"), "vbpr", training=training, out="logged-{logger}/run")
assert {found}
"""
ROWS = 'sqlite3.connect("logged-mlflow/mlflow.db").execute("SELECT COUNT(*) FROM metrics").fetchone()[0] > 0'
FILES = '[*Path("logged-wandb/run/logs/wandb/wandb").glob("offline-run-*/*.wandb")]'
# The lists of a small catalog are exact without an index.
LARGE = """
import numpy as np
import torch
from scipy import sparse
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.catalog import Catalog
from flatrec.inference.recommender import Recommender
from flatrec.inference.storage import save_recommender
from flatrec.models.scoring import Vectors
stream = torch.Generator().manual_seed(0)
vectors = Vectors(torch.randn(30, 4, generator=stream), torch.randn(6000, 4, generator=stream))
users, items = (Vocabulary(kind, [str(n) for n in range(size)]) for kind, size in (("user", 30), ("item", 6000)))
catalog, nothing = Catalog(items, np.ones(6000), np.zeros(6000, dtype=bool)), sparse.csr_array((30, 6000))
save_recommender(Recommender(vectors, users, catalog, nothing, nothing), "large")
"""


@dataclass(frozen=True)
class Proof:
    """A command that needs an extra.

    Args:
        words: words of the command after ``flatrec``, or a program where ``is_python`` is set.
        is_python: whether ``words`` is a Python program.
        fails: whether the command must end with exit code 1 and a line that has these words.
        is_service: whether the command answers over HTTP until it is stopped.
        before: a Python program that makes what the command reads.
        about: what the table says; the command if left out.
    """

    words: str
    is_python: bool = False
    fails: str = ""
    is_service: bool = False
    before: str = ""
    about: str = ""


PROOFS: dict[str, Proof] = {
    "": Proof("recommend run --user user-00003"),
    "ann": Proof("recommender index large --min-items 100 --min-recall 0.9", before=LARGE),
    "clip": Proof(CLIP, is_python=True, about="encoder `open_clip/ViT-B-32` with random weights from a file"),
    "dask": Proof(f"{EXPORT} dask --out dask.parquet"),
    "encode": Proof(f"{ENCODE} --text-column title --image-column image --out features"),
    "hub": Proof("push run me/my-shop --license mit --dry-run"),
    "llm": Proof(
        "adjust small/items.parquet --id-column id --text-column description --image-column image "
        "--caption-column title --probability 0.5 --out adjusted"
    ),
    "mlflow": Proof(
        LOGGED.format(logger="mlflow", found=ROWS),
        is_python=True,
        about="a run with `training.loggers=mlflow`, whose metrics are in `mlflow.db`",
    ),
    "plots": Proof(f"study overall --data small --models vbpr --strategies plain,bsam --seeds 2 {SMALL} --out study"),
    "postgresql": Proof(
        "export run --to postgresql://127.0.0.1:9/shop --table lists",
        fails="127.0.0.1",
        about="`flatrec export run --to postgresql://127.0.0.1:9/shop --table lists`, refused by a closed port",
    ),
    "ray": Proof(f"{EXPORT} ray --out ray.parquet"),
    "research": Proof(f"sweep --data small --model vbpr --strategy bsam --trials 2 --seeds 2 {SMALL} --out sweep"),
    "serve": Proof(
        "serve run --port {port}", is_service=True, about="`flatrec serve run`, asked for its page and a list"
    ),
    "sql": Proof("export run --to sqlite:///shop.db --table lists"),
    "tensorboard": Proof(f"train --data small --model vbpr {SMALL} --set training.loggers=tensorboard --out curves"),
    "timm": Proof(TIMM, is_python=True, about="encoder `timm/resnet18` with random weights"),
    "wandb": Proof(
        LOGGED.format(logger="wandb", found=FILES),
        is_python=True,
        about="a run with `training.loggers=wandb`, whose offline files are there",
    ),
}
