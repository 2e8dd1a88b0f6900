"""The table of loggers: one row per logger, by the name that ``training.loggers`` takes."""

from __future__ import annotations

from flatrec.utils.lazy_registry import Entry

LOCAL, TRACKER = "local", "tracker"  # families: files in the run folder, or runs of a tracking service


ENTRIES: dict[str, Entry] = {
    "tensorboard": Entry(
        "flatrec.loggers.tensorboard:TensorBoard", LOCAL, "Event files for TensorBoard; nothing if it is not installed."
    ),
    "wandb": Entry(
        "flatrec.loggers.wandb:WandB", TRACKER, "Weights & Biases; offline in the run folder if there is no API key."
    ),
    "mlflow": Entry(
        "flatrec.loggers.mlflow:MLflow", TRACKER, "MLflow; a SQLite file beside the run folder if no server is named."
    ),
    "csv": Entry("flatrec.loggers.csv:CSV", LOCAL, "Tables in the run folder: epochs, settings and result."),
}
