"""Exported vectors: what they give as scores, what reads them, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from flatrec.inference.export import export_vectors, vectors
from flatrec.utils.integrity import MANIFEST, check_manifest
from tests.inference.export.conftest import drawn


def test_inner_products_are_the_scores_of_the_recommender(tmp_path):
    recommender = drawn()
    report = export_vectors(recommender, tmp_path / "vectors")
    users, items = (np.load(tmp_path / "vectors" / f"{name}.npy", mmap_mode="r") for name in ("users", "items"))
    scores = recommender.scoring.scores(torch.arange(23)).numpy()
    np.testing.assert_allclose(users @ items.T, scores, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(users, recommender.scoring.users.numpy())
    np.testing.assert_array_equal(items, recommender.scoring.items.numpy())
    assert users.dtype == items.dtype == np.float32
    assert (report.what, report.rows, report.skipped) == ("vectors", 40, False)


@pytest.mark.parametrize("block", [1, 4, 100])
def test_all_files_hold_the_same_in_the_same_order(tmp_path, monkeypatch, block):
    monkeypatch.setattr(vectors, "_BLOCK", block)
    recommender, folder = drawn(), tmp_path / "vectors"
    export_vectors(recommender, folder)
    for name, ids in (("users", recommender.users), ("items", recommender.items)):
        frame = pl.read_parquet(folder / f"{name}.parquet")
        assert frame.schema == {"id": pl.String, "vector": pl.Array(pl.Float32, 5)}
        assert frame["id"].to_list() == json.loads((folder / f"{name}.ids.json").read_text()) == list(ids)
        np.testing.assert_array_equal(frame["vector"].to_numpy(), np.load(folder / f"{name}.npy"))
        vector = pq.read_schema(folder / f"{name}.parquet").field("vector").type
        assert vector == pa.list_(pa.field("item", pa.float32()), 5)
    about = json.loads((folder / "vectors.json").read_text())
    assert (about["dim"], about["metric"], about["users"], about["items"]) == (5, "inner product", 23, 17)
    check_manifest(folder, advice="")


def test_equal_recommenders_give_equal_bytes(tmp_path):
    for name in ("first", "second"):
        export_vectors(drawn(), tmp_path / name)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("kind", ["item-matrix", "item-scores"])
def test_recommenders_without_vectors_are_refused(tmp_path, kind):
    with pytest.raises(ValueError, match="has no vectors to export"):
        export_vectors(drawn(kind=kind), tmp_path / "vectors")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_the_same_vectors_is_left_and_another_one_replaced_only_if_asked(tmp_path):
    folder = tmp_path / "vectors"
    first = export_vectors(drawn(), folder)
    assert export_vectors(drawn(), folder).skipped
    with pytest.raises(FileExistsError, match="holds other vectors"):
        export_vectors(drawn(seed=1), folder)
    second = export_vectors(drawn(seed=1), folder, overwrite=True)
    assert second.generation != first.generation
    np.testing.assert_array_equal(np.load(folder / "items.npy"), drawn(seed=1).scoring.items.numpy())
    assert [path.name for path in tmp_path.iterdir()] == ["vectors"]


def test_a_damaged_folder_is_written_again(tmp_path):
    folder = tmp_path / "vectors"
    export_vectors(drawn(), folder)
    right = (folder / "users.npy").read_bytes()
    (folder / "users.npy").write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    assert not export_vectors(drawn(), folder, overwrite=True).skipped
    assert (folder / "users.npy").read_bytes() == right


def test_a_folder_of_other_files_is_never_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("cat")
    with pytest.raises(FileExistsError, match="other files than exported vectors"):
        export_vectors(drawn(), tmp_path / "photos", overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="is not a folder"):
        export_vectors(drawn(), tmp_path / "file", overwrite=True)
    with pytest.raises(OSError, match="choose a folder that exists"):
        export_vectors(drawn(), tmp_path / "missing" / "vectors")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["cat.png", "file", "photos"]


def test_what_a_kill_left_is_removed(tmp_path):
    (tmp_path / f".flatrec-{'0' * 32}.tmp" / "new").mkdir(parents=True)
    export_vectors(drawn(), tmp_path / "vectors")
    assert [path.name for path in tmp_path.iterdir()] == ["vectors"]


def test_an_error_in_the_middle_leaves_the_old_folder(tmp_path, monkeypatch):
    folder = tmp_path / "vectors"
    export_vectors(drawn(), folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(vectors, "write_manifest", full)
    with pytest.raises(OSError, match=r"cannot write .*vectors: No space left on device; free some space"):
        export_vectors(drawn(seed=1), folder, overwrite=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert MANIFEST in before
    assert [path.name for path in tmp_path.iterdir()] == ["vectors"]


@pytest.mark.parametrize("package", ["faiss", "qdrant_client"])
def test_the_examples_of_the_guide_find_what_the_recommender_recommends(tmp_path, monkeypatch, package):
    pytest.importorskip(package)
    page = (Path(__file__).parents[3] / "docs" / "export.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (example,) = [one for one in examples if package in one]
    for name, identifier in (("user-00007", "u7"), ("item-00734", "i3"), ("item-00633", "i11")):
        example = example.replace(name, identifier)
    recommender = drawn()
    export_vectors(recommender, tmp_path / "vectors")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(example, "export.md", "exec"), names)  # noqa: S102
    (expected,) = recommender.recommend("u7", 10, filter_seen=False, exclude=["i3", "i11"])
    assert [item for item, _ in names["found"]] == [one.item for one in expected]
    np.testing.assert_allclose([score for _, score in names["found"]], [one.score for one in expected], rtol=1e-5)
