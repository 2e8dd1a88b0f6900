"""One question, and all that may go wrong on its way."""

from __future__ import annotations

import base64
import io
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from flatrec.content.llm.endpoint import (
    CUT,
    FILTERED,
    NOTHING_TO_ASK,
    REFUSED,
    Endpoint,
    UnansweredError,
    UnusableError,
)
from flatrec.content.llm.prompts import AUGMENT
from flatrec.content.llm.rate_limiter import Pace
from flatrec.content.llm.requests import Question, augmenting, captioning, summing_up
from tests.content.llm.conftest import png

READ = Question("", None, "say it")
SECRET = "sk-very-secret"  # noqa: S105


def test_an_answer_comes_with_its_tokens(server, chat):
    server.answer = lambda _prompt, _image: "  two\nlines "
    answer = chat(model="small", temperature=0.0).ask(READ)
    assert (answer.text, answer.remarks) == ("two lines", ())
    assert (answer.prompt_tokens, answer.completion_tokens) == (10, 3)
    sent = server.requests[0]
    assert (sent.model, sent.prompt, sent.image) == ("small", "say it", None)
    assert (sent.body["temperature"], sent.body["max_tokens"]) == (0.0, 512)
    assert sent.body["messages"][0]["content"] == "say it"  # no parts, which some servers do not know


def test_the_image_is_sent_upright_small_and_whole(server, chat):
    file = io.BytesIO()
    Image.new("RGB", (2000, 1000), (200, 10, 10)).save(file, "PNG")
    chat().ask(augmenting("A pram", file.getvalue()))
    sent = server.requests[0]
    assert sent.prompt == AUGMENT.replace("{text}", "A pram")
    kind, data = sent.image.split(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.size == (768, 384)
        assert abs(image.getpixel((100, 100))[0] - 200) < 4


def test_the_papers_words_are_used_literally():
    question = augmenting("T", png())
    assert question.prompt == (
        "This is the description of an item and the corresponding image, please combine the image to improve the "
        "quality of the description in one paragraph. The description is as follows: T."
    )
    assert "image" not in question.without


def test_braces_in_texts_are_only_text():
    assert augmenting("{text} {0} {x}", None).without.endswith("follows: {text} {0} {x}.")


def test_a_broken_image_is_left_out_and_remarked(server, chat):
    answer = chat().ask(augmenting("A pram", b"no image"))
    assert answer.text is not None
    assert answer.remarks == ("broken image",)
    assert server.requests[0].image is None
    assert chat().ask(captioning(b"no image")).remarks == (NOTHING_TO_ASK,)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        "429",
        "500",
        "503",
        "408",
        "silence",
        "endless",
        "half",
        "no JSON",
        "wrong JSON",
        "list",
        "error",
        "empty",
        "null",
    ],
)
def test_what_may_pass_is_tried_again(server, chat, wrong):
    server.misbehave = lambda _prompt, before: wrong if before < 2 else None
    assert chat().ask(READ).text == "read: say it"
    assert len(server.requests) == 3


@pytest.mark.parametrize("wrong", ["500", "no JSON", "empty"])
def test_what_does_not_pass_is_given_up_in_the_end(server, chat, wrong):
    server.misbehave = lambda _prompt, _before: wrong
    with pytest.raises(UnansweredError, match=r"^no answer from http://127.0.0.1"):
        chat(tries=3).ask(READ)
    assert len(server.requests) == 3


def test_a_server_that_is_not_there_is_tried_as_often(chat):
    with pytest.raises(UnansweredError, match=r"no answer from http://127.0.0.1:9/v1 \(.*refused"):
        chat(url="http://127.0.0.1:9/v1", tries=2).ask(READ)


@pytest.mark.parametrize(("wrong", "remark"), [("length", CUT), ("content_filter", FILTERED)])
def test_an_answer_that_is_none_is_not_asked_again(server, chat, wrong, remark):
    server.misbehave = lambda _prompt, _before: wrong
    answer = chat().ask(READ)
    assert (answer.text, answer.remarks, answer.prompt_tokens) == (None, (remark,), 10)
    assert len(server.requests) == 1


@pytest.mark.parametrize("key", [SECRET, f" {SECRET}\n"])
@pytest.mark.parametrize("length", [*range(255, 310, 6)])
def test_a_key_that_a_server_repeats_is_shown_nowhere(server, chat, monkeypatch, key, length):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    server.excuse = "x" * length
    server.misbehave = lambda _prompt, _before: "400"
    (remark,) = chat().ask(READ).remarks
    assert server.requests[0].key == f"Bearer {SECRET}"
    assert "sk-" not in remark


