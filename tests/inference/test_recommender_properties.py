"""The lists of random recommenders under random filters, against lists sorted in plain Python."""

from __future__ import annotations

from random import Random

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.candidates import Filters
from flatrec.inference.catalog import Catalog
from flatrec.inference.recommender import Recommender
from flatrec.models.scoring import ItemMatrix, ItemScores, Vectors

pytestmark = pytest.mark.repeats  # other tests compare the annotations with values

KINDS = ("vectors", "matrix", "dense matrix", "scores")
STRANGERS = ["stranger", "somebody", ""]
HALVES = [0.0, 0.0, 0.5, 1.0, 1.0, 1.5, 2.0]  # sums of their products are exact, so that equal scores are equal
SIGNED = [*HALVES, -0.5, -1.0]
CONDITIONS = {
    "price < 3": lambda item: item["price"] is not None and item["price"] < 3,
    "not price < 3": lambda item: item["price"] is not None and item["price"] >= 3,
    "price is missing": lambda item: item["price"] is None,
    'category in ["mugs", "lamps"]': lambda item: item["category"] in ("mugs", "lamps"),
    'category != "mugs"': lambda item: item["category"] not in ("mugs", None),
    "new = true": lambda item: item["new"],
    'title contains "a"': lambda item: item["title"] is not None and "a" in item["title"],
    'item = "i0" or item > "i3"': lambda item: item["item"] == "i0" or item["item"] > "i3",
    "price < -100": lambda _: False,
}


class World:
    """A recommender, and what it is made of as plain lists."""

    def __init__(self, kind, seed, n_users, n_items):
        random = Random(seed)

        def table(rows, columns, values):
            return [random.choices(values, k=columns) for _ in range(rows)]

        self.kind, self.random = kind, random
        self.users = [f"u{index}" for index in range(n_users)]
        self.items = [f"i{index}" for index in range(n_items)]
        self.history = table(n_users, n_items, [0.0, 0.0, 0.0, 1.0, 0.5, 2.0])
        for row in self.history[::3]:
            row[:] = [0.0] * n_items  # users without a training interaction
        later = table(n_users, n_items, [0.0, 0.0, 0.0, 1.0])
        self.seen = [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(self.history, later, strict=True)]
        self.vectors = table(n_users + n_items, 2, SIGNED)
        self.similarities = table(n_items, n_items, SIGNED)
        self.values = random.choices(SIGNED, k=n_items)
        self.popularity = random.choices([0.0, 1.0, 1.0, 2.5, 4.0], k=n_items)
        self.known = {user: random.choices([*self.items, "gone"], k=2) for user in STRANGERS if random.random() < 0.3}
        self.rows = [
            {
                "item": item,
                "title": random.choice(["mug", "lamp", "jar", None]),
                "price": random.choice([1.0, 2.5, 3.0, 40.0, None]),
                "category": random.choice(["mugs", "lamps", "jars", None]),
                "new": random.random() < 0.3,
            }
            for item in self.items
        ]

    def recommender(self, filter_seen):
        n_users = len(self.users)
        vectors = torch.tensor(self.vectors)
        scorings = {
            "vectors": lambda: Vectors(vectors[:n_users], vectors[n_users:]),
            "matrix": lambda: ItemMatrix(matrix(self.history), matrix(self.similarities)),
            "dense matrix": lambda: ItemMatrix(matrix(self.history), np.array(self.similarities, dtype=np.float32)),
            "scores": lambda: ItemScores(torch.tensor(self.values), n_users),
        }
        columns = {name: [row[name] for row in self.rows] for name in ("price", "category")}
        catalog = Catalog(
            ids=Vocabulary("item", self.items),
            popularity=np.array(self.popularity),
            new=np.array([row["new"] for row in self.rows]),
            titles=tuple(row["title"] for row in self.rows),
            columns=pl.DataFrame(columns, schema={"price": pl.Float64, "category": pl.String}),
        )
        users = Vocabulary("user", self.users)
        history, seen = matrix(self.history), matrix(self.seen)
        return Recommender(scorings[self.kind](), users, catalog, history, seen, filter_seen, histories=self.known)

    def path(self, user, history):
        if self.kind == "scores":
            return "popular"
        if user in self.users and any(self.history[self.users.index(user)]):
            return "known"
        return "history" if set(history) & set(self.items) else "popular"

    def scores(self, user, history):
        """The score of every item, or nothing for vectors of histories, which have their own tests."""
        path = self.path(user, history)
        if self.kind == "scores":
            return self.values
        if path == "popular":
            return self.popularity
        if path == "history" and self.kind == "vectors":
            return None
        if self.kind == "vectors":
            vector = self.vectors[self.users.index(user)]
            return [sum(a * b for a, b in zip(vector, other, strict=True)) for other in self.vectors[len(self.users) :]]
        weights = [float(item in history) for item in self.items]
        if path == "known":
            weights = self.history[self.users.index(user)]
        return [sum(w * row[item] for w, row in zip(weights, self.similarities, strict=True)) for item in self.columns]

    @property
    def columns(self):
        return range(len(self.items))

    def allows(self, item, user, history, request):
        """Whether a user may get an item."""
        name, exclude = self.items[item], request["exclude"] or ()
        if isinstance(exclude, dict):
            exclude = exclude.get(user, ())
        seen = name in history or (user in self.users and self.seen[self.users.index(user)][item] != 0)
        return (
            (request["items"] is None or name in request["items"])
            and name not in exclude
            and (request["where"] is None or CONDITIONS[request["where"]](self.rows[item]))
            and not (request["filter_seen"] and seen)
        )


