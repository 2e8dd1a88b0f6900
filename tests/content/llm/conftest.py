from __future__ import annotations

import io

import pytest
from PIL import Image

from flatrec.content.llm.batch_runner import BatchRunner
from flatrec.content.llm.chat_client import ChatClient
from flatrec.content.llm.rate_limiter import RateLimiter
from flatrec.content.llm.response_cache import ResponseCache
from flatrec.content.llm.settings import Endpoint
from tests.content.llm.server import stand_in

pytest.importorskip("openai", reason="the extra llm is not installed")


@pytest.fixture
def server():
    with stand_in() as one:
        yield one


@pytest.fixture
def chat(server):
    """Makes chats with the server that hardly wait between two tries."""
    made = []

    def make(rate_limiter=None, **settings):
        endpoint = Endpoint(**{"url": server.url, "model": "m", "timeout": 0.5, **settings})
        made.append(ChatClient(endpoint))
        made[-1].rate_limiter, made[-1].first_pause = rate_limiter or RateLimiter(), 0.01
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def make_runner(chat, tmp_path):
    """Makes batch runners that share one cache."""
    stores = []

    def make(concurrency=4, on_items=lambda _count: None, **settings):
        stores.append(ResponseCache(tmp_path / "responses.sqlite3"))
        return BatchRunner(chat(concurrency=concurrency, **settings), stores[-1], on_items=on_items)

    yield make
    for one in stores:
        one.__exit__()


def png(*color):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), color or (1, 2, 3)).save(file, "PNG")
    return file.getvalue()
