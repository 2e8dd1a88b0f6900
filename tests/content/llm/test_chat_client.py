"""One question, and all that may go wrong on its way."""

from __future__ import annotations

import base64
import io
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from flatrec.content.llm.chat_client import NO_INPUT, REFUSED, EndpointError, NoResponseError
from flatrec.content.llm.prompts import AUGMENT, CAPTION
from flatrec.content.llm.rate_limiter import RateLimiter
from flatrec.content.llm.reply import FILTERED, TRUNCATED
from flatrec.content.llm.requests import Request, augment_request
from flatrec.content.llm.settings import Endpoint
from tests.content.llm.conftest import png

READ = Request("", None, "say it")
SECRET = "sk-very-secret"  # noqa: S105


def test_an_answer_comes_with_its_tokens(server, chat):
    server.answer = lambda _prompt, _image: "  two\nlines "
    answer = chat(model="small", temperature=0.0).send(READ)
    assert (answer.text, answer.warnings) == ("two lines", ())
    assert (answer.prompt_tokens, answer.completion_tokens) == (10, 3)
    sent = server.requests[0]
    assert (sent.model, sent.prompt, sent.image) == ("small", "say it", None)
    assert (sent.body["temperature"], sent.body["max_tokens"]) == (0.0, 512)
    assert sent.body["messages"][0]["content"] == "say it"  # no parts, which some servers do not know


