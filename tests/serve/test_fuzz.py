"""Whatever is asked, no answer is an error of the service, and each is as the document says."""

from __future__ import annotations

import collections

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flatrec.serve.errors import ErrorAnswer
from flatrec.serve.openapi import document
from flatrec.serve.routes import OPERATIONS
from tests.serve.fuzzing import asked, cases

DOCUMENT = msgspec.json.decode(document(OPERATIONS))
ANSWERS = {(one.method, one.path.split("{")[0]): one.answer for one in OPERATIONS}
PRINTABLE = st.characters(codec="ascii", exclude_characters="#?\\", min_codepoint=33, max_codepoint=126)
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def check(client, case, counts):
    answer = asked(client, case, counts)
    if answer.status_code == 200:
        path = case.address.split("?")[0]
        kinds = (kind for (method, start), kind in ANSWERS.items() if method == case.method and path.startswith(start))
        kind = next(kinds, None)
        if kind is not None:
            msgspec.json.decode(answer.content, type=kind)
    else:
        error = msgspec.json.decode(answer.content, type=ErrorAnswer).error
        assert error.status == answer.status_code
        assert "Traceback" not in error.message


@pytest.mark.repeats
def test_a_few_hundred_requests_of_the_document(client):
    counts = collections.Counter()

    @settings(max_examples=300, derandomize=True, suppress_health_check=QUIET, database=None)
    @given(case=cases(DOCUMENT))
    def ask(case):
        check(client, case, counts)

    ask()
    assert counts[200] >= 40
    assert counts[422] >= 50


@pytest.mark.slow
@pytest.mark.repeats
def test_ten_thousand_requests_of_the_document(client):
    counts = collections.Counter()

    @settings(max_examples=10_000, suppress_health_check=QUIET, database=None)
    @given(case=cases(DOCUMENT))
    def ask(case):
        check(client, case, counts)

    ask()
    print(dict(counts))  # noqa: T201


@pytest.mark.repeats
def test_random_paths_and_methods_are_refused_or_answered(client):
    @settings(max_examples=100, derandomize=True, suppress_health_check=QUIET, database=None)
    @given(
        st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE"]),
        st.text(
            st.characters(codec="ascii", exclude_characters="#?\\", min_codepoint=33, max_codepoint=126), max_size=30
        ),
    )
    def ask(method, path):
        assert client.request(method, f"/{path}").status_code < 500

    ask()


def test_the_document_names_every_operation_and_what_it_needs(client):
    served = client.get("/openapi.json").json()
    assert served["openapi"].startswith("3.1")
    assert set(served["paths"]) >= {
        "/v1/recommend/{user}", "/v1/recommend", "/v1/similar", "/v1/who-wants", "/v1/score", "/v1/items", "/v1/model"
    }  # fmt: skip
    (user,) = [one for one in served["paths"]["/v1/recommend/{user}"]["get"]["parameters"] if one["in"] == "path"]
    assert user["required"]
    names = set(served["components"]["schemas"])
    assert {name for name in _references(served)} <= names


def _references(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner.rsplit("/", 1)[1]
            else:
                yield from _references(inner)
    if isinstance(value, list):
        for inner in value:
            yield from _references(inner)
