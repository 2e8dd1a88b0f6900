"""The page at ``/`` and its files, which need no token, as they hold nothing of anybody."""

from __future__ import annotations

from importlib import resources

import msgspec
from starlette.routing import Route

from flatrec.serve.errors import Headers
from flatrec.serve.http_answer import HttpAnswer
from flatrec.serve.plain_routes import Fixed

FOLDER, INDEX = "page", "index.html"
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS: Headers = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
)


class PageFacts(msgspec.Struct, frozen=True):
    """What the page must know before its first request.

    Args:
        compare: whether there is a second recommender.
        user_search: whether ids of users can be searched.
        token: whether requests need a token.
    """

    compare: bool
    user_search: bool
    token: bool


def page_routes(facts: PageFacts) -> list[Route]:
    """Return the routes of the page."""
    files = {file.name: file.read_bytes() for file in resources.files("flatrec.serve").joinpath(FOLDER).iterdir()}
    answers = {
        "/" if name == INDEX else f"/{FOLDER}/{name}": HttpAnswer(
            content, CONTENT_TYPES[name[name.rindex(".") :]], headers=HEADERS
        )
        for name, content in sorted(files.items())
    }
    answers[f"/{FOLDER}/about.json"] = HttpAnswer(msgspec.json.encode(facts))
    return [Route(path, Fixed(answer), methods=["GET"]) for path, answer in answers.items()]
