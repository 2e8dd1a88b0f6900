"""Full disks and links in the way: one line, nothing half taken for good, and the same command ends well later."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress

import pytest

from tests.hostile.commands import NAMES, content, words_of
from tests.hostile.processes import check_line, leftovers

pytestmark = pytest.mark.slow
ROOMY = "256m"


class Disk:
    """A folder with little room: a small file system; where none may be mounted, files that may not be large."""

    def __init__(self, folder, kilobytes):
        self.folder, self.kilobytes = folder, kilobytes
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
        self.mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0

    @property
    def environment(self):
        return {} if self.mounted else {"FLATREC_TEST_LARGEST_FILE": str(self.kilobytes * 1024)}

    def grow(self):
        self.kilobytes = 2**20
        if self.mounted:
            subprocess.run(["mount", "-o", f"remount,size={ROOMY}", str(self.folder)], check=True)

    def close(self):
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=False)


@pytest.fixture
def disk(tmp_path):
    made = []

    def make(kilobytes):
        made.append(Disk(tmp_path / "disk", kilobytes))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("kilobytes", [12, 60, 200])
@pytest.mark.parametrize("name", ["train", *NAMES])
def test_a_full_disk_is_one_line_and_the_command_ends_well_when_there_is_room(
    run, blocks, raw, disk, tmp_path, name, kilobytes
):
    cache = {"FLATREC_CACHE": str(tmp_path / "cache")}
    whole = tmp_path / "whole" / "data"
    check_line(run(*words_of(name, blocks, raw, whole), logs=tmp_path / "logs", environment=cache), 0)
    small = disk(kilobytes)
    words = words_of(name, blocks, raw, small.folder / "data")
    ended = run(*words, logs=tmp_path / "logs", environment=cache | small.environment)
    check_line(ended, 0, 1, 2)  # 2 where no run of a study could be finished
    small.grow()
    check_line(run(*words, logs=tmp_path / "logs", environment=cache | small.environment), 0)
    assert content(small.folder / "data") == content(whole)
    assert leftovers(small.folder) == []


@pytest.mark.parametrize("name", ["train", *NAMES])
def test_links_in_the_way_are_not_followed(run, blocks, raw, tmp_path, name):
    others = {"logs": tmp_path / "logs", "environment": {"FLATREC_CACHE": str(tmp_path / "cache")}}
    whole = tmp_path / "whole" / "data"
    check_line(run(*words_of(name, blocks, raw, whole), **others), 0)
    files = sorted(str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file())
    for number, file in enumerate(files[:: max(1, len(files) // 8)]):
        victim, out = tmp_path / f"victim{number}", tmp_path / f"out{number}" / "data"
        victim.write_text("precious")
        (out / file).parent.mkdir(parents=True)
        (out / file).symlink_to(victim)
        check_line(run(*words_of(name, blocks, raw, out), **others), 0, 1, 2)
        assert victim.read_text() == "precious", file
        assert leftovers(out) == []
        with suppress(OSError):
            os.unlink(out / file)
