"""The ``flatrec`` command, and how errors reach its user: one line, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import nullcontext
from importlib import import_module
from typing import Any, TypeAlias

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from flatrec._version import __version__
from flatrec.cli import messages
from flatrec.cli.commands import COMMANDS
from flatrec.cli.one_voice import one_voice
from flatrec.utils.global_options import DEBUG, LOG_FILE, QUIET, GlobalOptions
from flatrec.utils.interrupts import INTERRUPTED, Guard
from flatrec.utils.malloc import tune_malloc
from flatrec.utils.messages import LONGEST, clipped, message, place_of, raised
from flatrec.utils.optional import explain_missing
from flatrec.utils.processes import check_command, first_speaks

BAD_USAGE, FAILED, NOBODY_READS = 2, 1, 141  # the last as a shell has it for a program that writes to a closed pipe
_USAGE = (ValueError, KeyError, FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
_FAILURES = (OSError, ImportError, RuntimeError, ArithmeticError, MemoryError)
Click: TypeAlias = Any  # an object of click's, whose module differs between versions of typer
_UsageError: type[Any] = typer.BadParameter.__bases__[0]
_NoSuchOption: type[Any] = import_module(_UsageError.__module__).NoSuchOption
_ANYWHERE = "may be written anywhere"


class Commands(TyperGroup):
    """The commands of the table; what one needs is imported when it is called, not when it is listed."""

    def list_commands(self, ctx: Click) -> list[str]:
        """All names, in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Click, cmd_name: str) -> TyperCommand | None:
        """What help and completion need of a command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        _, panel, about = COMMANDS[cmd_name]
        return TyperCommand(cmd_name, help=about, rich_help_panel=panel)

    def resolve_command(self, ctx: Click, args: list[str]) -> tuple[Click, Click, list[str]]:
        """The command itself.

        Raises:
            ValueError: the name is the former one of a command.
        """
        if args and args[0] not in COMMANDS:
            from flatrec.config import old_words

            if new := old_words.new_name(args[0], COMMANDS, old_words.COMMANDS):
                raise ValueError(f"no such command: {args[0]}{new}")
        name, _, rest = super().resolve_command(ctx, args)
        tune_malloc()
        return name, load_command(str(name)), rest


def load_command(name: str) -> Click:
    """Return a command of the table with all its options; this imports what the command needs."""
    module, _, function = COMMANDS[name].target.partition(":")
    found = getattr(import_module(module), function)
    if isinstance(found, typer.Typer):
        command = get_command(found)
    else:
        single = typer.Typer(add_completion=False, rich_markup_mode="markdown")
        single.command(name)(found)
        command = get_command(single)
    command.name = name
    for one in (command, *(command.commands.values() if isinstance(command, TyperGroup) else ())):
        one.epilog = f"Every command also takes {DEBUG}, {QUIET} and {LOG_FILE} FILE; flatrec --help says what they do."
    return command


app = typer.Typer(
    name="flatrec", cls=Commands, no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False
)


@app.callback(invoke_without_command=True)
def _options(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
    debug: bool = typer.Option(False, DEBUG, help=f"Show the whole traceback of an error; {_ANYWHERE}."),
    quiet: bool = typer.Option(False, QUIET, help=f"Show no progress, only results, warnings and errors; {_ANYWHERE}."),
    log_file: str = typer.Option(
        "",
        LOG_FILE,
        metavar="FILE",
        help=f"Add progress, warnings and errors, each with its time, to a file; {_ANYWHERE}.",
        show_default=False,
    ),
) -> None:
    """Multimodal recommenders trained into flat minima. BSAM here is batch-focused SAM, not Bayesian SAM.

    Quick start: `flatrec demo` shows everything; then try `flatrec data info` and `flatrec train` on your own data.
    """
    del debug, quiet, log_file  # read before the words are parsed
    if version:
        typer.echo(__version__)
        raise typer.Exit


def run(words: list[str], guard: Guard) -> int:
    """Do what the words say; the exit code."""
    given = GlobalOptions.of(words)
    try:
        guard.working = True
        code = _answered(given, guard)
        if sys.stdout is not None:  # as it is where the caller closed it
            sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as error:
        if not isinstance(error, BrokenPipeError) and not isinstance(error.__context__, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to write goes nowhere
        return NOBODY_READS
    finally:
        guard.working = False
    return code


def _answered(given: GlobalOptions, guard: Guard) -> int:
    words, debug = given.words, given.debug
    try:
        command = words[0] if words else ""
        messages.configure(quiet=given.quiet, log_file=given.log_file)
        with one_voice(_UsageError) if first_speaks(command) else nullcontext():
            messages.ONLY_FILE.info(
                "flatrec %s %s", __version__, f"{command} begins" if command in COMMANDS else "begins"
            )
            check_command(command)
            _check_words(words)
            code = int(app(words, prog_name="flatrec", standalone_mode=False) or 0)
            messages.ONLY_FILE.info("ended with exit code %d", code)
        return _interrupted(guard) if code == INTERRUPTED else code
    except BrokenPipeError:
        raise
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(guard)
    except (SystemExit, GeneratorExit) as error:
        if not place_of(error):  # not out of a class of the user's own
            raise
        return _report(f"{raised(error)}; a model or strategy must not end the process", FAILED, debug=debug)
    except Exception as error:
        if guard.code:  # told to stop, and what was interrupted made something else of it
            return _interrupted(guard)
        return _explained(error, debug=debug)


def _explained(error: Exception, *, debug: bool) -> int:
    if isinstance(error, _UsageError):
        return _report(_usage(error), BAD_USAGE, debug=debug)
    if place_of(error):  # in a class of the user's own
        return _report(f"{raised(error)}; --debug shows how it came to that", FAILED, debug=debug)
    if isinstance(error, (RecursionError, *_USAGE)):
        return _report(message(error), BAD_USAGE, debug=debug)
    if isinstance(error, ModuleNotFoundError):
        return _report(explain_missing(error), FAILED, debug=debug)
    if isinstance(error, _FAILURES):
        return _report(message(error), FAILED, debug=debug)
    return _report(f"{raised(error)}; --debug shows how it came to that", FAILED, debug=debug)


def _usage(error: Click) -> str:
    """What is wrong with the words; the former name of an option is answered with the new one."""
    if not isinstance(error, _NoSuchOption):
        return str(error.format_message())
    from flatrec.config import old_words

    known = [name for param in error.ctx.command.params for name in param.opts] if error.ctx else []
    new = old_words.new_name(error.option_name, [*known, old_words.COLD_START], old_words.OPTIONS)
    return f"no such option: {error.option_name}{new}" if new else str(error.format_message())


def _check_words(words: list[str]) -> None:
    """Refuse options without a value, which would be taken for the folder that one is in.

    Raises:
        ValueError: a word is empty.
    """
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        if not word.strip():
            before = words[place - 1] if place else ""
            raise ValueError(f"{before if before.startswith('-') else 'an argument'} is empty; give a value")
        if equals and option.startswith("--") and not value.strip():
            raise ValueError(f"{option} is empty; give a value, or leave it out")


def _interrupted(guard: Guard) -> int:
    guard.code = guard.code or INTERRUPTED
    if line := guard.line().strip():
        messages.ONLY_FILE.error("%s", line)
        messages.print_error(line)
    return guard.code


def _report(said: str, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    if said.strip():
        line = clipped(" ".join(said.split()), LONGEST)
        messages.ONLY_FILE.error("%s", line, exc_info=True)
        messages.print_error(f"flatrec: {line}")
    return code
