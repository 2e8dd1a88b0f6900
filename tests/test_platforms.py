"""Other systems than Linux: what only POSIX has is neither imported nor called, as far as Linux can tell."""

from __future__ import annotations

import ast
import errno
import io
import json
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import flatrec
from flatrec.data.shop import ShopSettings, generate, write
from flatrec.serve import runner
from flatrec.utils import relative_path, renaming, streams
from flatrec.utils.atomic_write import write_text

SOURCE = Path(flatrec.__file__).parent
MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix", "readline", "curses", "crypt")
NAMES = {
    "os": (
        "fork forkpty getuid geteuid getgid getegid getgroups getpgid getpgrp getsid setsid setuid setgid setpgid "
        "killpg sched_getaffinity sched_setaffinity sched_yield uname nice getpriority wait wait3 wait4 waitid mkfifo "
        "mknod chown fchown lchown fchmod fchdir chroot statvfs fstatvfs sysconf confstr getloadavg register_at_fork "
        "posix_spawn posix_fadvise posix_fallocate pread pwrite preadv pwritev sendfile copy_file_range sync fdatasync "
        "lockf openpty ctermid ttyname getxattr setxattr memfd_create pidfd_open eventfd O_NOFOLLOW O_DIRECTORY "
        "O_NONBLOCK O_CLOEXEC O_SYNC O_DSYNC O_NOCTTY O_TMPFILE WIFEXITED WEXITSTATUS WIFSIGNALED WNOHANG"
    ),
    "signal": (
        "SIGKILL SIGHUP SIGALRM SIGUSR1 SIGUSR2 SIGCHLD SIGPIPE SIGQUIT SIGSTOP SIGCONT SIGTSTP SIGWINCH alarm "
        "setitimer getitimer pause pthread_kill pthread_sigmask sigwait sigpending siginterrupt SIG_BLOCK SIG_UNBLOCK "
        "SIG_SETMASK"
    ),
    "socket": "AF_UNIX SO_REUSEPORT socketpair send_fds recv_fds",
    "time": "tzset clock_gettime clock_getres pthread_getcpuclockid",
    "select": "poll epoll kqueue",
}
# For modules of flatrec alone, other packages have code of their own for Windows, which is not what is tried here.
SCRIPT = """
import builtins, contextlib, importlib, io, json, pkgutil, sys, types

hidden_modules, hidden_names, commands = json.loads(sys.argv[1])
real_import = builtins.__import__

class Windows(types.ModuleType):
    def __init__(self, name, hidden, **other):
        object.__setattr__(self, "of_windows", (real_import(name), hidden, other))

    def __getattr__(self, name):
        module, hidden, other = object.__getattribute__(self, "of_windows")
        if name in hidden:
            raise AttributeError(f"Windows has no {module.__name__}.{name}")
        return other[name] if name in other else getattr(module, name)

    def __setattr__(self, name, value):
        setattr(object.__getattribute__(self, "of_windows")[0], name, value)

windows = {name: Windows(name, names.split()) for name, names in hidden_names.items()}
windows["sys"] = Windows("sys", (), platform="win32")

def import_as_on_windows(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {}).get("__name__") or ""
    if importer.partition(".")[0] == "flatrec" and not level:
        if name.partition(".")[0] in hidden_modules:
            raise ModuleNotFoundError(f"Windows has no module {name}, which {importer} imports")
        if name in windows:
            return windows[name]
    return real_import(name, globals, locals, fromlist, level)

builtins.__import__ = import_as_on_windows

import flatrec
names = [one.name for one in pkgutil.walk_packages(flatrec.__path__, "flatrec.")]
for name in names:
    importlib.import_module(name)

from flatrec.cli import main
for words in commands:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(words.split())
        except SystemExit as stop:
            code = stop.code
    print(json.dumps([words, code, out.getvalue(), err.getvalue()]))
print(json.dumps(len(names)))
"""
SMALL = "--set model.embedding_dim=8 --set training.batch_size=256"
COMMANDS = (
    f"train --data small --model vbpr --strategy bsam+ --set training.epochs=2 {SMALL} --out run",
    f"train --resume --data small --model vbpr --strategy bsam+ --set training.epochs=3 {SMALL} --out run",
    "recommend run --user user-00003 --json",
    "export run -k 3 --out lists.csv",
    "export run -k 3 --out lists.csv --overwrite",
    "data shop small --users 120 --items 60 --overwrite",
    f"train --data small --model vbpr --set training.epochs=1 {SMALL} --out run --overwrite",
)


