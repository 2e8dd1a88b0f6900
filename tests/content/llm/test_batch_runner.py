"""Many questions: nothing twice, nothing lost."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from flatrec.content.llm.batch_runner import IN_A_ROW, Usage
from flatrec.content.llm.endpoint import REFUSED, UnansweredError, UnusableError
from flatrec.content.llm.requests import Question
from flatrec.content.llm.response_cache import Answer, AnswerStore, default_path, key_of
from flatrec.utils.keyed_table import table_of

WRONGS = ("429", "500", "half", "no JSON", "wrong JSON", "empty")


def about(items):
    return [(item, Question("", None, f"about {item}")) for item in items]


def test_every_item_is_answered_once_by_a_server_that_misbehaves(server, asking):
    server.misbehave = lambda prompt, before: WRONGS[len(prompt) * 7 % 6] if before < len(prompt) % 3 else None
    done = []
    items = ["x" * (number % 9) + str(number) for number in range(40)]
    answers = asking(on_items=done.append).ask(about(items))
    assert {item: one.text for item, one in answers.by_item.items()} == {item: f"read: about {item}" for item in items}
    assert set(server.answered.values()) == {1}
    assert sum(done) == 40
    assert server.billed > 40  # empty answers are paid for
    assert answers.usage == Usage(asked=40, prompt_tokens=10 * server.billed, completion_tokens=3 * server.billed)
    assert not answers.unanswered


def test_a_second_time_asks_nothing(server, asking):
    first = asking().ask(about("abc"))
    again = asking().ask(about("abcd"))
    assert again.by_item.items() >= first.by_item.items()
    assert (again.usage.known, again.usage.asked) == (3, 1)
    assert len(server.requests) == 4


def test_an_answer_that_was_changed_is_asked_for_again(asking, tmp_path, caplog):
    asking().ask(about("abc"))
    with sqlite3.connect(tmp_path / "answers.sqlite3") as database:
        database.execute(f"update {table_of('answers')} set answer = 'forged' where answer like '%b'")
    database.close()
    again = asking().ask(about("abc"))
    assert [again.by_item[item].text for item in "abc"] == [f"read: about {item}" for item in "abc"]
    assert (again.usage.known, again.usage.asked) == (2, 1)
    assert len(caplog.records) == 1
    assert asking().ask(about("abc")).usage.known == 3


def test_equal_questions_are_asked_once(server, asking):
    server.delay = 0.05
    for usage in (Usage(asked=1, prompt_tokens=10, completion_tokens=3),
                  Usage(known=1, known_prompt_tokens=10, known_completion_tokens=3)):  # fmt: skip
        answers = asking().ask((str(number), Question("", None, "same")) for number in range(20))
        assert len(answers.by_item) == 20
        assert answers.usage == usage
    assert len(server.requests) == 1


def test_as_many_are_under_way_as_was_said(server, asking):
    server.delay = 0.03
    asking(concurrency=3).ask(about(map(str, range(12))))
    assert server.most_under_way == 3


def test_questions_are_drawn_as_they_are_needed(server, asking):
    server.delay = 0.02
    drawn = []

    def questions():
        for item, question in about(map(str, range(20))):
            drawn.append((item, len(server.requests)))
            yield item, question

    asking(concurrency=2).ask(questions())
    assert all(int(item) - sent <= 5 for item, sent in drawn)


def test_what_has_no_answer_is_named_and_asked_again(server, asking):
    server.misbehave = lambda prompt, _before: "500" if prompt == "about b" else None
    answers = asking(tries=2).ask(about("abc"))
    assert answers.by_item.keys() == {"a", "c"}
    assert answers.unanswered.keys() == {"b"}
    server.misbehave = lambda _prompt, _before: None
    again = asking().ask(about("abc")).usage
    assert again == Usage(
        asked=1, known=2, prompt_tokens=10, completion_tokens=3, known_prompt_tokens=20, known_completion_tokens=6
    )


def test_tokens_of_answers_that_come_to_nothing_count(server, asking):
    server.misbehave = lambda prompt, _before: "empty" if prompt == "about b" else None
    answers = asking(tries=3).ask(about("ab"))
    assert answers.unanswered.keys() == {"b"}
    assert answers.usage == Usage(asked=1, prompt_tokens=40, completion_tokens=12)


def test_a_refusal_is_not_kept_but_a_cut_answer_is(server, asking):
    server.misbehave = lambda prompt, _before: {"about a": "400", "about b": "length"}.get(prompt)
    answers = asking().ask(about("abc"))
    assert [answers.by_item[item].text for item in "abc"] == [None, None, "read: about c"]
    again = asking().ask(about("abc"))
    assert again.usage.known == 2
    assert [request.prompt for request in server.requests].count("about a") == 2
    assert [request.prompt for request in server.requests].count("about b") == 1


def test_hard_questions_in_a_row_do_not_block_the_others(server, asking):
    items = [str(number) for number in range(24)]
    hard = [f"about {number}" for number in range(2, 2 + IN_A_ROW + 2)]
    server.misbehave = lambda prompt, _before: "400" if prompt in hard else None
    answers = asking(concurrency=1).ask(about(items))
    assert sum(one.text is not None for one in answers.by_item.values()) == 12
    server.misbehave = lambda prompt, _before: "500" if prompt in hard else None
    with pytest.raises(UnansweredError, match="the same command goes on later"):
        asking(concurrency=1, tries=1).ask(about(items))
    persistent = replace(asking(concurrency=1, tries=1), persistent=True).ask(about(items))
    assert len(persistent.unanswered) == 12


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ("400", UnusableError, "the first 10 questions were all refused"),
        ("500", UnansweredError, "10 questions in a row"),
    ],
)
@pytest.mark.parametrize("persistent", [False, True])
def test_when_nothing_works_it_is_given_up_early(server, asking, wrong, error, said, persistent):  # noqa: PLR0913
    server.misbehave = lambda _prompt, _before: wrong
    with pytest.raises(error, match=f"{said}.*{wrong}"):
        replace(asking(tries=1), persistent=persistent).ask(about(map(str, range(500))))
    assert len(server.requests) < 30


def test_a_wrong_key_stops_all_at_once(server, asking):
    server.misbehave = lambda _prompt, _before: "401"
    with pytest.raises(UnusableError, match="OPENAI_API_KEY"):
        asking().ask(about(map(str, range(500))))
    assert len(server.requests) < 20


def test_an_interruption_leaves_what_came(server, asking):
    def questions():
        yield from about("abcdefgh")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asking(concurrency=2).ask(questions())
    sent = len(server.requests)
    assert sent >= 4
    assert asking().ask(about("abcdefgh")).usage.known == sent  # those under way came and were kept


def test_a_concurrency_must_be_one_at_least(asking):
    with pytest.raises(ValueError, match="at least 1"):
        asking(concurrency=0)


def test_costs_are_those_of_a_million_tokens():
    usage = Usage(prompt_tokens=2_000_000, completion_tokens=500_000)
    assert usage.cost(0.5, 4.0) == 3.0


def test_the_store_gives_back_what_it_got(tmp_path):
    answers = {
        b"a": Answer("naïve — 日本", ("one", "two"), 3, 4),
        b"b": Answer(None, (f"{REFUSED}: x",)),
        b"c": Answer("", (), 0, 0),
    }
    with AnswerStore(tmp_path / "new" / "store") as store:
        for key, answer in answers.items():
            store.put(key, answer)
    with AnswerStore(tmp_path / "new" / "store") as store:
        assert {key: store.get(key) for key in answers} == answers
        assert store.get(b"d") is None


def test_a_store_that_is_none_is_one_line(tmp_path):
    (tmp_path / "store").write_bytes(b"something else" * 100)
    with pytest.raises(OSError, match=r"the answers in .*store cannot be used .*; delete the file"):
        AnswerStore(tmp_path / "store")
    with sqlite3.connect(tmp_path / "other") as database:
        database.execute(f"create table {table_of('answers')} (key blob, x int)")
    database.close()
    with AnswerStore(tmp_path / "other") as store, pytest.raises(OSError, match="cannot be used"):
        store.put(b"k", Answer("x"))


def test_parts_of_a_key_do_not_run_together():
    assert len({key_of(b"a", b"bc"), key_of(b"ab", b"c"), key_of(b"abc"), key_of(b"abc", b"")}) == 4


def test_answers_are_kept_where_all_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("FLATREC_CACHE", str(tmp_path))
    assert default_path() == tmp_path / "answers.sqlite3"
    monkeypatch.setenv("FLATREC_CACHE", "off")
    assert default_path() is None


OPENING = """
import sys
from pathlib import Path
from flatrec.utils.keyed_table import table_of
from flatrec.content.llm.response_cache import Answer, AnswerStore
for number in range(20):
    with AnswerStore(Path(sys.argv[1])) as store:
        store.put(sys.argv[2].encode() + bytes([number]), Answer("x"))
