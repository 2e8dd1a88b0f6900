import os
from contextlib import suppress

import numpy as np
import pytest

from flatrec.data.tables.arrays import read_array


class Malicious:
    def __reduce__(self):
        return os.system, ("touch broken-into",)


def test_pickled_objects_are_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "a.npy", np.array([Malicious()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="a.npy cannot be read .*pickled objects are refused") as caught:
        read_array(tmp_path / "a.npy")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "broken-into").exists()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x93NUMPY\x01\x00", b"PK\x03\x04"])
def test_what_is_no_array_is_refused(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match="a.npy cannot be read as a single .npy array"):
        read_array(tmp_path / "a.npy")


def test_several_arrays_in_one_file_are_refused(tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        np.savez(file, a=np.ones((3, 1)))
    with pytest.raises(ValueError, match="holds several arrays"):
        read_array(tmp_path / "a.npy")


def test_no_single_damaged_byte_breaks_out_of_the_error(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.ones((2, 2)))
    content = path.read_bytes()
    for place in range(128):
        path.write_bytes(content[:place] + b"(" + content[place + 1 :])
        with suppress(ValueError):
            read_array(path)