def on_windows(commands, folder):
    task = json.dumps([MODULES, NAMES, commands])
    command = [sys.executable, "-c", SCRIPT, task]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_module_is_imported_and_the_core_works_without_what_only_posix_has(tmp_path):
    write(generate(ShopSettings(users=120, items=60)), tmp_path / "small")
    *outcomes, n_modules = on_windows(COMMANDS, tmp_path)
    assert n_modules == sum(1 for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")
    assert [(words, code, err.count("Error")) for words, code, _, err in outcomes] == [
        (words, 0, 0) for words in COMMANDS
    ]
    lists = (tmp_path / "lists.csv").read_bytes()
    assert lists.count(b"\n") > 1
    assert b"\r" not in lists


def test_the_check_sees_what_only_posix_has(tmp_path, monkeypatch):
    (tmp_path / "flatrec").mkdir()
    (tmp_path / "flatrec" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "flatrec" / "cli.py").write_text(
        textwrap.dedent("""
        import os, signal, sys
        def main(words):
            print([sys.platform, hasattr(os, "fork"), hasattr(os, "replace"), hasattr(signal, "SIGKILL")])
            import fcntl
        """),
        encoding="utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    command = [sys.executable, "-c", SCRIPT, json.dumps([MODULES, NAMES, ["x"]])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Windows has no module fcntl, which flatrec.cli imports" in done.stderr


def text_calls(tree):
    """Yield the line of every call that reads or writes text, its function and its keywords."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, (ast.Name, ast.Attribute)):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        keywords = {keyword.arg for keyword in node.keywords}
        if isinstance(node.func, ast.Attribute) and name in ("read_text", "write_text"):
            yield node.lineno, name, keywords
        modes = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if name == "open" and any(set(mode) <= set("rwaxt+") and mode for mode in modes):
            yield node.lineno, f"open {modes[0]}", keywords


def test_every_text_file_has_a_stated_encoding_and_the_line_ends_that_were_written():
    faults = []
    for path in sorted(SOURCE.rglob("*.py")):
        for line, name, keywords in text_calls(ast.parse(path.read_text(encoding="utf-8"))):
            needed = {"encoding"} if name in ("read_text", "open r") else {"encoding", "newline"}
            if not needed <= keywords:
                faults.append(f"{path.relative_to(SOURCE)}:{line}: {name} without {', '.join(needed - keywords)}")
    assert faults == []


def test_line_ends_are_written_as_they_are(tmp_path):
    write_text(tmp_path / "table.csv", "a\r\nb\n")
    assert (tmp_path / "table.csv").read_bytes() == b"a\r\nb\n"


@pytest.fixture
def _windows(monkeypatch):
    for module in (renaming, streams, runner):
        monkeypatch.setattr(module.sys, "platform", "win32")


def refused(times, then):
    """A rename that Windows refuses some times, since another program has the file open."""
    calls = []

    def replace(source, target):
        calls.append(source)
        if len(calls) <= times:
            raise PermissionError(errno.EACCES, "Access is denied", str(source))
        then(source, target)

    return replace, calls


@pytest.mark.usefixtures("_windows")
def test_on_windows_a_rename_is_repeated_while_a_scanner_has_the_file_open(tmp_path, monkeypatch):
    replace, calls = refused(2, Path.replace)
    (tmp_path / "a").write_text("new", encoding="utf-8")
    (tmp_path / "b").write_text("old", encoding="utf-8")
    monkeypatch.setattr(renaming, "_PAUSE", 0.0)
    monkeypatch.setattr(renaming.Path, "replace", replace)
    renaming.move(tmp_path / "a", tmp_path / "b")
    assert len(calls) == 3
    assert (tmp_path / "b").read_text(encoding="utf-8") == "new"


@pytest.mark.usefixtures("_windows")
def test_on_windows_a_file_that_stays_open_is_named(tmp_path, monkeypatch):
    replace, calls = refused(10**9, None)
    monkeypatch.setattr(renaming, "_PATIENCE", 0.01)
    monkeypatch.setattr(renaming.Path, "replace", replace)
    with pytest.raises(
        PermissionError, match=r"^cannot write .*b: Access is denied; end the programs that have it open"
    ):
        renaming.move(tmp_path / "a", tmp_path / "b")
    assert calls


def test_elsewhere_a_rename_is_tried_once(tmp_path, monkeypatch):
    replace, calls = refused(1, None)
    monkeypatch.setattr(renaming.sys, "platform", "linux")
    monkeypatch.setattr(renaming.Path, "replace", replace)
    with pytest.raises(PermissionError):
        renaming.move(tmp_path / "a", tmp_path / "b")
    assert len(calls) == 1


@pytest.mark.usefixtures("_windows")
def test_a_link_to_a_folder_is_replaced_on_windows_too(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        link = tmp_path / f"to-{name}"
        link.symlink_to(name, target_is_directory=True)
        renaming.move_link(link, tmp_path / "current")
    assert (tmp_path / "current").resolve() == (tmp_path / "second").resolve()
    assert not (tmp_path / "to-second").exists()


@pytest.mark.usefixtures("_windows")
def test_on_windows_pipes_and_files_get_utf8(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    streams.use_utf8()
    stream.write("日本 →")
    stream.flush()
    assert stream.buffer.getvalue() == "日本 →".encode()


@pytest.mark.usefixtures("_windows")
def test_an_encoding_that_the_user_chose_stays(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    streams.use_utf8()
    assert stream.encoding == "cp1252"


@pytest.mark.usefixtures("_windows")
def test_on_windows_no_other_program_can_take_the_address_of_the_service(monkeypatch):
    options = []
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", -5, raising=False)
    monkeypatch.setattr(runner.socket.socket, "setsockopt", lambda _, *option: options.append(option))
    runner.listen("127.0.0.1", 0).close()
    assert options == [(socket.SOL_SOCKET, -5, 1)]


def test_paths_in_tables_have_slashes_and_name_another_drive_in_full(tmp_path, monkeypatch):
    image = tmp_path / "images" / "a.png"
    assert relative_path.relative_path(image, tmp_path / "data") == "../images/a.png"

    def other_drive(*_):
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", other_drive)
    assert relative_path.relative_path(image, tmp_path / "data") == image.resolve().as_posix()
