"""Requests that no service should fall over: one JSON error each, no stack trace, and the next one is answered."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib

import pytest
from PIL import Image

from flatrec.serve.encoding import read_image
from flatrec.serve.errors import Refused

MANY = ["x"] * 100_000


def png(width, height, data=b""):
    """A PNG of a few bytes whose header says how large it is."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def encoded(content):
    return base64.b64encode(content).decode()


def new_item(**parts):
    return json.dumps({"new_item": parts})


BODIES = {
    "nothing": ("recommend", "", 400),
    "null": ("recommend", "null", 422),
    "a list": ("recommend", "[]", 422),
    "no JSON": ("recommend", "{user: ann}", 400),
    "two objects": ("recommend", "{}{}", 400),
    "NaN": ("recommend", '{"diversity": NaN}', 400),
    "infinity": ("recommend", '{"diversity": 1e999}', 422),
    "an integer of 400 digits": ("recommend", f'{{"k": {10**400}}}', 422),
    "a negative length": ("recommend", '{"k": -1}', 422),
    "a length beyond the limit": ("recommend", '{"k": 501}', 422),
    "a length that is a text": ("recommend", '{"k": "10"}', 422),
    "a length that is true": ("recommend", '{"k": true}', 422),
    "an unknown name": ("recommend", '{"usr": "ann"}', 422),
    "user and users": ("recommend", '{"user": "ann", "users": ["bob"]}', 422),
    "an empty id": ("recommend", '{"user": ""}', 422),
    "an id of 600 characters": ("recommend", json.dumps({"user": "x" * 600}), 422),
    "too many users": ("recommend", json.dumps({"users": ["x"] * 101}), 422),
    "a long history": ("recommend", json.dumps({"history": MANY[:1001]}), 422),
    "a history of others": ("recommend", '{"users": ["ann"], "history": {"bob": ["cup"]}}', 422),
    "a history of numbers": ("recommend", '{"history": [1, 2]}', 422),
    "half a character": ("recommend", '{"user": "\\ud800"}', 400),
    "a condition that is code": ("recommend", '{"where": "__import__(\'os\')"}', 422),
    "a condition without an end": ("recommend", json.dumps({"where": "(" * 5000}), 422),
    "a condition nested deeply": ("recommend", json.dumps({"where": "(" * 900 + "price < 1" + ")" * 900}), 422),
    "a condition on another column": ("recommend", '{"where": "salary > 1"}', 422),
    "no items": ("similar", "{}", 422),
    "an unknown item": ("similar", '{"items": ["cup", "nothing"]}', 404),
    "scores of an unknown user": ("score", '{"users": ["nobody"], "items": ["cup"]}', 404),
    "neither item": ("who-wants", "{}", 422),
    "both items": ("who-wants", '{"item": "cup", "new_item": {"text": "x"}}', 422),
    "an empty new item": ("who-wants", new_item(), 422),
    "features of another width": ("who-wants", new_item(features={"text": [1.0]}), 422),
    "features beyond 32 bits": ("who-wants", new_item(features={"text": [1e300, 0, 0]}), 422),
    "features of zeros": ("who-wants", new_item(features={"text": [0.0, 0.0, 0.0]}), 422),
    "features of another modality": ("who-wants", new_item(features={"smell": [1.0]}), 422),
    "a text without a recipe": ("who-wants", new_item(text="a bowl"), 409),
    "an image that is no base64": ("who-wants", new_item(image="!!"), 422),
    "an image beyond the limit": ("who-wants", new_item(image="A" * 11_184_816), 413),
}


@pytest.mark.parametrize("what", BODIES)
def test_a_bad_body_is_refused_in_one_line(client, what):
    operation, body, status = BODIES[what]
    headers = {"content-type": "application/json"}
    refused(client.post(f"/v1/{operation}", content=body.encode("utf-8"), headers=headers), status)


def refused(answer, status):
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"status", "kind", "message"}
    assert error["status"] == status
    assert "\n" not in error["message"]
    assert "Traceback" not in answer.text
    assert len(error["message"]) <= 500