"""


def test_several_processes_open_one_file_at_once(tmp_path):
    workers = [
        subprocess.Popen([sys.executable, "-c", OPENING, str(tmp_path / "store"), str(number)]) for number in range(4)
    ]
    assert [worker.wait() for worker in workers] == [0] * 4
    with AnswerStore(tmp_path / "store") as store:
        assert all(store.get(b"%d%c" % (worker, number)) for worker in range(4) for number in range(20))


def test_a_file_that_another_process_holds_is_not_to_be_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr("flatrec.utils.keyed_table._PATIENCE", 0.1)
    with AnswerStore(tmp_path / "store") as store, sqlite3.connect(tmp_path / "store") as other:
        other.execute("begin immediate")
        with pytest.raises(OSError, match="locked.*; wait for other processes"):
            store.put(b"k", Answer("x"))
    other.close()


@pytest.mark.parametrize("wrong", ["silence", "endless", "500"])
def test_an_interruption_waits_neither_for_a_silent_server_nor_for_what_was_not_begun(server, asking, wrong):
    server.misbehave = lambda prompt, _before: wrong if prompt != "about a" else None
    begun = []

    def questions():
        for item, question in about("abcdefgh"):
            yield item, question
            begun.append(time.monotonic())
        while len(server.requests) < 3:
            time.sleep(0.01)
        begun.append(time.monotonic())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asking(concurrency=4, timeout=60.0, tries=100).ask(questions())
    assert time.monotonic() - begun[-1] < 1.5
    assert asking(timeout=60.0).store.get(asking(timeout=60.0).chat.key_of(Question("", None, "about a"))) is not None


def test_an_error_waits_for_what_is_under_way_but_not_for_what_was_not_begun(server, asking):
    server.misbehave = lambda prompt, _before: "401" if prompt == "about a" else None
    server.delay = 0.2
    start = time.monotonic()
    with pytest.raises(UnusableError):
        asking(concurrency=2, timeout=20.0).ask(about("abcdefgh"))
    assert time.monotonic() - start < 5
    server.misbehave = lambda _prompt, _before: None
    sent = {request.prompt for request in server.requests} - {"about a"}
    assert asking(timeout=20.0).ask(about("abcdefgh")).usage.known == len(sent)


def test_what_is_interrupted_while_it_is_taken_in_is_kept(server, asking, monkeypatch):
    made = asking(timeout=5.0)
    real, count = AnswerStore.put, []

    def interrupted(store, key, answer):
        count.append(key)
        if len(count) == 3:
            raise KeyboardInterrupt
        real(store, key, answer)

    monkeypatch.setattr(AnswerStore, "put", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made.ask(about("abcde"))
    monkeypatch.undo()
    sent = len(server.requests)
    assert sent >= 3
    assert asking(timeout=5.0).ask(about("abcde")).usage.known == sent
