"""How fast a command starts: it imports what it needs, and completion works."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import pytest

import flatrec
from flatrec.cli.commands import COMMANDS

HEAVY = (
    "torch",
    "polars",
    "scipy",
    "matplotlib",
    "optuna",
    "numpy",
    "sklearn",
    "joblib",
    "sqlalchemy",
)  # typer has pydantic
LISTING = f"""
import sys
sys.argv = ["flatrec", *sys.argv[1:]]
from flatrec.__main__ import main
try:
    main()
finally:
    print("imported:", *(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)
"""

HELPS = f"""
import contextlib, importlib, io, json, sys
import typer
from flatrec.cli import main
from flatrec.cli.commands import COMMANDS

def paths(name, found):
    yield [name]
    if isinstance(found, typer.Typer):
        own = getattr(typer.main.get_command(found), "commands")
        for below in own:
            yield [name, below]
            yield from ([name, below, last] for last in getattr(own[below], "commands", ()))

for name, command in COMMANDS.items():
    module, _, attribute = command.target.partition(":")
    for words in paths(name, getattr(importlib.import_module(module), attribute)):
        with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
            main([*words, "--help"])
        imported = [name for name in {HEAVY} if name in sys.modules]
        print(json.dumps([" ".join(words), shown.getvalue(), imported]))
"""


def run(*words, **variables):
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--version"], flatrec.__version__),
        (["--help"], "flatrec demo"),
        (["list", "models"], "Zhou & Shen, ACM MM 2023"),
        (["list", "--help"], "strategies"),
        (["train", "--help"], "Example:"),
        (["study", "--help"], "batch-size"),
        (["bogus"], ""),
    ],
)
def test_what_only_tells_imports_nothing_that_computes(words, shown):
    done = run("-c", LISTING, *words)
    assert done.stderr.splitlines()[-1] == "imported:", done.stderr
    assert shown in done.stdout


def test_no_help_imports_what_computes():
    done = run("-c", HELPS, COLUMNS="200")
    assert done.returncode == 0, done.stderr
    helps = {words: (shown, imported) for words, shown, imported in map(json.loads, done.stdout.splitlines())}
    assert {*COMMANDS, "data fetch", "data info", "data prepare amazon", "data shop", "list models"} < helps.keys()
    for words, (shown, imported) in helps.items():
        assert imported == [], words
        assert f"Usage: flatrec {words} " in shown, words


def test_the_list_of_strategies_needs_torch_but_no_data():
    done = run("-c", LISTING, "list", "strategies")
    assert done.returncode == 0
    imported = done.stderr.splitlines()[-1].split()[1:]
    assert "torch" in imported
    assert not {"matplotlib", "optuna", "sklearn", "joblib"} & set(imported)


@pytest.mark.parametrize(
    "words", [("list", "models"), ("list", "models", "--json"), ("list", "strategies"), ("--help",)]
)
def test_a_reader_that_stops_reading_gets_no_traceback(words):
    command = [sys.executable, "-m", "flatrec", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as done:
        done.stdout.close()
        assert done.stderr.read() == ""
    assert done.returncode == 141


def test_the_package_runs_as_a_module_and_sets_no_handler_where_it_is_imported():
    done = run("-m", "flatrec", "--version")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, flatrec.__version__, "")
    same = "import signal; before = signal.getsignal(2); import flatrec.__main__; assert signal.getsignal(2) is before"
    assert run("-c", same).returncode == 0


def test_help_groups_the_commands_and_says_where_to_start():
    shown = " ".join(run("-m", "flatrec", "--help").stdout.split())
    places = [shown.index(f"─ {panel} ─") for panel in dict.fromkeys(one.panel for one in COMMANDS.values())]
    assert places == sorted(places)
    assert shown.index("Quick start:") < places[0]
    assert all(f"│ {name} " in shown for name in COMMANDS)


@pytest.mark.parametrize(
    ("words", "place", "suggested"),
    [
        ("flatrec ", 1, {*COMMANDS}),
        ("flatrec comp", 1, {"compare"}),
        (
            "flatrec list ",
            2,
            {
                *("models", "losses", "samplings", "strategies", "optimizers", "schedules"),
                *("metrics", "loggers", "settings", "datasets"),
            },
        ),
        ("flatrec train --over", 2, {"--overwrite"}),
    ],
)
def test_completion_suggests_commands_and_options(words, place, suggested):
    done = run("-m", "flatrec", _FLATREC_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(place))
    assert set(done.stdout.split()) == suggested


def test_completion_can_be_had_for_a_shell():
    done = run("-m", "flatrec", _FLATREC_COMPLETE="source_bash")
    assert "_FLATREC_COMPLETE=complete_bash" in done.stdout


def cpu_seconds(*words):
    """The least user time of three runs."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        assert run(*words).returncode == 0
        times.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)
    return min(times)


def test_a_start_costs_little():
    """Lenient, as other processes may share the cores; the limits are 0.4 s, four times the imports, and 1 s."""
    imports = cpu_seconds("-c", "import typer, rich.console")
    for words, limit in ((["--version"], 0.4), (["--help"], 0.4), (["list", "models"], 1.0)):
        assert cpu_seconds("-m", "flatrec", *words) < max(limit, 6 * imports)
    assert cpu_seconds("-m", "flatrec", "--help") < 6 * imports