QUERIES = {
    "k twice": ("/v1/recommend/ann?k=1&k=2", 422),
    "user in the query": ("/v1/recommend/ann?user=bob", 422),
    "no number": ("/v1/recommend/ann?k=ten", 422),
    "k of 400 digits": (f"/v1/recommend/ann?k={10**400}", 422),
    "NaN": ("/v1/recommend/ann?diversity=nan", 422),
    "perhaps": ("/v1/recommend/ann?explain=perhaps", 422),
    "bytes that are no UTF-8": ("/v1/recommend/%ff%fe", 400),
    "the same in a query": ("/v1/items?q=%ff", 400),
    "no user": ("/v1/recommend/", 422),
    "no item": ("/v1/similar", 422),
    "an unknown item": ("/v1/similar?item=..%2f..%2fetc%2fpasswd", 404),
    "an image of a path": ("/v1/images/..%2f..%2f..%2fetc%2fpasswd", 404),
    "an image with a zero byte": ("/v1/images/cup%00.png", 404),
    "an unknown path": ("/v1/recommended", 404),
    "a page": ("/index.html", 404),
    "a slash too many": ("/v1/model/", 404),
}


@pytest.mark.parametrize("what", QUERIES)
def test_a_bad_address_is_refused_in_one_line(client, what):
    path, status = QUERIES[what]
    refused(client.get(path), status)


def test_ids_may_hold_anything_and_are_nothing_but_ids(client):
    for user in ("a/b", "..", "../../etc/passwd", "%2e%2e", "a\x00b", "ünï¢ode", "'; drop table users; --", " "):
        answer = client.post("/v1/recommend", json={"user": user}).json()
        assert (answer["lists"][0]["user"], answer["lists"][0]["path"]) == (user, "popular")


def test_methods_and_types_that_do_not_fit_are_refused(client):
    refused(client.delete("/v1/recommend/ann"), 405)
    refused(client.options("/v1/recommend"), 405)
    refused(client.put("/v1/recommend", content=b"{}"), 405)
    refused(client.post("/v1/recommend", content=b"{}"), 415)
    refused(client.post("/v1/recommend", content=b"{}", headers={"content-type": "text/plain"}), 415)


def test_other_hosts_are_refused_where_only_the_machine_itself_may_ask(client):
    refused(client.get("/v1/model", headers={"host": "evil.example"}), 421)
    assert client.get("/v1/model", headers={"host": "127.0.0.1:8000"}).status_code == 200


def test_long_and_deep_bodies_are_refused(client):
    headers = {"content-type": "application/json"}
    refused(client.post("/v1/recommend", json={"user": "x" * 10_000_000}), 413)
    for depth in (1_000, 400_000):
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            body = opening * depth + "1" + closing * depth
            answer = client.post("/v1/recommend", content=body.encode()[: 2**20], headers=headers)
            assert answer.status_code in (400, 422)
    answer = client.post("/v1/recommend", content=b'{"history":' + b"[" * 500_000, headers=headers)
    assert answer.status_code in (400, 422)
    refused(client.post("/v1/recommend", content=b'{"user": "\xff\xfe"}', headers=headers), 400)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png(60_000, 60_000), "pixels"),
        (png(5000, 5001), "pixels"),
        (png(100, 100, b"short"), "cannot be read"),
        (b"GIF89a", "cannot be read"),
        (b"<svg onload='alert(1)'/>", "cannot be read"),
        (b"%!PS-Adobe", "cannot be read"),
    ],
)
def test_images_that_are_none_or_too_large_are_refused_before_they_are_unpacked(content, expected):
    with pytest.raises(Refused, match=expected):
        read_image(content, 25_000_000)


def test_an_image_is_read():
    file = io.BytesIO()
    Image.new("L", (3, 2)).save(file, "PNG")
    assert read_image(file.getvalue(), 6).size == (3, 2)
