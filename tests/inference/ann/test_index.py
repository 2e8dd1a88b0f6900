"""What an index is built of, how much it finds, and when it is refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.inference.ann import IndexSettings, build_index
from flatrec.inference.ann.search import Request, rank_by_index
from flatrec.models.scoring import Vectors
from flatrec.utils import optional
from tests.inference.ann.conftest import DIM, N_ITEMS, N_USERS, SETTINGS, index, seen, vectors

pytest.importorskip("faiss")


def test_the_recall_is_that_of_lists_by_brute_force():
    scores = (vectors().users.double() @ vectors().items.double().T).numpy()
    scores[seen().toarray() != 0] = -np.inf
    request = Request(vectors().users, vectors().items, 10, seen())
    found = rank_by_index(index(), request).items.tolist()
    hits = [len(set(row) & set(np.argsort(-best)[:10].tolist())) for row, best in zip(found, scores, strict=True)]
    facts = index().facts
    assert facts.recall == pytest.approx(np.mean(hits) / 10)
    assert facts.recall >= 0.99
    assert (facts.n_items, facts.width, facts.k, facts.n_users) == (N_ITEMS, DIM, 10, N_USERS)
    assert 10 < facts.search_width < N_ITEMS // 4


def test_searches_are_no_wider_than_the_bound_needs():
    loose = build_index(vectors(), seen(), SETTINGS.replace(min_recall=0.5)).facts
    assert loose.search_width < index().facts.search_width
    assert 0.5 <= loose.recall < index().facts.recall


def test_the_sample_depends_on_the_seed():
    few = SETTINGS.replace(n_users=15)
    first, again, other = (build_index(vectors(), seen(), few.replace(seed=seed)).facts for seed in (0, 0, 1))
    assert first == again
    assert first.n_users == 15
    assert (first.recall, first.search_width) != (other.recall, other.search_width)


def test_an_index_that_finds_too_little_is_refused_in_one_line():
    poor = SETTINGS.replace(n_links=2, build_width=1, items_per_step=125)
    with pytest.raises(
        ValueError, match=r"finds 0\.\d+ of the 10 best items .* at search width 16, .* 0.99;"
    ) as refused:
        build_index(vectors(), seen(), poor)
    assert "\n" not in str(refused.value)


def test_users_who_get_exact_lists_are_not_measured():
    whole = seen().toarray()
    whole[:20, 20:700] = 1
    facts = build_index(vectors(), sparse.csr_array(whole), SETTINGS).facts
    assert facts.n_users == 40
    whole[:, 20:700] = 1
    with pytest.raises(ValueError, match="all of 60 users have seen so many items"):
        build_index(vectors(), sparse.csr_array(whole), SETTINGS)


def test_small_catalogs_get_none():
    with pytest.raises(ValueError, match="from 200000 items on, but there are 2000; exact lists need none"):
        build_index(vectors(), seen())


def test_vectors_that_an_index_is_not_of_are_refused():
    with pytest.raises(ValueError, match="of 2000 items of 12 columns, but the recommender has 1999 of 12"):
        index().check(1999, DIM)
    with pytest.raises(ValueError, match="but the recommender has 2000 of 13"):
        index().check(N_ITEMS, 13)
    index().check(N_ITEMS + 5, DIM)


def test_the_message_names_the_extra_where_faiss_is_missing(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(optional, "import_module", missing)
    with pytest.raises(ModuleNotFoundError, match=r"faiss is not installed, .* pip install 'flatrec\[ann\]'"):
        build_index(Vectors(torch.ones(1, 2), torch.ones(3, 2)), seen()[:1, :3], IndexSettings(min_items=1))


def test_faiss_is_imported_only_when_an_index_is_used():
    code = "import sys, flatrec.inference.storage, flatrec.inference.ann.files; sys.exit('faiss' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