def test_the_key_is_in_no_traceback(server, chat, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    server.misbehave = lambda _prompt, _before: "401"
    with pytest.raises(UnusableError) as caught:
        chat().ask(READ)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("key", ["sk-\nsecret", "sk-sécret", "sk-\x07"])
def test_what_cannot_be_a_key_is_refused_and_not_shown(chat, monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ValueError, match="^OPENAI_API_KEY holds letters that no key has; set it again$"):
        chat()


def test_a_redirection_is_not_followed(server, chat):
    server.misbehave = lambda _prompt, _before: "307"
    with pytest.raises(UnusableError, match="307"):
        chat().ask(READ)
    assert len(server.requests) == 1


def test_an_answer_in_parts_is_put_together_and_controls_are_left_out(server, chat):
    server.misbehave = lambda prompt, _before: "parts" if prompt == "say it" else None
    assert chat().ask(READ).text == "one two"
    server.answer = lambda _prompt, _image: "a\0b\x1b[31m c"
    assert chat().ask(Question("", None, "other")).text == "a b [31m c"


def test_counts_that_are_none_are_left_out(server, chat):
    server.tokens = 10**30
    answer = chat().ask(READ)
    assert (answer.text, answer.prompt_tokens) == ("read: say it", None)


@pytest.mark.parametrize("wrong", ["400", "413", "422"])
def test_a_refused_question_says_why(server, chat, wrong):
    server.misbehave = lambda _prompt, _before: wrong
    answer = chat().ask(READ)
    assert answer.text is None
    assert answer.remarks[0].startswith(f"{REFUSED}: Error code: {wrong}")
    assert len(server.requests) == 1


@pytest.mark.parametrize("wrong", ["401", "403", "404"])
def test_a_wrong_key_address_or_model_ends_it(server, chat, monkeypatch, wrong):
    monkeypatch.setenv("SOME_KEY", SECRET)
    server.misbehave = lambda _prompt, _before: wrong
    with pytest.raises(UnusableError, match=r"check the address, --model m, and the key in SOME_KEY$") as caught:
        chat(key_variable="SOME_KEY").ask(READ)
    assert len(server.requests) == 1
    assert SECRET not in str(caught.value)
    assert "***" in str(caught.value)


def test_the_key_is_sent_and_shown_nowhere(server, chat, monkeypatch):
    monkeypatch.setenv("SOME_KEY", SECRET)
    one = chat(key_variable="SOME_KEY")
    one.ask(READ)
    assert server.requests[0].key == f"Bearer {SECRET}"
    assert SECRET not in repr(one.endpoint)
    server.misbehave = lambda _prompt, _before: "400"
    assert SECRET not in repr(one.ask(Question("", None, "other")))


def test_without_a_key_the_word_none_is_sent(server, chat, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    chat().ask(READ)
    assert server.requests[0].key == "Bearer none"


def test_a_model_that_knows_the_limit_by_its_new_name_gets_it(server, chat):
    server.misbehave = lambda _prompt, _before: "new name"
    one = chat()
    assert one.ask(READ).text == "read: say it"
    assert one.ask(summing_up("x")).text is not None
    assert ["max_tokens" in request.body for request in server.requests] == [True, False, False]


def test_a_server_that_does_not_count_tokens_will_do(server, chat):
    server.misbehave = lambda _prompt, _before: "no count"
    answer = chat().ask(READ)
    assert answer.text == "read: say it"
    assert answer.prompt_tokens is None


def test_a_server_that_says_how_long_to_wait_is_obeyed_by_all(server, chat):
    server.misbehave = lambda prompt, before: "429" if prompt == "say it" and not before else None
    server.patience = "0.3"
    one = chat(pace=Pace())
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(one.ask, READ)
        while not server.times:
            time.sleep(0.005)
        time.sleep(0.1)
        one.ask(Question("", None, "another"))
        answer.result()
    assert min(server.times[1:]) - server.times[0] >= 0.3


def test_questions_keep_their_distance(server, chat):
    one = chat(pace=Pace(per_minute=1200.0))
    for number in range(4):
        one.ask(Question("", None, str(number)))
    assert server.times[-1] - server.times[0] >= 0.14


def test_who_waits_is_woken_at_the_end(server, chat):
    server.misbehave = lambda _prompt, _before: "500"
    one = chat()
    one.first_pause = 100.0
    one.pace.stop()
    start = time.monotonic()
    with pytest.raises(UnansweredError):
        one.ask(READ)
    assert time.monotonic() - start < 1


def test_keys_tell_all_that_matters_apart(chat):
    image = png()
    one = chat()
    keys = {
        one.key_of(READ),
        one.key_of(Question("", None, "say")),
        one.key_of(Question("say it", None, "")),
        one.key_of(Question("", image, "say it")),
        one.key_of(Question("", png(9, 9, 9), "say it")),
        chat(model="other").key_of(READ),
        chat(max_tokens=5).key_of(READ),
        chat(temperature=0.5).key_of(READ),
        chat(url="http://localhost:1/v1").key_of(READ),
    }
    assert len(keys) == 9
    assert chat(timeout=9.0, tries=1).key_of(READ) in keys


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "localhost:8000"}, "must be an address such as"),
        ({"url": "ftp://x/v1"}, "must be an address such as"),
        ({"url": "https://me:secret@host/v1"}, r"must hold no password and no query; put the key into OPENAI_API_KEY$"),
        ({"url": "https://host/v1?key=secret"}, "must hold no password and no query"),
        ({"url": "https://host:secret/v1"}, "must be an address such as"),
        ({"url": "https://host:99999/v1"}, "must be an address such as"),
        ({"key_variable": "sk-secret"}, "must be the name of an environment variable"),
        ({"temperature": float("nan")}, "temperature"),
        ({"tries": 0}, "at least 1"),
        ({"max_tokens": 0}, "at least 1"),
        ({"timeout": 0.0}, "above 0"),
    ],
)
def test_settings_that_cannot_be_right(settings, said):
    with pytest.raises(ValueError, match=said) as caught:
        Endpoint(**{"url": "http://x/v1", "model": "m", **settings})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_a_rate_must_be_above_zero(rate):
    with pytest.raises(ValueError, match="above 0"):
        Pace(rate)
