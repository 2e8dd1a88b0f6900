"""Who may ask, what is counted, and what is written down."""

from __future__ import annotations

import io
import json
import os
import time

import pytest

from flatrec.serve.access_log import AccessLog
from flatrec.serve.answers import ModelAnswer
from flatrec.serve.operations import Operation
from flatrec.serve.requests import ModelQuery
from flatrec.serve.settings import TOKENS, Limits, ServeSettings, tokens_from_environment
from tests.serve.shops import client_of

TOKEN, OTHER = "first-token-of-the-shop", "second-token-of-the-shop"


@pytest.fixture(scope="module")
def guarded(folder):
    with client_of(folder, tokens=(TOKEN, OTHER)) as one:
        yield one


@pytest.mark.parametrize(
    "path", ["/v1/recommend/ann", "/v1/model", "/v1/images/cup", "/metrics", "/openapi.json", "/x"]
)
def test_a_token_is_needed_for_everything_but_health(guarded, path):
    refused = guarded.get(path)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    for wrong in (TOKEN[:-1], TOKEN + "x", "", f"{TOKEN} {TOKEN}"):
        assert guarded.get(path, headers={"authorization": f"Bearer {wrong}"}).status_code == 401
    assert guarded.get(path, headers={"authorization": f"Basic {TOKEN}"}).status_code == 401
    for right in (TOKEN, OTHER):
        assert guarded.get(path, headers={"authorization": f"bearer {right}"}).status_code in (200, 404)
    assert guarded.get("/health/live").status_code == guarded.get("/health/ready").status_code == 200


def test_tokens_come_from_the_environment_and_are_long(monkeypatch):
    monkeypatch.delenv(TOKENS, raising=False)
    assert tokens_from_environment(required=False) == ()
    with pytest.raises(ValueError, match=TOKENS):
        tokens_from_environment(required=True)
    monkeypatch.setenv(TOKENS, f"{TOKEN}, {OTHER},")
    assert tokens_from_environment(required=True) == (TOKEN, OTHER)
    for bad in ("short", "x" * 20 + "é", "with spaces within it"):
        monkeypatch.setenv(TOKENS, bad)
        with pytest.raises(ValueError, match="at least 16"):
            tokens_from_environment(required=False)


def test_other_origins_may_call_only_if_they_are_named(folder):
    origin = {"origin": "https://shop.example"}
    asking = {**origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    with client_of(folder) as client:
        assert "access-control-allow-origin" not in client.get("/v1/model", headers=origin).headers
        assert client.options("/v1/recommend", headers=asking).status_code == 405
    with client_of(folder, ServeSettings(cors_origins=("https://shop.example",)), tokens=(TOKEN,)) as client:
        assert client.options("/v1/recommend", headers=asking).status_code == 200
        answer = client.get("/v1/model", headers={**origin, "authorization": f"Bearer {TOKEN}"})
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        other = client.get("/v1/model", headers={"origin": "https://evil.example", "authorization": f"Bearer {TOKEN}"})
        assert "access-control-allow-origin" not in other.headers


def test_further_hosts_do_not_take_the_machine_itself_away(folder):
    with client_of(folder, ServeSettings(allowed_hosts=("shop.local",))) as client:
        for host in ("localhost", "127.0.0.1:8000", "shop.local:80"):
            assert client.get("/v1/model", headers={"host": host}).status_code == 200
        assert client.get("/v1/model", headers={"host": "evil.example"}).status_code == 421


def test_metrics_count_requests_and_answers_by_path(folder):
    with client_of(folder) as client:
        client.get("/v1/recommend/ann")
        client.post("/v1/recommend", json={"users": ["bob", "stranger"]})
        client.get("/v1/recommend/ann?k=0")
        client.get("/nowhere")
        text = client.get("/metrics").text
    assert 'flatrec_request_seconds_count{operation="/v1/recommend/{user}",status="200"} 1.0' in text
    assert 'flatrec_request_seconds_count{operation="/v1/recommend/{user}",status="422"} 1.0' in text
    assert 'flatrec_request_seconds_count{operation="",status="404"} 1.0' in text
    assert 'flatrec_answers_total{path="known"} 2.0' in text
    assert 'flatrec_answers_total{path="popular"} 1.0' in text
    assert 'flatrec_model_size{of="items"} 4.0' in text
    assert 'flatrec_reloads_total{result="failed"} 0.0' in text


def lines_of(folder, settings):
    log = io.BytesIO()
    with client_of(folder, settings, access_log=AccessLog(log)) as client:
        client.get("/v1/recommend/ann?exclude=cup")
        client.get("/v1/images/mug")
    return log.getvalue().decode().splitlines()


def test_the_access_log_has_no_ids_unless_asked(folder):
    first, second = lines_of(folder, ServeSettings())
    assert json.loads(first)["path"] == "/v1/recommend/{user}"
    assert json.loads(first)["status"] == 200
    assert json.loads(second)["path"] == "/v1/images/{item}"
    assert "ann" not in first + second
    first, _ = lines_of(folder, ServeSettings(log_users=True))
    assert json.loads(first)["address"] == "/v1/recommend/ann?exclude=cup"


def test_a_service_goes_on_when_nobody_reads_its_log(folder):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as stream, client_of(folder, access_log=AccessLog(stream)) as client:
        assert client.get("/v1/recommend/ann").status_code == 200


def failing(*_):
    raise RuntimeError("secret detail")


def test_an_error_of_the_service_says_nothing_of_its_inside(folder, caplog):
    broken = Operation("GET", "/v1/broken", "Fail.", ModelQuery, ModelAnswer, failing)
    with client_of(folder, operations=(broken,)) as client:
        answer = client.get("/v1/broken")
    assert answer.status_code == 500
    assert answer.json()["error"]["kind"] == "internal"
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text


def test_an_answer_that_takes_too_long_is_given_up(folder):
    def slow(*_):
        time.sleep(0.5)
        raise AssertionError

    operation = Operation("GET", "/v1/slow", "Sleep.", ModelQuery, ModelAnswer, slow)
    with client_of(folder, ServeSettings(limits=Limits(seconds=0.1)), operations=(operation,)) as client:
        answer = client.get("/v1/slow")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
