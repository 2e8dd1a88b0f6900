"""The ``flatrec`` command, and how errors reach its user: one line, and an exit code."""

from __future__ import annotations

import atexit
import gc
import logging
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer
from rich.console import Console
from rich.logging import RichHandler

from flatrec._version import __version__
from flatrec.allocation import keep_freed_memory
from flatrec.cli import (
    adjust,
    augment,
    compare,
    data,
    demo,
    doctor,
    encode,
    lists,
    recommend,
    report,
    study,
    sweep,
    train,
)

app = typer.Typer(
    name="flatrec",
    help="Multimodal recommenders trained into flat minima. BSAM here is batch-focused SAM, not Bayesian SAM.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")
app.add_typer(lists.app, name="list")
app.command("train")(train.train)
app.command("encode")(encode.encode)
app.command("adjust")(adjust.adjust)
app.command("augment")(augment.augment_items)
app.command("evaluate")(train.evaluate)
app.command("compare")(compare.compare)
app.command("study")(study.study)
app.command("sweep")(sweep.sweep)
app.command("report")(report.report)
app.command("recommend")(recommend.recommend)
app.command("similar")(recommend.similar)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)

DEBUG = "--debug"
BAD_USAGE, FAILED, INTERRUPTED = 2, 1, 130
_USAGE = (ValueError, KeyError, FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
# click's UsageError, wherever this version of typer keeps click
_UsageError: type[Any] = typer.BadParameter.__bases__[0]


@app.callback(invoke_without_command=True)
def _options(
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
    debug: bool = typer.Option(False, DEBUG, help="Show the whole traceback of an error; may stand anywhere."),  # noqa: ARG001
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with 0, 1 (failed), 2 (bad usage) or 130 (interrupted)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG in words
    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=Console(stderr=True), show_time=False, show_path=False)],
        force=True,
    )
    keep_freed_memory()
    atexit.register(
        gc.freeze
    )  # at its end the interpreter would go through all that was imported, for a second and more
    sys.exit(_run([word for word in words if word != DEBUG], debug=debug))


def _run(words: list[str], *, debug: bool) -> int:
    try:
        code = int(app(words, prog_name="flatrec", standalone_mode=False) or 0)
        return _interrupted(words) if code == INTERRUPTED else code
    except _UsageError as error:
        return _report(error.format_message(), BAD_USAGE, debug=debug)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(words)
    except _USAGE as error:
        return _report(_message(error), BAD_USAGE, debug=debug)
    except (OSError, ImportError, RuntimeError, ArithmeticError, MemoryError) as error:
        return _report(_message(error) or type(error).__name__, FAILED, debug=debug)


def _interrupted(words: list[str]) -> int:
    advice = {
        "train": "; go on later with --resume",
        "compare": "; the same command without --overwrite goes on later",
        "encode": "; the same command goes on later",
        "augment": "; the same command goes on later",
        "evaluate": "; with --cold the same command goes on later",
        "adjust": "; the same command goes on later",
        "study": "; the same command goes on later",
        "sweep": "; the same command goes on later",
    }
    return _report("interrupted" + advice.get(words[0] if words else "", ""), INTERRUPTED, debug=False)


def _message(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)


def _report(message: str, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    if message.strip():
        sys.stderr.write("flatrec: " + " ".join(message.split()) + "\n")
    return code
