"""Requests that are drawn from the document of the service: right ones, almost right ones, and nonsense."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import quote

from hypothesis import strategies as st

IDS = ["ann", "bob", "cat", "cup", "jug", "mug", "pan"]
CONDITIONS = ["price < 10", 'kind = "cup"', "price is missing", "new = true", "price <", "x = 1", "((("]
ODD_TEXTS = [
    "",
    " ",
    "..",
    "/",
    "%2e%2e",
    "\x00",
    "a\nb",
    "NaN",
    "-1",
    "true",
    "null",
    "𝔘",
    "x" * 600,
    "'; --",
    "{user}",
]
ODD_NUMBERS = [0, -1, 2**31, 2**63, 2**64, 10**30, 0.5, 1e308, float("nan"), float("inf")]
texts = st.one_of(st.sampled_from(IDS * 3), st.sampled_from(ODD_TEXTS + CONDITIONS), st.text(max_size=10))
numbers = st.one_of(st.integers(1, 20), st.integers(), st.sampled_from(ODD_NUMBERS))
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
junk = st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(texts, scalars, max_size=3))


@dataclass(frozen=True)
class Case:
    """A request, and the statuses that the document has for it; without any, it is not in the document."""

    method: str
    address: str
    body: bytes | None
    content_type: str
    statuses: frozenset[str]


def fitting(schema, schemas):
    """Values of a schema, mostly."""
    if schema.get("description", "").startswith("Condition"):
        return st.sampled_from(CONDITIONS)
    if "$ref" in schema:
        return fitting(schemas[schema["$ref"].rsplit("/", 1)[1]], schemas)
    if "anyOf" in schema:
        return st.one_of([fitting(one, schemas) for one in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        return _objects(schema, schemas)
    if kind == "object":
        values = schema.get("additionalProperties", {})
        return st.dictionaries(texts, fitting(values, schemas) if isinstance(values, dict) else junk, max_size=3)
    if kind == "array":
        return st.lists(fitting(schema.get("items", {}), schemas), max_size=5)
    plain = {"string": texts, "boolean": st.booleans(), "null": st.none()}
    plain |= {"integer": st.integers(1, 20), "number": st.floats(0, 1)}
    return plain.get(kind, junk)


def _objects(schema, schemas):
    required = {name: fitting(schema["properties"][name], schemas) for name in schema.get("required", ())}
    others = {name: fitting(one, schemas) for name, one in schema["properties"].items() if name not in required}
    return st.fixed_dictionaries(required, optional=others)


def cases(document):
    """Requests of every operation."""
    schemas = document["components"]["schemas"]
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            drawn = _gets(path, operation, schemas) if method == "get" else _posts(path, operation, schemas)
            found.append(drawn)
    return st.one_of(found)


def _gets(path, operation, schemas):
    statuses = frozenset(operation["responses"])
    values = {one["name"]: fitting(one["schema"], schemas) for one in operation["parameters"]}
    required = {one["name"] for one in operation["parameters"] if one["required"]}
    right = st.fixed_dictionaries(
        {name: value for name, value in values.items() if name in required},
        optional={name: value for name, value in values.items() if name not in required},
    )
    changed = st.builds(_with, right, st.sampled_from(list(values) or ["other"]), junk)
    drawn = st.one_of(right, right, changed)

    def case(given, others):
        pairs = [(name, one) for name, value in given.items() for one in _as_list(value)]
        query = [(name, value) for name, value in [*pairs, *others] if "{" + name + "}" not in path]
        address = path
        for name in given:
            address = address.replace("{" + name + "}", quote(_text(given[name]), safe=""))
        encoded = "&".join(f"{quote(_text(name))}={quote(_text(value))}" for name, value in query)
        return Case("GET", f"{address}?{encoded}" if encoded else address, None, "", statuses)

    others = st.one_of(st.just([]), st.just([]), st.lists(st.tuples(texts, texts), max_size=1))
    return st.builds(case, drawn, others).filter(_arrives_as_it_is)


def _arrives_as_it_is(case):
    """Clients take ``.`` and ``..`` for folders, and send another address."""
    return not case.address.split("?")[0].endswith(("/.", "/.."))


def _posts(path, operation, schemas):
    statuses = frozenset(operation["responses"])
    values = fitting(operation["requestBody"]["content"]["application/json"]["schema"], schemas)
    changed = st.builds(_with, values, st.sampled_from(_names(operation, schemas)), junk)
    contents = st.one_of(values, values, values, changed, changed, junk).map(_json)
    cut = st.builds(lambda content, share: content[: int(len(content) * share)], values.map(_json), st.floats(0, 1))
    bodies = st.one_of(contents, contents, contents, contents, cut, st.binary(max_size=50))
    types = st.sampled_from(["application/json"] * 20 + ["text/plain", "", "application/json; charset=x"])
    return st.builds(lambda body, kind: Case("POST", path, body, kind, statuses), bodies, types)


def _names(operation, schemas):
    name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
    return [*schemas[name]["properties"], "other"]


def _with(values, name, other):
    return {**values, name: other}


def _as_list(value):
    return value if isinstance(value, list) else [value]


def _json(value):
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _text(value):
    return value if isinstance(value, str) else json.dumps(value)


def asked(client, case, counts):
    """The answer to a case, which is no error of the service, and one that the document names."""
    headers = {"content-type": case.content_type} if case.content_type else {}
    answer = client.request(case.method, case.address, content=case.body, headers=headers)
    counts[answer.status_code] += 1
    assert answer.status_code < 500, (case, answer.text)
    assert str(answer.status_code) in case.statuses, (case, answer.text)
    return answer
