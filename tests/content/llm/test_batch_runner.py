"""Many requests: nothing twice, nothing lost."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from flatrec.content.llm.batch_runner import MAX_CONSECUTIVE_FAILURES, Usage
from flatrec.content.llm.chat_client import REFUSED, EndpointError, NoResponseError
from flatrec.content.llm.requests import Request
from flatrec.content.llm.response_cache import Response, ResponseCache, default_path, response_key
from flatrec.utils.keyed_table import table_of

WRONGS = ("429", "500", "half", "no JSON", "wrong JSON", "empty")


def about(items):
    return [(item, Request("", None, f"about {item}")) for item in items]


def test_every_item_is_answered_once_by_a_server_that_misbehaves(server, make_runner):
    server.misbehave = lambda prompt, before: WRONGS[len(prompt) * 7 % 6] if before < len(prompt) % 3 else None
    done = []
    items = ["x" * (number % 9) + str(number) for number in range(40)]
    answers = make_runner(on_items=done.append).run(about(items))
    assert {item: one.text for item, one in answers.responses.items()} == {
        item: f"read: about {item}" for item in items
    }
    assert set(server.answered.values()) == {1}
    assert sum(done) == 40
    assert server.billed > 40  # empty answers are paid for
    assert answers.usage == Usage(requests=40, prompt_tokens=10 * server.billed, completion_tokens=3 * server.billed)
    assert not answers.missing


def test_a_second_time_asks_nothing(server, make_runner):
    first = make_runner().run(about("abc"))
    again = make_runner().run(about("abcd"))
    assert again.responses.items() >= first.responses.items()
    assert (again.usage.cached_requests, again.usage.requests) == (3, 1)
    assert len(server.requests) == 4


def test_an_answer_that_was_changed_is_asked_for_again(make_runner, tmp_path, caplog):
    make_runner().run(about("abc"))
    with sqlite3.connect(tmp_path / "responses.sqlite3") as database:
        database.execute(f"update {table_of('responses')} set response = 'forged' where response like '%b'")
    database.close()
    again = make_runner().run(about("abc"))
    assert [again.responses[item].text for item in "abc"] == [f"read: about {item}" for item in "abc"]
    assert (again.usage.cached_requests, again.usage.requests) == (2, 1)
    assert len(caplog.records) == 1
    assert make_runner().run(about("abc")).usage.cached_requests == 3


def test_equal_questions_are_asked_once(server, make_runner):
    server.delay = 0.05
    for usage in (Usage(requests=1, prompt_tokens=10, completion_tokens=3),
                  Usage(cached_requests=1, cached_prompt_tokens=10, cached_completion_tokens=3)):  # fmt: skip
        answers = make_runner().run((str(number), Request("", None, "same")) for number in range(20))
        assert len(answers.responses) == 20
        assert answers.usage == usage
    assert len(server.requests) == 1


def test_as_many_are_under_way_as_was_said(server, make_runner):
    server.delay = 0.03
    make_runner(concurrency=3).run(about(map(str, range(12))))
    assert server.most_under_way == 3


def test_questions_are_drawn_as_they_are_needed(server, make_runner):
    server.delay = 0.02
    seen = []

    def requests():
        for item, request in about(map(str, range(20))):
            seen.append((item, len(server.requests)))
            yield item, request

    make_runner(concurrency=2).run(requests())
    assert all(int(item) - sent <= 5 for item, sent in seen)


def test_what_has_no_answer_is_named_and_asked_again(server, make_runner):
    server.misbehave = lambda prompt, _before: "500" if prompt == "about b" else None
    answers = make_runner(max_retries=1).run(about("abc"))
    assert answers.responses.keys() == {"a", "c"}
    assert answers.missing.keys() == {"b"}
    server.misbehave = lambda _prompt, _before: None
    again = make_runner().run(about("abc")).usage
    assert again == Usage(
        requests=1,
        cached_requests=2,
        prompt_tokens=10,
        completion_tokens=3,
        cached_prompt_tokens=20,
        cached_completion_tokens=6,
    )


def test_tokens_of_answers_that_come_to_nothing_count(server, make_runner):
    server.misbehave = lambda prompt, _before: "empty" if prompt == "about b" else None
    answers = make_runner(max_retries=2).run(about("ab"))
    assert answers.missing.keys() == {"b"}
    assert answers.usage == Usage(requests=1, prompt_tokens=40, completion_tokens=12)


def test_a_refusal_is_not_kept_but_a_cut_answer_is(server, make_runner):
    server.misbehave = lambda prompt, _before: {"about a": "400", "about b": "length"}.get(prompt)
    answers = make_runner().run(about("abc"))
    assert [answers.responses[item].text for item in "abc"] == [None, None, "read: about c"]
    again = make_runner().run(about("abc"))
    assert again.usage.cached_requests == 2
    assert [request.prompt for request in server.requests].count("about a") == 2
    assert [request.prompt for request in server.requests].count("about b") == 1


def test_hard_questions_in_a_row_do_not_block_the_others(server, make_runner):
    items = [str(number) for number in range(24)]
    hard = [f"about {number}" for number in range(2, 2 + MAX_CONSECUTIVE_FAILURES + 2)]
    server.misbehave = lambda prompt, _before: "400" if prompt in hard else None
    answers = make_runner(concurrency=1).run(about(items))
    assert sum(one.text is not None for one in answers.responses.values()) == 12
    server.misbehave = lambda prompt, _before: "500" if prompt in hard else None
    with pytest.raises(NoResponseError, match="the same command continues later"):
        make_runner(concurrency=1, max_retries=0).run(about(items))
    tolerant = replace(make_runner(concurrency=1, max_retries=0), allow_missing=True).run(about(items))
    assert len(tolerant.missing) == 12


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ("400", EndpointError, "the first 10 requests were all refused"),
        ("500", NoResponseError, "10 consecutive requests"),
    ],
)
@pytest.mark.parametrize("allow_missing", [False, True])
def test_when_nothing_works_it_is_given_up_early(server, make_runner, wrong, error, said, allow_missing):  # noqa: PLR0913
    server.misbehave = lambda _prompt, _before: wrong
    with pytest.raises(error, match=f"{said}.*{wrong}"):
        replace(make_runner(max_retries=0), allow_missing=allow_missing).run(about(map(str, range(500))))
    assert len(server.requests) < 30


def test_a_wrong_key_stops_all_at_once(server, make_runner):
    server.misbehave = lambda _prompt, _before: "401"
    with pytest.raises(EndpointError, match="OPENAI_API_KEY"):
        make_runner().run(about(map(str, range(500))))
    assert len(server.requests) < 20


def test_an_interruption_leaves_what_came(server, make_runner):
    def requests():
        yield from about("abcdefgh")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_runner(concurrency=2).run(requests())
    sent = len(server.requests)
    assert sent >= 4
    assert make_runner().run(about("abcdefgh")).usage.cached_requests == sent  # those under way came and were kept


def test_a_concurrency_must_be_one_at_least(make_runner):
    with pytest.raises(ValueError, match="at least 1"):
        make_runner(concurrency=0)


def test_costs_are_those_of_a_million_tokens():
    usage = Usage(prompt_tokens=2_000_000, completion_tokens=500_000)
    assert usage.cost(0.5, 4.0) == 3.0


def test_the_store_gives_back_what_it_got(tmp_path):
    answers = {
        b"a": Response("naïve — 日本", ("one", "two"), 3, 4),
        b"b": Response(None, (f"{REFUSED}: x",)),
        b"c": Response("", (), 0, 0),
    }
    with ResponseCache(tmp_path / "new" / "store") as store:
        for key, answer in answers.items():
            store.put(key, answer)
    with ResponseCache(tmp_path / "new" / "store") as store:
        assert {key: store.get(key) for key in answers} == answers
        assert store.get(b"d") is None


def test_a_store_that_is_none_is_one_line(tmp_path):
    (tmp_path / "store").write_bytes(b"something else" * 100)
    with pytest.raises(OSError, match=r"the responses in .*store cannot be used .*; delete the file"):
        ResponseCache(tmp_path / "store")
    with sqlite3.connect(tmp_path / "other") as database:
        database.execute(f"create table {table_of('responses')} (key blob, x int)")
    database.close()
    with ResponseCache(tmp_path / "other") as store, pytest.raises(OSError, match="cannot be used"):
        store.put(b"k", Response("x"))


def test_parts_of_a_key_do_not_run_together():
    assert (
        len({response_key(b"a", b"bc"), response_key(b"ab", b"c"), response_key(b"abc"), response_key(b"abc", b"")})
        == 4
    )


def test_answers_are_kept_where_all_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("FLATREC_CACHE", str(tmp_path))
    assert default_path() == tmp_path / "responses.sqlite3"
    monkeypatch.setenv("FLATREC_CACHE", "off")
    assert default_path() is None


OPENING = """
import sys
from pathlib import Path
from flatrec.utils.keyed_table import table_of
from flatrec.content.llm.response_cache import Response, ResponseCache
for number in range(20):
    with ResponseCache(Path(sys.argv[1])) as store:
        store.put(sys.argv[2].encode() + bytes([number]), Response("x"))
