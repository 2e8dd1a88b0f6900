import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from scipy import sparse

from flatrec import fit, load_recommender
from flatrec.data.features import Features
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference import storage
from flatrec.inference.catalog import Catalog
from flatrec.inference.recommender import Facts, Recommender
from flatrec.inference.storage import save_recommender
from flatrec.models.content_similarity import ContentSimilarity
from flatrec.models.perceptron import ProductPerceptron
from flatrec.models.scoring import ItemMatrix, ItemScores, UserMatrix, Vectors
from flatrec.testing import block_dataset
from flatrec.utils.integrity import seal

N_USERS, N_ITEMS = 3, 4
BOUGHT = sparse.csr_array(np.array([[1, 0, 2, 0], [0, 0, 0, 3], [0, 0, 0, 0]], dtype=np.float32))
SIMILAR = sparse.csr_array(np.array([[0, 0.5, 0, 0], [0.5, 0, 0, 0.25], [0, 0, 0, 1], [0, 0.25, 1, 0]]))


def vectors():
    generator = torch.Generator().manual_seed(0)
    return Vectors(torch.randn(N_USERS, 5, generator=generator), torch.randn(N_ITEMS, 5, generator=generator))


def perceptron():
    generator = torch.Generator().manual_seed(1)
    shapes = ((N_USERS, 4), (N_ITEMS, 4), (2, 4), (2,), (2,), ())
    return ProductPerceptron(*(torch.randn(shape, generator=generator) for shape in shapes))


SCORINGS = {
    "vectors": vectors,
    "item-matrix": lambda: ItemMatrix(BOUGHT, SIMILAR),
    "content-item-matrix": lambda: ItemMatrix(BOUGHT, SIMILAR, ContentSimilarity(3, 0.5, 0.1, "zero")),
    "dense-item-matrix": lambda: ItemMatrix(BOUGHT, SIMILAR.toarray()),
    "user-matrix": lambda: UserMatrix(BOUGHT, sparse.csr_array(np.eye(3, k=1, dtype=np.float32)), 5, 0.1),
    "product-perceptron": perceptron,
    "item-scores": lambda: ItemScores(torch.tensor([3.0, 1.0, 2.0, 0.0]), N_USERS),
}


def recommender(kind="vectors", **changes):
    catalog = Catalog(
        ids=Vocabulary("item", ["mug", "lamp", "00012", 'Ünïcödé, "quoted"']),
        popularity=np.array([1.0, 0.0, 2.0, 3.0]),
        new=np.zeros(N_ITEMS, dtype=np.bool_),
        titles=("Mug", "Lamp", "", "Last"),
        images=(Path("/shop/mug.png"), None, None, Path("/shop/x/last.png")),
        columns=pl.DataFrame({"price": [1.5, None, 2.0, 9.0], "kind": ["a", "b", None, "a"]}),
        features={
            "image": Features(np.arange(8, dtype=np.float32).reshape(4, 2), np.array([True, False, True, True])),
        },
    )
    parts = dict(
        scoring=SCORINGS[kind](),
        users=Vocabulary("user", ["ann", "bob", "nobody yet"]),
        catalog=catalog,
        history=BOUGHT,
        seen=sparse.csr_array(BOUGHT + sparse.csr_array(np.eye(3, 4, dtype=np.float32))),
        facts=Facts("freedom", "bsam+", "shop", "abc", "run", {"recall@10": 0.5}),
    )
    return Recommender(**(parts | changes))


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def same(one, other):
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("kind", SCORINGS)
def test_a_recommender_is_read_as_it_was_written(kind, tmp_path):
    before = recommender(kind)
    save_recommender(before, tmp_path / "saved")
    after = load_recommender(tmp_path / "saved")
    assert (list(after.users), list(after.items)) == (list(before.users), list(before.items))
    assert (after.facts, after.filter_seen) == (before.facts, True)
    assert (after.catalog.titles, after.catalog.images) == (before.catalog.titles, before.catalog.images)
    assert after.catalog.columns.equals(before.catalog.columns)
    assert after.catalog.popularity.tolist() == [1, 0, 2, 3]
    assert list(after.catalog.features) == ["image"]
    np.testing.assert_array_equal(after.catalog.features["image"].values, before.catalog.features["image"].values)
    assert after.catalog.features["image"].present.tolist() == [True, False, True, True]
    same(after.history, before.history)
    assert (after.seen != 0).toarray().tolist() == (before.seen != 0).toarray().tolist()
    users = torch.arange(N_USERS)
    assert torch.equal(after.scoring.scores(users), before.scoring.scores(users))
    if isinstance(before.scoring, ItemMatrix):
        assert after.scoring.content == before.scoring.content
    assert after.recommend(["ann", "bob", "nobody yet", "who"], 4) == before.recommend(
        ["ann", "bob", "nobody yet", "who"], 4
    )


def test_users_who_come_back_to_items_keep_getting_them(tmp_path):
    save_recommender(recommender(filter_seen=False), tmp_path / "saved")
    assert len(load_recommender(tmp_path / "saved").recommend("ann", 4)[0]) == 4


def test_equal_recommenders_give_equal_bytes(tmp_path):
    for name in ("one", "other"):
        save_recommender(recommender(), tmp_path / name)
    assert contents(tmp_path / "one") == contents(tmp_path / "other")


def test_large_tensors_are_mapped_from_the_disk(tmp_path, monkeypatch):
    save_recommender(recommender(), tmp_path / "saved")
    copied = load_recommender(tmp_path / "saved")
    monkeypatch.setattr(storage, "MAPPED_FROM", 1)
    mapped = load_recommender(tmp_path / "saved")
    assert mapped.recommend(["ann", "bob"], 3) == copied.recommend(["ann", "bob"], 3)