def test_the_image_is_sent_upright_small_and_whole(server, chat):
    file = io.BytesIO()
    Image.new("RGB", (2000, 1000), (200, 10, 10)).save(file, "PNG")
    chat().send(augment_request("A pram", file.getvalue()))
    sent = server.requests[0]
    assert sent.prompt == AUGMENT.replace("{text}", "A pram")
    kind, data = sent.image.split(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.size == (768, 384)
        assert abs(image.getpixel((100, 100))[0] - 200) < 4


def test_the_papers_words_are_used_literally():
    question = augment_request("T", png())
    assert question.prompt == (
        "This is the description of an item and the corresponding image, please combine the image to improve the "
        "quality of the description in one paragraph. The description is as follows: T."
    )
    assert "image" not in question.prompt_without_image


def test_braces_in_texts_are_only_text():
    assert augment_request("{text} {0} {x}", None).prompt_without_image.endswith("follows: {text} {0} {x}.")


def test_a_broken_image_is_left_out_and_remarked(server, chat):
    answer = chat().send(augment_request("A pram", b"no image"))
    assert answer.text is not None
    assert answer.warnings == ("broken image",)
    assert server.requests[0].image is None
    assert chat().send(Request(CAPTION, b"no image")).warnings == (NO_INPUT,)
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
    assert chat().send(READ).text == "read: say it"
    assert len(server.requests) == 3


@pytest.mark.parametrize("wrong", ["500", "no JSON", "empty"])
def test_what_does_not_pass_is_given_up_in_the_end(server, chat, wrong):
    server.misbehave = lambda _prompt, _before: wrong
    with pytest.raises(NoResponseError, match=r"^no response from http://127.0.0.1"):
        chat(max_retries=2).send(READ)
    assert len(server.requests) == 3


def test_a_server_that_is_not_there_is_tried_as_often(chat):
    with pytest.raises(NoResponseError, match=r"no response from http://127.0.0.1:9/v1 \(.*refused"):
        chat(url="http://127.0.0.1:9/v1", max_retries=1).send(READ)


@pytest.mark.parametrize(("wrong", "warning"), [("length", TRUNCATED), ("content_filter", FILTERED)])
def test_an_answer_that_is_none_is_not_asked_again(server, chat, wrong, warning):
    server.misbehave = lambda _prompt, _before: wrong
    answer = chat().send(READ)
    assert (answer.text, answer.warnings, answer.prompt_tokens) == (None, (warning,), 10)
    assert len(server.requests) == 1


@pytest.mark.parametrize("key", [SECRET, f" {SECRET}\n"])
@pytest.mark.parametrize("length", [*range(255, 310, 6)])
def test_a_key_that_a_server_repeats_is_shown_nowhere(server, chat, monkeypatch, key, length):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    server.excuse = "x" * length
    server.misbehave = lambda _prompt, _before: "400"
    (warning,) = chat().send(READ).warnings
    assert server.requests[0].key == f"Bearer {SECRET}"
    assert "sk-" not in warning


def test_the_key_is_in_no_traceback(server, chat, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    server.misbehave = lambda _prompt, _before: "401"
    with pytest.raises(EndpointError) as caught:
        chat().send(READ)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("key", ["sk-\nsecret", "sk-sécret", "sk-\x07"])
def test_what_cannot_be_a_key_is_refused_and_not_shown(chat, monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ValueError, match="^OPENAI_API_KEY holds letters that no key has; set it again$"):
        chat()


def test_a_redirection_is_not_followed(server, chat):
    server.misbehave = lambda _prompt, _before: "307"
    with pytest.raises(EndpointError, match="307"):
        chat().send(READ)
    assert len(server.requests) == 1


def test_an_answer_in_parts_is_put_together_and_controls_are_left_out(server, chat):
    server.misbehave = lambda prompt, _before: "parts" if prompt == "say it" else None
    assert chat().send(READ).text == "one two"
    server.answer = lambda _prompt, _image: "a\0b\x1b[31m c"
    assert chat().send(Request("", None, "other")).text == "a b [31m c"


def test_counts_that_are_none_are_left_out(server, chat):
    server.tokens = 10**30
    answer = chat().send(READ)
    assert (answer.text, answer.prompt_tokens) == ("read: say it", None)


@pytest.mark.parametrize("wrong", ["400", "413", "422"])
def test_a_refused_question_says_why(server, chat, wrong):
    server.misbehave = lambda _prompt, _before: wrong
    answer = chat().send(READ)
    assert answer.text is None
    assert answer.warnings[0].startswith(f"{REFUSED}: Error code: {wrong}")
    assert len(server.requests) == 1


@pytest.mark.parametrize("wrong", ["401", "403", "404"])
def test_a_wrong_key_address_or_model_ends_it(server, chat, monkeypatch, wrong):
    monkeypatch.setenv("SOME_KEY", SECRET)
    server.misbehave = lambda _prompt, _before: wrong
    with pytest.raises(EndpointError, match=r"check the address, --model m, and the key in SOME_KEY$") as caught:
        chat(api_key_env="SOME_KEY").send(READ)
    assert len(server.requests) == 1
    assert SECRET not in str(caught.value)
    assert "***" in str(caught.value)


def test_the_key_is_sent_and_shown_nowhere(server, chat, monkeypatch):
    monkeypatch.setenv("SOME_KEY", SECRET)
    one = chat(api_key_env="SOME_KEY")
    one.send(READ)
    assert server.requests[0].key == f"Bearer {SECRET}"
    assert SECRET not in repr(one.endpoint)
    server.misbehave = lambda _prompt, _before: "400"
    assert SECRET not in repr(one.send(Request("", None, "other")))


def test_without_a_key_the_word_none_is_sent(server, chat, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    chat().send(READ)
    assert server.requests[0].key == "Bearer none"


def test_a_model_that_knows_the_limit_by_its_new_name_gets_it(server, chat):
    server.misbehave = lambda _prompt, _before: "new name"
    one = chat()
    assert one.send(READ).text == "read: say it"
    assert one.send(Request("", None, "x")).text is not None
    assert ["max_tokens" in request.body for request in server.requests] == [True, False, False]


def test_a_server_that_does_not_count_tokens_will_do(server, chat):
    server.misbehave = lambda _prompt, _before: "no count"
    answer = chat().send(READ)
    assert answer.text == "read: say it"
    assert answer.prompt_tokens is None


def test_a_server_that_says_how_long_to_wait_is_obeyed_by_all(server, chat):
    server.misbehave = lambda prompt, before: "429" if prompt == "say it" and not before else None
    server.patience = "0.3"
    one = chat(rate_limiter=RateLimiter())
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(one.send, READ)
        while not server.times:
            time.sleep(0.005)
        time.sleep(0.1)
        one.send(Request("", None, "another"))
        answer.result()
    assert min(server.times[1:]) - server.times[0] >= 0.3


def test_requests_keep_their_distance(server, chat):
    one = chat(rate_limiter=RateLimiter(per_minute=1200.0))
    start = time.monotonic()
    for number in range(4):
        one.send(Request("", None, str(number)))
    assert time.monotonic() - start >= 0.15  # by the clock of the limiter; the server's is late on a busy machine
    assert len(server.requests) == 4


def test_who_waits_is_woken_at_the_end(server, chat):
    server.misbehave = lambda _prompt, _before: "500"
    one = chat()
    one.first_pause = 100.0
    one.rate_limiter.stop()
    start = time.monotonic()
    with pytest.raises(NoResponseError):
        one.send(READ)
    assert time.monotonic() - start < 1


def test_keys_tell_all_that_matters_apart(chat):
    image = png()
    one = chat()
    keys = {
        one.cache_key(READ),
        one.cache_key(Request("", None, "say")),
        one.cache_key(Request("say it", None, "")),
        one.cache_key(Request("", image, "say it")),
        one.cache_key(Request("", png(9, 9, 9), "say it")),
        chat(model="other").cache_key(READ),
        chat(max_tokens=5).cache_key(READ),
        chat(temperature=0.5).cache_key(READ),
        chat(url="http://localhost:1/v1").cache_key(READ),
    }
    assert len(keys) == 9
    assert chat(timeout=9.0, max_retries=0).cache_key(READ) in keys


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "localhost:8000"}, "must be an address such as"),
        ({"url": "ftp://x/v1"}, "must be an address such as"),
        ({"url": "https://me:secret@host/v1"}, r"must hold no password and no query; put the key into OPENAI_API_KEY$"),
        ({"url": "https://host/v1?key=secret"}, "must hold no password and no query"),
        ({"url": "https://host:secret/v1"}, "must be an address such as"),
        ({"url": "https://host:99999/v1"}, "must be an address such as"),
        ({"api_key_env": "sk-secret"}, "must be the name of an environment variable"),
        ({"temperature": float("nan")}, "temperature"),
        ({"max_retries": -1}, "max_retries must be at least 0"),
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
        RateLimiter(rate)
