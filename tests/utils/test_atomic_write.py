import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from flatrec.utils.atomic_write import atomic_write, sweep, write_text
from flatrec.utils.locks import try_lock


def test_the_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "report.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent.parent == path.parent
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_has_the_name_of_the_file(tmp_path):
    # Writers such as numpy.save and matplotlib's savefig choose the format by it.
    with atomic_write(tmp_path / "figure.png") as temporary:
        assert temporary.name == "figure.png"


def test_an_old_file_stays_as_it_was_until_then(tmp_path):
    path = tmp_path / "report.txt"
    path.write_text("old")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "report.txt"
    path.write_text("old")

    def write_half():
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_at_once_do_not_share_a_temporary_file(tmp_path):
    path = tmp_path / "report.txt"
    with atomic_write(path) as first, atomic_write(path) as second:
        first.write_text("first")
        second.write_text("second")
        assert first != second
    assert path.read_text() == "first"  # its block ended last
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_files_are_as_open_as_any_other(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "report.txt", "text")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "report.txt").stat().st_mode) == mode


def test_text_is_written_as_utf_8(tmp_path):
    write_text(tmp_path / "report.txt", "größer → λ\n")
    assert (tmp_path / "report.txt").read_bytes() == "größer → λ\n".encode()


def test_a_relative_path_is_fine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_text(type(tmp_path)("report.txt"), "text")
    assert (tmp_path / "report.txt").read_text() == "text"


def test_a_missing_folder_is_an_error_that_names_the_path(tmp_path):
    with pytest.raises(FileNotFoundError, match="cannot write .*missing/report.txt: No such file.*choose a folder"):
        write_text(tmp_path / "missing" / "report.txt", "text")


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="cannot write"):
        write_text(tmp_path / "file" / "report.txt", "text")


def test_a_folder_in_place_of_the_file_is_an_error_and_leaves_nothing(tmp_path):
    (tmp_path / "report.txt").mkdir()
    with pytest.raises(OSError, match="report.txt"):
        write_text(tmp_path / "report.txt", "text")
    assert list(tmp_path.iterdir()) == [tmp_path / "report.txt"]


KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from flatrec.utils.atomic_write import atomic_write
with atomic_write(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_kill_leaves_matches_no_pattern_and_goes_with_the_next_write(tmp_path):
    path = tmp_path / "clicks.inter"
    subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(path)], check=False)
    (left,) = tmp_path.iterdir()
    assert (left / "clicks.inter").read_text() == "half"
    assert list(tmp_path.glob("*.inter")) == []
    write_text(path, "whole")
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_living_process_writes_is_not_swept(tmp_path):
    path = tmp_path / "clicks.inter"
    with atomic_write(path) as temporary:
        temporary.write_text("long")
        code = (
            "import sys; from pathlib import Path; from flatrec.utils.atomic_write import sweep; "
            "sweep(Path(sys.argv[1]))"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
        assert temporary.exists()
    assert path.read_text() == "long"


@pytest.mark.skipif(sys.platform == "win32", reason="locks a file in the folder instead")
@pytest.mark.parametrize("moment", ["locked", "marked", "removed"])
def test_a_folder_that_is_swept_before_it_is_locked_is_made_again(tmp_path, monkeypatch, moment):
    path, make, locks = tmp_path / "graph.bin", Path.mkdir, []

    def swept(folder, *words, **options):
        make(folder, *words, **options)
        monkeypatch.setattr(Path, "mkdir", make)
        if moment == "locked":
            locks.append(os.open(folder, os.O_RDONLY))
            assert try_lock(locks[0])
        elif moment == "marked":
            (folder / ".abandoned").touch()
        else:
            sweep(tmp_path)
            assert not folder.exists()

    with atomic_write(tmp_path / "other"):
        pass  # sweeps the folder once
    monkeypatch.setattr(Path, "mkdir", swept)
    with atomic_write(path) as temporary:
        assert not (temporary.parent / ".abandoned").exists()
        temporary.write_text("whole")
    for descriptor in locks:
        os.close(descriptor)
    assert path.read_text() == "whole"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["graph.bin", "other"]


def test_files_of_others_are_never_swept(tmp_path):
    names = [".flatrec-notes.tmp", ".report.tmp", "flatrec-" + "0" * 32 + ".tmp", ".flatrec-" + "g" * 32 + ".tmp"]
    for name in names:
        (tmp_path / name).mkdir()
    sweep(tmp_path)
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(names)


def test_a_planted_link_with_the_name_of_a_leftover_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("precious")
    (tmp_path / (".flatrec-" + "0" * 32 + ".tmp")).symlink_to(victim)
    sweep(tmp_path)
    assert (victim / "file").read_text() == "precious"


def test_links_pipes_and_folders_are_never_replaced(tmp_path):
    (tmp_path / "file").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, what in (("link", "a symbolic link"), ("pipe", "a device or a pipe"), ("folder", "a folder")):
        with pytest.raises(OSError, match=f"cannot write .*{name}: it is {what}, not a regular file; choose another"):
            write_text(tmp_path / name, "text")
    assert (tmp_path / "file").read_text() == "precious"
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), OSError("9600 requested and 6112 written")],
    ids=["the system's", "numpy's"],
)
def test_a_full_disk_is_said_with_the_name_of_the_file(tmp_path, error):
    def write():
        with atomic_write(tmp_path / "report.txt"):
            raise error

    with pytest.raises(OSError, match=r"cannot write .*report.txt: the disk is full; free some space or choose"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_an_error_about_another_file_is_passed_on(tmp_path):
    def write():
        with atomic_write(tmp_path / "report.txt"):
            (tmp_path / "source.txt").read_text()

    with pytest.raises(FileNotFoundError, match="source.txt"):
        write()