def matrix(rows):
    return sparse.csr_array(np.array(rows, dtype=np.float32))


def history_of(user, given, known):
    """The items that a user is judged by: what the recommender has, and what the request gives."""
    own = known.get(user, ()) if user is not None else ()
    more = given.get(user, ()) if isinstance(given, dict) else given or ()
    return [*own, *more]


worlds = st.builds(World, st.sampled_from(KINDS), st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 7))
ids = st.lists(st.sampled_from([*(f"i{index}" for index in range(7)), "unknown"]), max_size=6)
asked = st.lists(st.sampled_from(["u0", "u1", "u2", "u3", *STRANGERS]), min_size=1, max_size=6)
by_user = st.dictionaries(st.sampled_from(["u0", "u1", *STRANGERS]), ids, max_size=3)
requests = st.fixed_dictionaries(
    {
        "filter_seen": st.sampled_from([None, True, False]),
        "items": st.none() | ids,
        "exclude": st.none() | ids | by_user,
        "where": st.none() | st.sampled_from(list(CONDITIONS)),
        "history": st.none() | st.none() | ids | by_user,
    }
)


@given(worlds, asked, st.integers(1, 9), requests, st.booleans())
@settings(max_examples=500, deadline=None)
def test_lists_are_those_that_sorting_all_allowed_items_gives(world, users, k, request, filter_seen):
    recommender = world.recommender(filter_seen)
    lists = recommender.recommend(users, k, **request)
    settled = request | {"filter_seen": filter_seen if request["filter_seen"] is None else request["filter_seen"]}
    assert [one.user for one in lists] == users
    for user, answer in zip(users, lists, strict=True):
        history = history_of(user, request["history"], world.known)
        scores = world.scores(user, history)
        allowed = [item for item in world.columns if world.allows(item, user, history, settled)]
        assert answer.path == world.path(user, history)
        assert bool(answer.note) or (len(answer) == min(k, len(world.items)))
        if scores is None:
            assert sorted(one.item for one in answer) == sorted({one.item for one in answer})
            assert {one.item for one in answer} <= {world.items[item] for item in allowed}
            assert len(answer) == min(k, len(allowed))
            continue
        best = sorted(allowed, key=lambda item: (-scores[item], item))[:k]  # noqa: B023
        assert [(one.item, one.score) for one in answer] == [(world.items[item], scores[item]) for item in best]
        assert [(one.title, one.new) for one in answer] == [
            (world.rows[item]["title"], world.rows[item]["new"]) for item in best
        ]


@given(worlds, asked, st.integers(1, 9), requests)
@settings(max_examples=100, deadline=None)
def test_rankings_by_index_are_the_lists_and_no_list_depends_on_the_other_users(world, users, k, request):
    recommender = world.recommender(filter_seen=True)
    lists = recommender.recommend(users, k, **request)
    assert [recommender.recommend(user, k, **request)[0] for user in users] == lists
    histories = {user: history_of(user, request["history"], {}) for user in users}
    filters = Filters(**{name: request[name] for name in ("filter_seen", "items", "exclude", "where")})
    ranked = recommender.rank(users, k, filters, histories=histories)
    found = [[world.items[item] for item in row if item >= 0] for row in ranked.items.tolist()]
    assert found == [[one.item for one in answer] for answer in lists]
    assert list(ranked.paths) == [answer.path for answer in lists]


