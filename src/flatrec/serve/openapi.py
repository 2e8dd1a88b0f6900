"""The document of the service, from the structs of its operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from flatrec._version import __version__
from flatrec.serve.errors import ErrorAnswer
from flatrec.serve.operations import AnyOperation

Json = dict[str, Any]
STATUSES = {
    400: "The request is no JSON, or not UTF-8.",
    401: "A token is needed.",
    404: "An id is not known.",
    408: "The body did not arrive in time.",
    409: "The recommender cannot do this.",
    413: "The body is too long.",
    415: "The body is not said to be JSON.",
    421: "The host is another.",
    422: "A value is not allowed.",
    429: "Too many requests of this kind at the same time.",
    503: "The service is busy.",
    507: "The disk is full.",
}
PLAIN: dict[str, tuple[str, str, str]] = {  # paths whose answers are no structs: name, summary, type of content
    "/v1/images/{item}": ("item_image", "Show the image of an item.", "image/*"),
    "/health/live": ("live", "Answer as long as the process does.", "application/json"),
    "/health/ready": ("ready", "Answer when the recommender is loaded.", "application/json"),
    "/metrics": ("metrics", "Show the metrics for Prometheus.", "text/plain"),
}
COMMON = {"GET": (400, 401, 421, 422, 503), "POST": (400, 401, 408, 413, 415, 421, 422, 503)}


def document(operations: Sequence[AnyOperation]) -> bytes:
    """Return the document (OpenAPI 3.1) as JSON."""
    kinds = [kind for one in operations for kind in (one.query, one.answer)]
    _, components = msgspec.json.schema_components([*kinds, ErrorAnswer], ref_template="#/components/schemas/{name}")
    paths: dict[str, Json] = {path: {"get": _plain(path)} for path in PLAIN}
    for one in operations:
        path = one.path.replace(":path}", "}")
        paths.setdefault(path, {})[one.method.lower()] = _operation(one, path, components)
    used = {name: schema for name, schema in components.items() if not name.endswith("Query")}
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "flatrec", "version": __version__, "summary": "Recommendations of a trained model."},
            "paths": paths,
            "components": {
                "schemas": used,
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
            "security": [{"token": []}, {}],
        }
    )


def _operation(one: AnyOperation, path: str, components: Json) -> Json:
    """Return one operation of the document."""
    found: Json = {
        "summary": one.summary,
        "operationId": one.function.__name__,
        "responses": {
            "200": _response("The answer.", _ref(one.answer)),
            **{
                str(status): _response(STATUSES[status], _ref(ErrorAnswer))
                for status in sorted({*COMMON[one.method], *one.statuses})
            },
        },
    }
    if one.method == "POST":
        content = {"application/json": {"schema": _ref(one.query)}}
        return {**found, "requestBody": {"required": True, "content": content}}
    schema = components[one.query.__name__]
    return {**found, "parameters": [_parameter(name, schema, path) for name in schema["properties"]]}


def _plain(path: str) -> Json:
    """Return an operation whose answer is no struct."""
    name, summary, content_type = PLAIN[path]
    errors = {"/v1/images/{item}": (400, 401, 404, 421, 422, 503), "/metrics": (401, 421, 503)}.get(path, (421,))
    item = {"name": "item", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    return {
        "summary": summary,
        "operationId": name,
        "parameters": [item] if "{item}" in path else [],
        "responses": {
            "200": {"description": "The answer.", "content": {content_type: {}}},
            **{str(status): _response(STATUSES[status], _ref(ErrorAnswer)) for status in errors},
        },
    }


def _parameter(name: str, schema: Json, path: str) -> Json:
    in_path = "{" + name + "}" in path
    return {
        "name": name,
        "in": "path" if in_path else "query",
        "required": in_path or name in schema.get("required", ()),
        "schema": schema["properties"][name],
    }


def _response(about: str, schema: Json) -> Json:
    return {"description": about, "content": {"application/json": {"schema": schema}}}


def _ref(kind: type[msgspec.Struct]) -> Json:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
