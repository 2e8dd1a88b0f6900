"""The loggers of one run: made from names, informed of progress, closed however the run ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from flatrec.loggers import LOGGERS
from flatrec.loggers.base import Logger, RunInfo, Status
from flatrec.training.records import EpochRecord
from flatrec.utils import user_classes
from flatrec.utils.messages import raised, unknown

TENSORBOARD, LOGS = "tensorboard", "logs"  # in the run folder: curves for TensorBoard, and what other loggers keep

logger = logging.getLogger(__name__)


class RunLoggers:
    """A callback of training that informs loggers; what a logger raises becomes a warning, and training goes on.

    Args:
        loggers: by name.
        describe: what a logger is told of the run, by the name of the logger.
    """

    def __init__(self, loggers: Mapping[str, Logger], describe: Callable[[str], RunInfo]) -> None:
        self.loggers, self.describe = loggers, describe
        self._failed: set[str] = set()
        self._open: list[str] = []

    @contextmanager
    def running(self, done: Sequence[EpochRecord]) -> Iterator[None]:
        """Context manager of a run that has some epochs already; it ends the loggers if the run does not."""
        done = tuple(done)  # the list grows while the run goes on
        try:
            for name, one in self.loggers.items():
                with self._guarded(name, "could not start"):
                    self._open.append(name)
                    one.start(self.describe(name), done)
            yield
        except BaseException as error:
            self._end("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", {}, ())
            raise

    def on_start(self, first_epoch: int, epochs: int, steps: int) -> None:
        """Do nothing; loggers have started."""

    def on_step(self, epoch: int, step: int) -> None:
        """Do nothing; loggers get no steps."""

    def on_epoch(self, record: EpochRecord) -> None:
        """Inform the loggers of an epoch."""
        for name, one in self.loggers.items():
            if name not in self._failed:
                with self._guarded(name, f"failed in epoch {record.epoch}"):
                    one.log(record)

    def on_end(self) -> None:
        """Do nothing; the result is still to come."""

    def finish(self, result: Mapping[str, float], artifacts: Sequence[Path]) -> None:
        """Inform the loggers of the result of a run that has ended."""
        self._end("finished", result, artifacts)

    def _end(self, status: Status, result: Mapping[str, float], artifacts: Sequence[Path]) -> None:
        while self._open:
            name = self._open.pop(0)
            with self._guarded(name, "could not end"):
                self.loggers[name].end(status, result, artifacts)

    @contextmanager
    def _guarded(self, name: str, what: str) -> Iterator[None]:
        try:
            yield
        except (Exception, SystemExit) as error:
            if name not in self._failed:
                logger.warning("the logger %s %s (%s); training goes on without it", name, what, raised(error))
            self._failed.add(name)


def make_loggers(names: Sequence[str]) -> dict[str, Logger]:
    """The loggers of one run, by names that no two of them share.

    A class of the user's own that was not named in this process, as one of a run folder, is left out with a warning.

    Raises:
        ValueError: there is no such logger, or one could not be built.
        ModuleNotFoundError: the package of a logger is not installed.
    """
    known = [name for name in dict.fromkeys(names) if not _is_unnamed(name)]
    labels = user_classes.labels(known, LOGGERS)
    return {labels[name]: _built(name) for name in known}


def logger_class(name: str) -> type[Logger]:
    """The class of a logger.

    Raises:
        ValueError: there is none of that name, it was not named in this process, or it lacks a method.
    """
    if name in LOGGERS:
        return LOGGERS[name]
    kind = user_classes.find(name)
    if kind is None:
        raise ValueError(f"{unknown('logger', name, list(LOGGERS))}; or give your own as file.py:Class")
    return checked_class(kind)


def checked_class(kind: type) -> type[Logger]:
    """A class of the user's, if it is a logger.

    Raises:
        ValueError: it lacks a method.
    """
    if not issubclass(kind, Logger):
        methods = ("start", "log", "end")
        missing = [name for name in methods if not callable(getattr(kind, name, None))]
        raise ValueError(f"{kind.__name__} must have the methods {', '.join(methods)}, but lacks {', '.join(missing)}")
    return kind


def _built(name: str) -> Logger:
    kind = logger_class(name)
    try:
        return kind()
    except Exception as error:
        if name in LOGGERS:
            raise
        raise ValueError(f"the logger {kind.__name__} could not be built: {raised(error)}") from error


def _is_unnamed(name: str) -> bool:
    if name in LOGGERS or not user_classes.is_own(name) or user_classes.find(name) is not None:
        return False
    place = user_classes.parsed(name).place
    logger.warning(
        "the logger %s is a class of your own, whose code is run only where you name it, and is left out; add "
        "--set training.loggers=%s",
        place,
        place,
    )
    return True
