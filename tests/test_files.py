import os
import stat

import pytest

from flatrec.files import replacing, write_text


def test_the_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "report.txt"
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_keeps_the_suffix(tmp_path):
    # Writers such as numpy.save and matplotlib's savefig choose the format by it.
    with replacing(tmp_path / "figure.png") as temporary:
        assert temporary.suffix == ".png"


def test_an_old_file_stays_as_it_was_until_then(tmp_path):
    path = tmp_path / "report.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "report.txt"
    path.write_text("old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_at_once_do_not_share_a_temporary_file(tmp_path):
    path = tmp_path / "report.txt"
    with replacing(path) as first, replacing(path) as second:
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