def test_an_earlier_recommender_is_replaced_and_nothing_else_is(tmp_path):
    save_recommender(recommender("item-scores"), tmp_path / "saved")
    plain = replace(recommender().catalog, features={})
    save_recommender(recommender("item-matrix", catalog=plain), tmp_path / "saved")
    assert isinstance(load_recommender(tmp_path / "saved").scoring, ItemMatrix)
    assert not (tmp_path / "saved" / "features.safetensors").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(FileExistsError, match="holds other files than a recommender"):
        save_recommender(recommender(), tmp_path / "mine")
    assert contents(tmp_path / "mine") == {"letter.txt": b"dear"}
    (tmp_path / "link").symlink_to(tmp_path / "saved")
    with pytest.raises(OSError, match="not a folder"):
        save_recommender(recommender(), tmp_path / "link")


@pytest.mark.parametrize("kind", SCORINGS)
def test_every_flipped_byte_is_noticed(kind, tmp_path):
    folder = tmp_path / "saved"
    save_recommender(recommender(kind), folder)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for position in range(0, len(whole), max(1, len(whole) // 150)):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << position % 8
            path.write_bytes(bytes(damaged))
            with pytest.raises((ValueError, FileNotFoundError)) as error:
                load_recommender(folder)
            assert "\n" not in str(error.value)
        path.write_bytes(whole)
    load_recommender(folder)


@pytest.mark.parametrize("name", ["recommender.json", "recommender.safetensors", "users.parquet", "items.parquet"])
def test_a_file_that_is_gone_is_missed(name, tmp_path):
    save_recommender(recommender(), tmp_path / "saved")
    (tmp_path / "saved" / name).unlink()
    with pytest.raises((ValueError, FileNotFoundError), match=name):
        load_recommender(tmp_path / "saved")


def test_a_folder_without_its_digests_is_not_finished(tmp_path):
    save_recommender(recommender(), tmp_path / "saved")
    (tmp_path / "saved" / "flatrec-manifest.json").unlink()
    with pytest.raises(ValueError, match="not finished"):
        load_recommender(tmp_path / "saved")


def forged(folder, **changes):
    """Write other facts with a digest that fits, as somebody would who wants to deceive."""
    facts = json.loads((folder / "recommender.json").read_text())
    facts.pop("digest")
    (folder / "recommender.json").write_text(seal(facts | changes))
    names = [path.name for path in folder.iterdir() if path.name != "flatrec-manifest.json"]
    storage.write_manifest(folder, names)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "other"}, "not that of a flatrec recommender"),
        ({"version": 2}, "has version 2 of the format, but this flatrec reads version 1"),
        ({"kind": "pickle"}, "of kind 'pickle'"),
        ({"users": 4}, "damaged"),
        ({"items": 40}, "damaged"),
        ({"items": "many"}, "damaged"),
        ({"facts": {"modell": "x"}}, "damaged"),
        ({"features": ["audio"]}, "damaged"),
    ],
)
def test_a_foreign_or_forged_folder_is_refused_in_one_line(changes, said, tmp_path):
    save_recommender(recommender(), tmp_path / "saved")
    forged(tmp_path / "saved", **changes)
    with pytest.raises(ValueError, match=said) as error:
        load_recommender(tmp_path / "saved")
    assert "\n" not in str(error.value)


def test_vectors_that_are_not_finite_are_refused(tmp_path):
    broken = Vectors(vectors().users, torch.full((N_ITEMS, 5), float("nan")))
    save_recommender(recommender(scoring=broken), tmp_path / "saved")
    with pytest.raises(ValueError, match="not finite"):
        load_recommender(tmp_path / "saved")


def test_there_is_no_recommender_in_another_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no recommender"):
        load_recommender(tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no recommender"):
        load_recommender(tmp_path / "nowhere")


def test_a_folder_can_be_moved(tmp_path):
    save_recommender(recommender(), tmp_path / "saved")
    shutil.move(tmp_path / "saved", tmp_path / "elsewhere")
    assert load_recommender(tmp_path / "elsewhere").recommend("ann", 1)[0].path == "known"


def test_a_recommender_in_the_folder_of_another_run_is_refused(tmp_path):
    dataset = block_dataset()
    for seed in (0, 1):
        fit(dataset, "popularity", out=tmp_path / f"run-{seed}", seed=seed)
    assert load_recommender(tmp_path / "run-0").facts.model == "popularity"
    shutil.rmtree(tmp_path / "run-0" / "recommender")
    shutil.copytree(tmp_path / "run-1" / "recommender", tmp_path / "run-0" / "recommender")
    with pytest.raises(ValueError, match="belongs to another run"):
        load_recommender(tmp_path / "run-0")
    assert load_recommender(tmp_path / "run-0" / "recommender").facts.data == dataset.name


def test_a_folder_of_a_nightly_job_names_the_recommender_in_use(tmp_path):
    save_recommender(recommender(), tmp_path / "generations" / "1")
    (tmp_path / "current").symlink_to(tmp_path / "generations" / "1")
    with pytest.raises(FileNotFoundError, match="name the one in use, .*current"):
        load_recommender(tmp_path)
    assert load_recommender(tmp_path / "current").users


def test_the_files_have_the_permissions_of_new_files(tmp_path):
    (tmp_path / "mine").touch()
    save_recommender(recommender(), tmp_path / "saved")
    modes = {path.stat().st_mode for path in (tmp_path / "saved").iterdir()}
    assert modes == {(tmp_path / "mine").stat().st_mode}
