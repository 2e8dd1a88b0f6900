"""Queries that come at the same time are answered by one call, each with its own answer."""

from __future__ import annotations

import asyncio
import threading

import pytest

from flatrec.serve import recommending_together
from flatrec.serve.batches import MOST, MOST_QUICK, Batches
from flatrec.serve.errors import Refused
from flatrec.serve.served import Served
from flatrec.serve.settings import Limits, ServeSettings
from flatrec.serve.work import Work
from tests.serve.shops import client_of, saved


@pytest.fixture
def served(tmp_path):
    return Served.load(saved(tmp_path))


@pytest.fixture
def work():
    made = Work(2, 256, 10.0)
    yield made
    made.stop()


class Answering:
    """Answers by the query itself; remembers the calls, and waits for permission if it is told to."""

    def __init__(self):
        self.calls = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self, queries, _served):
        self.calls.append(list(queries))
        assert self.may_go_on.wait(10)
        if "break" in queries:
            raise RuntimeError("broken")
        return [Refused(404, f"no {one}") if one.startswith("no") else one.encode() for one in queries]


def together(batches, served, queries, *, is_quick, key=lambda _: 0):
    async def asked():
        calls = (batches.answer(one, served, key(one), is_quick=is_quick) for one in queries)
        return await asyncio.gather(*calls, return_exceptions=True)

    return asyncio.run(asked())


def test_what_the_loop_has_read_is_one_call(served, work):
    answers = Answering()
    queries = [f"q{n}" for n in range(MOST_QUICK + 3)]
    assert together(Batches(answers, work), served, queries, is_quick=True) == [one.encode() for one in queries]
    assert answers.calls == [queries[:MOST_QUICK], queries[MOST_QUICK:]]


def test_what_comes_while_a_thread_works_waits_for_the_next_call(served, work):
    answers = Answering()
    answers.may_go_on.clear()
    batches, queries = Batches(answers, work), [f"q{n}" for n in range(MOST + 5)]

    async def asked():
        first = asyncio.create_task(batches.answer("first", served, 0, is_quick=False))
        while not answers.calls:
            await asyncio.sleep(0.001)
        others = [asyncio.create_task(batches.answer(one, served, 0, is_quick=False)) for one in queries]
        await asyncio.sleep(0.01)
        answers.may_go_on.set()
        return await asyncio.gather(first, *others)

    assert asyncio.run(asked()) == [one.encode() for one in ["first", *queries]]
    assert answers.calls == [["first"], queries[:MOST], queries[MOST:]]


@pytest.mark.parametrize("is_quick", [True, False])
def test_queries_of_other_keys_and_recommenders_are_other_calls(served, work, is_quick, tmp_path):
    answers = Answering()
    batches, other = Batches(answers, work), Served.load(tmp_path / "recommender")  # the same once more
    assert other is not served

    async def asked():
        calls = [batches.answer(f"{key}", model, key, is_quick=is_quick) for model in (served, other) for key in "aba"]
        return await asyncio.gather(*calls)

    assert asyncio.run(asked()) == [b"a", b"b", b"a"] * 2
    assert sorted(answers.calls) == [["a", "a"], ["a", "a"], ["b"], ["b"]]


@pytest.mark.parametrize("is_quick", [True, False])
def test_a_refusal_and_an_error_reach_those_who_asked(served, work, is_quick):
    batches = Batches(Answering(), work)
    fine, refused = together(batches, served, ["yes", "nobody"], is_quick=is_quick)
    assert (fine, refused.status) == (b"yes", 404)
    outcomes = together(batches, served, ["yes", "break"], is_quick=is_quick)
    assert [type(one) for one in outcomes] == [RuntimeError, RuntimeError]
    assert together(batches, served, ["yes"], is_quick=is_quick) == [b"yes"]  # it goes on


def test_too_many_are_refused_and_those_that_wait_too_long_are_given_up(served):
    answers, work = Answering(), Work(1, 1, 0.05)
    answers.may_go_on.clear()
    outcomes = together(Batches(answers, work), served, ["a", "b", "c"], is_quick=False)
    answers.may_go_on.set()
    work.stop()
    assert [one.status for one in outcomes] == [503, 503, 503]
    assert ["at most 2" in one.text for one in outcomes] == [False, False, True]


def test_a_client_that_went_away_is_not_answered(served, work):
    answers = Answering()
    batches = Batches(answers, work)

    async def asked():
        gone = asyncio.create_task(batches.answer("gone", served, 0, is_quick=True))
        stays = asyncio.create_task(batches.answer("stays", served, 0, is_quick=True))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert asyncio.run(asked()) == b"stays"
    assert answers.calls == [["stays"]]


@pytest.mark.parametrize("is_quick", [True, False])
def test_each_user_gets_the_list_that_is_the_users_own(tmp_path, monkeypatch, is_quick):
    """The service as a whole: users, lengths, fallbacks and refusals of one moment."""
    monkeypatch.setattr(recommending_together, "QUICK_NUMBERS", 10**9 if is_quick else 0)
    paths = [
        *(f"/v1/recommend/{user}?k=2" for user in ("ann", "bob", "ann", "stranger")),
        "/v1/recommend/stranger?k=2&fallback=false",
        "/v1/recommend/ann?k=3&include_seen=true",
        "/v1/recommend/bob?k=0",
        f"/v1/recommend/{'x' * 600}?k=2",
    ]
    folder, settings = saved(tmp_path), ServeSettings(limits=Limits(users=1))
    with client_of(folder, settings) as client:
        alone = [client.get(path) for path in paths]
        answers: dict[int, object] = {}

        def ask(number):
            answers[number] = client.get(paths[number])

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(paths))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [one.status_code for one in alone] == [200, 200, 200, 200, 404, 200, 422, 422]
    for number, one in enumerate(alone):
        expected, found = one.json(), answers[number].json()
        assert found.pop("generated_at", None) is None or expected.pop("generated_at")
        assert found == expected
