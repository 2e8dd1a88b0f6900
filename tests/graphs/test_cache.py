import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from safetensors.numpy import save_file
from scipy import sparse

from flatrec.graphs import cooccurrence, knn
from flatrec.graphs.cache import VARIABLE, cached
from flatrec.graphs.cooccurrence import cooccurrence_matrix
from flatrec.graphs.knn import knn_matrix
from flatrec.testing import block_dataset


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache, in a folder that does not exist yet."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "some" / "where"))
    return tmp_path / "some" / "where"


class Builder:
    """Gives a graph and counts how often it was asked to."""

    def __init__(self, graph):
        self.graph = graph
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return self.graph


def small(value=1.5):
    return sparse.csr_array(np.array([[0, value, 2], [0, 0, 0]], dtype=np.float32))


def unsorted():
    parts = (np.array([1.0, 2.0, 3.0], np.float32), np.array([2, 0, 1], np.int32), np.array([0, 2, 3], np.int32))
    return sparse.csr_array(parts, shape=(2, 3))


def wide():
    """A graph with 64-bit indices where 32 bits would do."""
    graph = small()
    graph.indices, graph.indptr = graph.indices.astype(np.int64), graph.indptr.astype(np.int64)
    return graph


def with_zeros_and_nan():
    return sparse.csr_array((np.array([0.0, -0.0, np.nan]), ([0, 1, 1], [1, 0, 2])), shape=(2, 3))


def same(one, other):
    assert type(one) is type(other)
    assert one.shape == other.shape
    for name in ("data", "indices", "indptr"):
        ours, theirs = getattr(one, name), getattr(other, name)
        assert (ours.dtype, ours.tobytes()) == (theirs.dtype, theirs.tobytes()), name
        assert ours.flags.writeable, name


def only_file(folder):
    (path,) = folder.iterdir()
    return path


GRAPHS = [
    small(),
    unsorted(),
    wide(),
    with_zeros_and_nan(),
    small().astype(np.float64),
    small().astype(bool),
    sparse.csr_array((4, 7), dtype=np.float32),
    sparse.csr_array((0, 3), dtype=np.float64),
]


@pytest.mark.parametrize("graph", GRAPHS)
def test_what_is_read_equals_what_was_built_bit_for_bit_and_is_not_built_again(folder, graph):
    build = Builder(graph)
    assert cached("graph-1", [3], build) is graph
    again = cached("graph-1", [3], build)
    same(again, graph)
    assert again.has_sorted_indices == graph.has_sorted_indices
    assert build.calls == 1
    assert only_file(folder).suffix == ".safetensors"


def test_a_graph_that_is_changed_leaves_the_kept_one_as_it_was(folder):  # noqa: ARG001
    for _ in range(2):
        graph = cached("graph-1", [3], small)
        same(graph, small())
        graph.data[:] = 7


ONES = np.ones((2, 3), dtype=np.float32)
DIFFERENT = [
    ("graph-1", [ONES, 10]),
    ("graph-2", [ONES, 10]),
    ("other-1", [ONES, 10]),
    ("graph-1", [ONES, 11]),
    ("graph-1", [ONES, 10.0]),
    ("graph-1", [ONES, "10"]),
    ("graph-1", [10, ONES]),
    ("graph-1", [ONES]),
    ("graph-1", [ONES, 10, ""]),
    ("graph-1", [ONES + np.float32(1e-6), 10]),
    ("graph-1", [-ONES, 10]),
    ("graph-1", [ONES.T, 10]),
    ("graph-1", [ONES.ravel(), 10]),
    ("graph-1", [ONES.view(np.int32), 10]),
    ("graph-1", [ONES.astype(np.float64), 10]),
    ("graph-1", [ONES.tobytes().decode("latin-1"), 10]),
    ("graph-1", [ONES[:1], ONES[1:], 10]),
    ("graph-1", [ONES[:0], 10]),
    ("graph-1", [ONES[:0].T, 10]),
    ("graph-1", ["ab", "c"]),
    ("graph-1", ["a", "bc"]),
    ("graph-1", ["abc"]),
    ("graph-1", ["abc", ""]),
    ("graph-1", ["", "abc"]),
    ("graph-1", ["ab', 'c"]),
    ("graph-1", [1, 23]),
    ("graph-1", [12, 3]),
    ("graph-1", [123]),
    ("graph-1", []),
    ("graph-1a", ["b"]),
    ("graph-1ab", []),
]


def test_no_two_different_inputs_share_a_graph(folder):
    graphs = [small(number) for number in range(len(DIFFERENT))]
    for (kind, inputs), graph in zip(DIFFERENT, graphs, strict=True):
        assert cached(kind, inputs, Builder(graph)) is graph
    assert len(list(folder.iterdir())) == len(DIFFERENT)
    for (kind, inputs), graph in zip(DIFFERENT, graphs, strict=True):
        build = Builder(small(-1))
        same(cached(kind, inputs, build), graph)
        assert build.calls == 0


def test_how_an_array_lies_in_memory_does_not_matter(folder):  # noqa: ARG001
    build = Builder(small())
    array = np.arange(6.0).reshape(2, 3)
    for form in (array, np.asfortranarray(array), np.repeat(array, 2, axis=1)[:, ::2]):
        cached("graph-1", [form], build)
    assert build.calls == 1


def test_an_array_of_objects_is_refused_since_its_bytes_are_addresses(folder):  # noqa: ARG001
    with pytest.raises(TypeError):
        cached("graph-1", [np.array([{}])], small)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def empty(path):
    path.write_bytes(b"")