"""


def test_several_processes_open_one_file_at_once(tmp_path):
    workers = [
        subprocess.Popen([sys.executable, "-c", OPENING, str(tmp_path / "store"), str(number)]) for number in range(4)
    ]
    assert [worker.wait() for worker in workers] == [0] * 4
    with ResponseCache(tmp_path / "store") as store:
        assert all(store.get(b"%d%c" % (worker, number)) for worker in range(4) for number in range(20))


def test_a_file_that_another_process_holds_is_not_to_be_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr("flatrec.utils.keyed_table._PATIENCE", 0.1)
    with ResponseCache(tmp_path / "store") as store, sqlite3.connect(tmp_path / "store") as other:
        other.execute("begin immediate")
        with pytest.raises(OSError, match="locked.*; wait for other processes"):
            store.put(b"k", Response("x"))
    other.close()


@pytest.mark.parametrize("wrong", ["silence", "endless", "500"])
def test_an_interruption_waits_neither_for_a_silent_server_nor_for_what_was_not_begun(server, make_runner, wrong):
    server.misbehave = lambda prompt, _before: wrong if prompt != "about a" else None
    begun = []

    def requests():
        for item, request in about("abcdefgh"):
            yield item, request
            begun.append(time.monotonic())
        while len(server.requests) < 3:
            time.sleep(0.01)
        begun.append(time.monotonic())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_runner(concurrency=4, timeout=60.0, max_retries=99).run(requests())
    assert time.monotonic() - begun[-1] < 1.5
    assert (
        make_runner(timeout=60.0).cache.get(make_runner(timeout=60.0).client.cache_key(Request("", None, "about a")))
        is not None
    )


def test_an_error_waits_for_what_is_under_way_but_not_for_what_was_not_begun(server, make_runner):
    server.misbehave = lambda prompt, _before: "401" if prompt == "about a" else None
    server.delay = 0.2
    start = time.monotonic()
    with pytest.raises(EndpointError):
        make_runner(concurrency=2, timeout=20.0).run(about("abcdefgh"))
    assert time.monotonic() - start < 5
    server.misbehave = lambda _prompt, _before: None
    sent = {request.prompt for request in server.requests} - {"about a"}
    assert make_runner(timeout=20.0).run(about("abcdefgh")).usage.cached_requests == len(sent)


def test_what_is_interrupted_while_it_is_taken_in_is_kept(server, make_runner, monkeypatch):
    made = make_runner(timeout=5.0)
    real, count = ResponseCache.put, []

    def interrupted(store, key, answer):
        count.append(key)
        if len(count) == 3:
            raise KeyboardInterrupt
        real(store, key, answer)

    monkeypatch.setattr(ResponseCache, "put", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made.run(about("abcde"))
    monkeypatch.undo()
    sent = len(server.requests)
    assert sent >= 3
    assert make_runner(timeout=5.0).run(about("abcde")).usage.cached_requests == sent
