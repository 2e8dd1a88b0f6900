"""Former names of settings, keys and options, so that a message can say what they are called now."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from flatrec.utils.messages import clipped, unknown

SETTINGS: Mapping[str, str] = {
    "clip": "max_grad_norm",
    "contrast_weight": "contrastive_weight",
    "cuts": "ks",
    "dim": "embedding_dim",
    "every": "interval",
    "hidden": "hidden_dim",
    "hyper_layers": "n_hyper_layers",
    "hyperedges": "n_hyperedges",
    "item_layers": "n_item_layers",
    "layers": "n_layers",
    "micro_batches": "grad_accumulation_steps",
    "missing": "missing_modality",
    "modality_layers": "n_modality_layers",
    "neighbors": "n_neighbors",
    "neighbours": "n_neighbors",
    "pairing": "second_batch",
    "penalty": "reg_weight",
    "penalty_rows": "reg_rows",
    "raw_share": "raw_fraction",
    "routings": "n_routings",
    "same_noise": "same_dropout_mask",
    "shrink": "shrinkage",
    "tensorboard": "loggers",
    "thinning": "edge_dropout",
    "unperturbed": "perturb_exclude",
    "user_neighbors": "n_user_neighbors",
    "user_neighbours": "n_user_neighbors",
    "widths": "hidden_dims",
}
DATASET_KEYS: Mapping[str, str] = {
    "core": "k_core",
    "part_column": "split_column",
    "picture_column": "image_column",
    "ratios": "split.ratios",
    "seed": "split.seed",
}
NAMES: Mapping[str, str] = {
    "fsam": "friendlysam",
    "fsam+": "friendlysam+",
    "partners": "combinations",
    "rivals": "competitors",
}
COMMANDS: Mapping[str, str] = {"doctor": "check-model"}
COLD_START = "flatrec cold-start"
OPTIONS: Mapping[str, str] = {
    "--cold": COLD_START,
    "--core": "--k-core",
    "--experiment": "--config",
    "--jobs": "--workers",
    "--keep-unanswered": "--allow-missing",
    "--key-variable": "--api-key-env",
    "--length": "--top-k",
    "--neighbors": "--n-neighbors",
    "--neighbours": "--n-neighbors",
    "--pairs": "--interactions",
    "--part": "--split",
    "--picture-column": "--image-column",
    "--picture-dir": "--image-dir",
    "--picture-encoder": "--image-encoder",
    "--rate": "--requests-per-minute",
    "--share": "--fraction",
    "--tries": "--max-retries",
    "--way": "--method",
    "--with-known": "--include-known",
}


def unknown_setting(name: str, known: Collection[str]) -> str:
    """A message for a setting that is not known: what it is called now, or the nearest name there is.

    Example:
        >>> unknown_setting("dim", ["embedding_dim"])
        "unknown setting 'dim'; it is called embedding_dim now"
    """
    new = new_name(name, known, SETTINGS)
    return f"unknown setting {clipped(name, 60)!r}{new}" if new else unknown("setting", name, list(known))


def new_name(name: str, known: Collection[str], table: Mapping[str, str]) -> str:
    """The end of a message about an unknown name, ``"; it is called ks now"``; empty if the table has no old name."""
    new = table.get(name, "")
    return f"; it is called {new} now" if new.partition(".")[0] in known else ""
