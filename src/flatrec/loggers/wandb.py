"""Weights & Biases: one W&B run per run, offline in the run folder unless an API key is set."""

from __future__ import annotations

import netrc
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flatrec.loggers.base import RunInfo, Status, curves, kept_id
from flatrec.training.records import EpochRecord
from flatrec.utils.optional import require_extra

PROJECT = "flatrec"
_FINISH_SECONDS = 600.0  # for uploads at the end of a run; by default W&B waits for a lost network without end
_LONGEST_TAG = 64  # characters, by the rules of W&B
_EXIT_CODES: Mapping[Status, int] = {"finished": 0, "failed": 1, "interrupted": 255}


class WandB:
    """A logger that writes a run of Weights & Biases: config, history by epoch, summary and files.

    Project, mode and the like are those of W&B's own environment variables. W&B's reports of its own errors, which it
    sends over the network even offline, are off unless ``WANDB_ERROR_REPORTING`` is set.

    Raises:
        ModuleNotFoundError: wandb is not installed.
    """

    def __init__(self) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # is read when wandb is imported
        self._wandb: Any = require_extra("wandb", "wandb")

    def start(self, run: RunInfo, done: Sequence[EpochRecord]) -> None:
        """Begin a W&B run, or go on with that of the run folder.

        Offline, W&B cannot go on with files of an earlier process; they are replaced by new ones with all epochs.

        Raises:
            Exception: whatever W&B raises, such as one for a key that is refused.
        """
        run_id = kept_id(run.own_folder / "run-id", lambda: secrets.token_hex(4))
        mode = _mode()
        if mode == "offline":
            for earlier in (run.own_folder / "wandb").glob(f"offline-run-*-{run_id}"):
                shutil.rmtree(earlier)
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=os.environ.get("WANDB_NAME", run.name),
            id=run_id,
            resume=None if mode == "offline" else "allow",
            mode=mode,
            dir=str(run.own_folder),
            config={name: list(value) if isinstance(value, tuple) else value for name, value in run.settings.items()},
            tags=[tag[:_LONGEST_TAG] for tag in dict.fromkeys((run.data, run.model, run.strategy)) if tag],
            reinit="create_new",  # other runs of this process stay as they are
            settings=self._wandb.Settings(
                console="off",  # else it replaces sys.stdout
                disable_git=True,
                finish_timeout=_FINISH_SECONDS,
                finish_timeout_raises=True,
                silent=True,
                symlink=False,  # links into a run folder would break if it is moved
            ),
        )
        for record in done:
            self.log(record)

    def log(self, record: EpochRecord) -> None:
        """Add a row to the history, unless the run that goes on has one of this epoch."""
        if record.epoch >= self._run.starting_step:
            row = {_name(name): value for name, value in curves(record).items()}
            self._run.log(row, step=record.epoch, commit=True)  # else a kill would take the last row

    def end(self, status: Status, result: Mapping[str, float], artifacts: Sequence[Path]) -> None:
        """Write the summary, add copies of the artifacts to the files of the W&B run, and finish it."""
        self._run.summary.update({_name(name): value for name, value in result.items()})
        files = Path(self._run.dir)
        for path in artifacts:
            for file in _copied(path, files):
                self._run.save(str(file), base_path=str(files), policy="end")
        self._run.finish(exit_code=_EXIT_CODES[status])


def _copied(source: Path, folder: Path) -> list[Path]:
    """Copies of a file, or of all files of a folder."""
    target = folder / source.name
    if source.is_file():
        return [Path(shutil.copy(source, target))]
    shutil.copytree(source, target, dirs_exist_ok=True)
    return sorted(path for path in target.rglob("*") if path.is_file())


def _name(name: str) -> str:
    """A name that W&B can sort and filter by."""
    return name.replace("@", "_at_")


def _mode() -> str:
    """The mode that the user set; else online with an API key, and offline without one, where W&B would ask for it."""
    mode = os.environ.get("WANDB_MODE", "online")
    return mode if mode != "online" or _has_key() else "offline"


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