@given(worlds, st.integers(1, 9), requests)
@settings(max_examples=100, deadline=None)
def test_somebody_without_an_id_gets_what_a_stranger_gets(world, k, request):
    request = request | {name: None for name in ("exclude", "history") if isinstance(request[name], dict)}
    world.known = {}
    recommender = world.recommender(filter_seen=True)
    nobody, stranger = recommender.recommend(None, k, **request), recommender.recommend("stranger", k, **request)
    assert nobody[0].user is None
    assert (nobody[0].items, nobody[0].path) == (stranger[0].items, stranger[0].path)


@given(worlds, st.integers(1, 9), st.none() | st.sampled_from(list(CONDITIONS)))
@settings(max_examples=100, deadline=None)
def test_similar_items_are_those_that_sorting_all_others_gives(world, k, where):
    recommender = world.recommender(filter_seen=True)
    for answer, item in zip(recommender.similar(world.items, k, where=where), world.columns, strict=True):
        similarities = recommender.scoring.item_similarities(item).tolist()
        others = [
            other
            for other in world.columns
            if other != item and (where is None or CONDITIONS[where](world.rows[other]))
        ]
        best = sorted(others, key=lambda other: (-similarities[other], other))[:k]  # noqa: B023
        assert [(one.item, one.score) for one in answer] == [(world.items[one], similarities[one]) for one in best]
        assert answer or answer.note
        if world.kind in ("matrix", "dense matrix"):
            assert similarities == [*world.similarities[item][:item], 1.0, *world.similarities[item][item + 1 :]]
        if world.kind == "scores":
            assert similarities == [-abs(value - world.values[item]) for value in world.values]
        if world.kind == "vectors":
            vectors = np.array(world.vectors[len(world.users) :])
            lengths = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
            cosines = (vectors @ vectors[item]) / lengths / lengths[item]
            np.testing.assert_allclose(similarities, cosines, atol=1e-6)


@given(worlds)
@settings(max_examples=100, deadline=None)
def test_scores_are_those_of_the_definition_for_users_with_training_interactions(world):
    recommender = world.recommender(filter_seen=True)
    trained = [user for user, row in zip(world.users, world.history, strict=True) if any(row)]
    expected = [world.scores(user, ()) for user in trained]
    assert recommender.score(trained, world.items).tolist() == expected


@pytest.mark.parametrize("exclude", [None, {"u0": ["i2"]}])
def test_seen_items_count_whatever_their_stored_value(exclude):
    seen = sparse.csr_array((np.array([0.0, -1.0], dtype=np.float32), np.array([0, 1]), np.array([0, 2])), shape=(1, 4))
    recommender = Recommender(
        ItemScores(torch.tensor([3.0, 3.0, 2.0, 1.0]), 1),
        Vocabulary("user", ["u0"]),
        Catalog(Vocabulary("item", ["i0", "i1", "i2", "i3"]), np.ones(4), np.zeros(4, dtype=bool)),
        history=sparse.csr_array((1, 4), dtype=np.float32),
        seen=seen,
    )
    (answer,) = recommender.recommend("u0", history=["i1"], exclude=exclude)
    assert [one.item for one in answer] == (["i3"] if exclude else ["i2", "i3"])


def test_a_recommender_without_users_answers_strangers():
    recommender = Recommender(
        Vectors(torch.zeros(0, 2), torch.eye(2)),
        Vocabulary("user", []),
        Catalog(Vocabulary("item", ["i0", "i1"]), np.array([1.0, 2.0]), np.zeros(2, dtype=bool)),
        history=sparse.csr_array((0, 2), dtype=np.float32),
        seen=sparse.csr_array((0, 2), dtype=np.float32),
    )
    popular, personal = recommender.recommend(["a", "b"], 1, history={"b": ["i0"]}, filter_seen=False)
    assert ([one.item for one in popular], popular.path) == (["i1"], "popular")
    assert ([one.item for one in personal], personal.path) == (["i0"], "history")


def test_no_user_gives_no_list():
    world = World("vectors", 0, 2, 3)
    assert world.recommender(filter_seen=True).recommend([], 2) == []
