"""Every command that writes, on tiny data."""

from __future__ import annotations

TINY = ("--set", "model.embedding_dim=4", "--set", "training.batch_size=16", "--device", "cpu")
TINY += ("--set", "training.monitor=ndcg@5")
SHORT = (*TINY, "--set", "training.epochs=2", "--set", "training.loggers=none")
NAMES = ["compare", "sweep", "study", "shop", "prepare", "encode", "adjust"]


def words_of(name, blocks, raw, out):
    """A command that may be called again after it was stopped, whatever it had done."""
    amazon = ["--reviews", raw / "r.json.gz", "--meta", raw / "m.json.gz", "--image-features", raw / "i.b"]
    trained = ["--data", blocks, "--model", "bpr", *SHORT]
    items = [raw / "items.csv", "--text-column", "text", "--image-column", "image"]
    space = raw / "space.toml"
    space.write_text("[strategy]\nrho = [0.05, 0.1]\n")
    return {
        "train": ["train", *trained, "--strategy", "bsam+", "--resume", "--out", out],
        "compare": ["compare", *trained, "--strategies", "plain,sam", "--seeds", "2", "--out", out],
        "sweep": ["sweep", *trained, "--strategy", "sam", "--space", space, "--trials", "2", "--seeds", "1",
                  "--sampler", "grid", "--out", out],
        "study": ["study", "overall", *trained[:2], "--models", "bpr", "--seeds", "2", *SHORT, "--out", out],
        "shop": ["data", "shop", out, "--users", "60", "--items", "30", "--overwrite"],
        "prepare": ["data", "prepare", "amazon", *amazon, "--out", out],
        "encode": ["encode", *items, "--out", out],
        "adjust": ["adjust", *items, "--probability", "0.5", "--caption-column", "text", "--out", out, "--overwrite"],
    }[name]  # fmt: skip


def content(folder):
    """What matters of the files in a folder: not times, and not how often trials of a sweep were begun."""
    kinds = (".npy", ".inter", ".csv", ".safetensors", ".png", ".parquet")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.stem != "trials" and path.suffix in kinds
    }
