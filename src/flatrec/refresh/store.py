"""The folder of the recommenders: generations, the pointer to the one in use, the history."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flatrec.inference.storage import FOLDER as RECOMMENDER
from flatrec.refresh.state import STATE, State, read_state
from flatrec.utils.atomic_write import own_folder, sweep, write_text
from flatrec.utils.renaming import move, move_link

CURRENT, GENERATIONS, HISTORY, LATEST = "current", "generations", "history.jsonl", "latest.html"
CANDIDATE = "candidate"  # the run that was trained without the newest days
FINAL = "final"  # the run on all interactions, whose recommender answers
REPORT = "report.html"
_REMOVED = ".removed-"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Store:
    """The folder that a nightly job keeps.

    Args:
        path: the folder.
    """

    path: Path

    @property
    def pointer(self) -> Path:
        """The symbolic link to the recommender in use."""
        return self.path / CURRENT

    def make(self) -> None:
        """Make the folder.

        Raises:
            OSError: it cannot be made or written to.
        """
        try:
            (self.path / GENERATIONS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise type(error)(
                f"cannot make the folder {self.path}: {error.strerror}; choose one that can be written"
            ) from None

    def clean(self) -> None:
        """Remove what killed processes left in the folder, which must be locked."""
        sweep(self.path)
        for left in (self.path / GENERATIONS).glob(f"{_REMOVED}*"):
            shutil.rmtree(left, ignore_errors=True)
        for number in self.numbers():
            if not (self.folder(number) / STATE).exists():  # begun and not recorded
                self._remove(self.folder(number))

    def folder(self, number: int) -> Path:
        """Return the folder of a generation."""
        return self.path / GENERATIONS / f"{number:04d}"

    def numbers(self) -> list[int]:
        """Return the numbers of all generations, the newest first."""
        folders = (self.path / GENERATIONS).glob("[0-9]*")
        return sorted((int(path.name) for path in folders if path.name.isdecimal()), reverse=True)

    def states(self) -> list[State]:
        """Return the records of all generations, the newest first; damaged ones are left out with a warning."""
        states = []
        for number in self.numbers():
            try:
                states.append(read_state(self.folder(number)))
            except FileNotFoundError:
                continue  # killed before its first record
            except ValueError as error:
                logger.warning("%s", error)
        return states

    def in_use(self) -> int | None:
        """Return the number of the generation in use; None if there is none yet.

        Raises:
            ValueError: the pointer does not lead to a recommender of this folder.
        """
        pointer = self.pointer
        if not os.path.lexists(pointer):
            return None
        target = Path(os.readlink(pointer)) if pointer.is_symlink() else pointer
        name = target.parent.parent.name
        number = int(name) if name.isdecimal() else 0
        if target != self._target(number) or not pointer.is_dir():
            raise ValueError(
                f"{pointer} must be a symbolic link to a recommender of this folder, such as {self._target(1)}, but "
                f"{'leads to ' + str(target) if pointer.is_symlink() else 'is none'}; set it to one that is there, "
                f"with ln -sfn, or remove it"
            )
        return number

    def promote(self, number: int) -> None:
        """Let the pointer lead to the recommender of a generation, in one step, except on Windows.

        Raises:
            OSError: the link cannot be made.
        """
        with own_folder(self.pointer) as temporary:
            link = temporary / CURRENT
            try:
                link.symlink_to(self._target(number), target_is_directory=True)
            except (OSError, NotImplementedError) as error:
                raise OSError(
                    f"cannot make the symbolic link {self.pointer}: {error}; choose a folder on a file system that "
                    "has symbolic links, and on Windows switch on the developer mode"
                ) from None
            move_link(link, self.pointer)

    def history(self) -> list[dict[str, Any]]:
        """Return the lines of the history, the oldest first; lines that are no JSON are left out."""
        path = self.path / HISTORY
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        return [values for line in lines if (values := _parsed(line)) is not None]

    def record(self, state: State) -> None:
        """Write the line of a generation into the history, in the place of one that it may have already.

        Raises:
            OSError: the file cannot be written.
        """
        lines = [line for line in self.history() if line.get("number") != state.number]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in (*lines, state.as_line()))
        write_text(self.path / HISTORY, text)

    def prune(self, keep: int, states: Sequence[State], in_use: int | None) -> None:
        """Remove old generations, and of the others what only training needs.

        Of the promoted generations the newest ``keep`` stay, and as many of the others; the one in use and the one with
        the last accepted delivery always stay, and so does a generation that has not ended.
        """
        accepted = next((state.number for state in states if state.accepted), None)
        ended = [state for state in states if state.outcome is not None and state.number != in_use]
        promoted = [state.number for state in ended if state.outcome == "promoted"]
        others = [state.number for state in ended if state.outcome != "promoted"]
        n_promoted = keep - 1 if in_use is not None else keep
        for number in (*promoted[n_promoted:], *others[keep:]):
            if number != accepted:
                self._remove(self.folder(number))
        for number in promoted[:n_promoted]:
            _keep_recommender(self.folder(number) / FINAL)
            _keep_recommender(self.folder(number) / CANDIDATE)
        for number in others:
            for name in (CANDIDATE, FINAL):
                shutil.rmtree(self.folder(number) / name, ignore_errors=True)

    def _target(self, number: int) -> Path:
        return Path(GENERATIONS) / f"{number:04d}" / FINAL / RECOMMENDER

    def _remove(self, folder: Path) -> None:
        """Remove a folder; what a kill leaves of it is no generation any more."""
        if folder.exists():
            removed = folder.with_name(f"{_REMOVED}{folder.name}")
            move(folder, removed)
            shutil.rmtree(removed, ignore_errors=True)


def _keep_recommender(run: Path) -> None:
    """Remove from a run folder what only training needs."""
    for path in run.iterdir() if run.is_dir() else ():
        if path.is_dir() and path.name != RECOMMENDER:
            shutil.rmtree(path, ignore_errors=True)
        elif not path.is_dir():
            path.unlink(missing_ok=True)


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        values = json.loads(line)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None
