"""flatrec recommender index: built, shown, removed, and refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.catalog import Catalog
from flatrec.inference.recommender import Recommender
from flatrec.inference.storage import load_recommender, save_recommender
from flatrec.models.scoring import Vectors

pytest.importorskip("faiss")
N_USERS, N_ITEMS = 30, 6000


@pytest.fixture
def folder(tmp_path):
    stream = torch.Generator().manual_seed(0)
    vectors = Vectors(torch.randn(N_USERS, 4, generator=stream), torch.randn(N_ITEMS, 4, generator=stream))
    users, items = (
        Vocabulary(kind, [f"{kind} {n}" for n in range(size)]) for kind, size in (("user", N_USERS), ("item", N_ITEMS))
    )
    catalog = Catalog(items, np.ones(N_ITEMS), np.zeros(N_ITEMS, dtype=np.bool_))
    nothing = sparse.csr_array((N_USERS, N_ITEMS))
    save_recommender(Recommender(vectors, users, catalog, nothing, nothing), tmp_path / "saved")
    return tmp_path / "saved"


def test_an_index_is_built_shown_and_removed(flatrec, folder):
    built = flatrec("recommender", "index", folder, "--min-items", 100, "--min-recall", 0.9, "--json")
    assert built.code == 0, built.err
    facts = json.loads(built.out)["index"]
    assert facts["n_items"] == N_ITEMS
    assert 0.9 <= facts["recall"] <= 1
    assert load_recommender(folder).index.facts.recall == facts["recall"]
    shown = json.loads(flatrec("recommender", "info", folder, "--json").out)
    assert shown["index"]["recall"] == facts["recall"]
    assert "index.faiss" in shown["files"]
    assert "has no index: its lists are exact" in flatrec("recommender", "index", folder, "--remove").out
    assert load_recommender(folder).index is None
    assert not (folder / "index.faiss").exists()


def test_what_cannot_be_is_refused_and_the_folder_stays(flatrec, folder):
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    outcome = flatrec("recommender", "index", folder)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "from 200000 items on, but there are 6000" in outcome.err
    assert "min_recall must lie in [0, 1]" in flatrec("recommender", "index", folder, "--min-recall", 2).err
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
