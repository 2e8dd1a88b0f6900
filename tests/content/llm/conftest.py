from __future__ import annotations

import io

import pytest
from PIL import Image

from flatrec.content.llm.batch_runner import Asking
from flatrec.content.llm.endpoint import Chat, Endpoint
from flatrec.content.llm.rate_limiter import Pace
from flatrec.content.llm.response_cache import AnswerStore
from tests.content.llm.server import stand_in

pytest.importorskip("openai", reason="the extra augment is not installed")


@pytest.fixture
def server():
    with stand_in() as one:
        yield one


@pytest.fixture
def chat(server):
    """Makes chats with the server that hardly wait between two tries."""
    made = []

    def make(pace=None, **settings):
        endpoint = Endpoint(**{"url": server.url, "model": "m", "timeout": 0.5, **settings})
        made.append(Chat(endpoint, pace or Pace(), first_pause=0.01))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def asking(chat, tmp_path):
    """Makes what asks, with one store of answers for all."""
    stores = []

    def make(concurrency=4, on_items=lambda _count: None, **settings):
        stores.append(AnswerStore(tmp_path / "answers.sqlite3"))
        return Asking(chat(**settings), stores[-1], concurrency, on_items=on_items)

    yield make
    for one in stores:
        one.__exit__()


def png(*color):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), color or (1, 2, 3)).save(file, "PNG")
    return file.getvalue()