def flip(path):
    content = bytearray(path.read_bytes())
    content[-20] ^= 1  # among the tensors, where the format itself would not notice
    path.write_bytes(bytes(content))


def foreign(path):
    save_file({"weight": ONES}, path)


def from_another_key(path):
    before = path.read_bytes()
    path.unlink()
    cached("graph-1", ["another"], Builder(small(8)))
    only_file(path.parent).rename(path)
    assert path.read_bytes() != before


def with_a_header_of_nonsense(path):
    path.write_bytes(b"\xff" * 100)


def pickled(path):
    path.write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")


@pytest.mark.parametrize("damage", [cut, empty, flip, foreign, from_another_key, with_a_header_of_nonsense, pickled])
def test_a_file_that_does_not_hold_the_graph_is_replaced_with_a_warning(folder, caplog, damage):
    build = Builder(small())
    cached("graph-1", [3], build)
    path = only_file(folder)
    sound = path.read_bytes()
    damage(path)
    with caplog.at_level(logging.WARNING):
        same(cached("graph-1", [3], build), small())
    assert build.calls == 2
    (record,) = caplog.records
    assert path.name in record.getMessage()
    assert only_file(folder).read_bytes() == sound
    cached("graph-1", [3], build)
    assert build.calls == 2


@pytest.mark.parametrize("inside", [".", "deeper/down"])
def test_a_folder_that_cannot_be_made_costs_a_warning_only(tmp_path, monkeypatch, caplog, inside):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file" / inside))
    build = Builder(small())
    with caplog.at_level(logging.WARNING):
        same(cached("graph-1", [3], build), small())
    (record,) = caplog.records
    assert "not kept" in record.getMessage()
    assert VARIABLE in record.getMessage()
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_write_that_fails_costs_a_warning_only_and_leaves_nothing(folder, monkeypatch, caplog):
    def write_half(path, content):
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with caplog.at_level(logging.WARNING):
        same(cached("graph-1", [3], small), small())
    assert "the disk is full" in caplog.text
    assert list(folder.iterdir()) == []


def test_a_folder_in_the_place_of_the_file_costs_warnings_only(folder, caplog):
    cached("graph-1", [3], small)
    path = only_file(folder)
    path.unlink()
    path.mkdir()
    with caplog.at_level(logging.WARNING):
        same(cached("graph-1", [3], small), small())
    assert only_file(folder).is_dir()


def test_an_error_of_the_builder_is_passed_on_and_nothing_is_kept(folder):
    def fail():
        raise ValueError("no such graph")

    with pytest.raises(ValueError, match="no such graph"):
        cached("graph-1", [3], fail)
    assert not folder.exists()


def test_off_builds_every_time_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "off")
    monkeypatch.chdir(tmp_path)
    build = Builder(small())
    for _ in range(2):
        assert cached("graph-1", [3], build) is build.graph
    assert build.calls == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_graphs_lie_in_the_users_cache_folder(tmp_path, monkeypatch, value):
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / name)
    monkeypatch.delenv(VARIABLE)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    cached("graph-1", [3], small)
    assert only_file(tmp_path / "flatrec" / "graphs").name.startswith("graph-1-")


AT_ONCE = """
import sys, time
from pathlib import Path
import numpy as np
from scipy import sparse
from flatrec.graphs.cache import cached

meeting, name, other = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

def build():
    (meeting / name).touch()
    end = time.monotonic() + 60
    while not (meeting / other).exists():
        assert time.monotonic() < end, "the other process never built"
        time.sleep(0.001)
    return sparse.random_array((300, 300), density=0.2, format="csr", rng=np.random.default_rng(0))

graph = cached("graph-1", [3], build)
print(float(graph.sum()), graph.nnz)
"""


def test_two_processes_that_build_at_once_leave_one_sound_file(folder, tmp_path):
    names = ("one", "two")
    running = [
        subprocess.Popen(
            [sys.executable, "-c", AT_ONCE, str(tmp_path), *order], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for order in (names, names[::-1])
    ]
    printed = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0], printed
    assert printed[0] == printed[1]
    assert printed[0][1] == b""
    expected = sparse.random_array((300, 300), density=0.2, format="csr", rng=np.random.default_rng(0))
    build = Builder(small())
    same(cached("graph-1", [3], build), expected)
    assert build.calls == 0
    assert only_file(folder).name.startswith("graph-1-")


def test_neighbors_of_changed_features_are_not_those_of_the_former(folder, monkeypatch):
    features = np.random.default_rng(0).standard_normal((23, 6)).astype(np.float32)
    noisy = features + np.random.default_rng(1).standard_normal((23, 6)).astype(np.float32)
    cases = [(features, 4), (noisy, 4), (features, 5)]
    expected = [knn_matrix(*case) for case in cases]
    assert not folder.exists()
    monkeypatch.setattr(knn, "CACHED_FROM", 0)
    for _ in range(2):
        for case, graph in zip(cases, expected, strict=True):
            same(knn_matrix(*case), graph)
        assert len(list(folder.iterdir())) == len(cases)


def test_cooccurrence_of_another_split_is_not_that_of_the_former(folder, monkeypatch):
    cases = [(block_dataset(users=users, items=items), k) for users, items, k in ((9, 8, 4), (9, 9, 4), (9, 8, 5))]
    expected = [cooccurrence_matrix(dataset.interactions, k) for dataset, k in cases]
    assert not folder.exists()
    monkeypatch.setattr(cooccurrence, "CACHED_FROM", 0)
    for _ in range(2):
        for (dataset, k), graph in zip(cases, expected, strict=True):
            same(cooccurrence_matrix(dataset.interactions, k), graph)
        assert len(list(folder.iterdir())) == len(cases)
