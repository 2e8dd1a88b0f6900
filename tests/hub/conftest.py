"""A stand-in of the Hub, a run of a small shop, and the token, for the tests of push and pull."""

from __future__ import annotations

import huggingface_hub
import pytest

import flatrec
from flatrec.data.shop import ShopSettings, generate, write
from flatrec.hub.model_card import CardSettings
from flatrec.hub.staging import staged
from tests.cli.conftest import flatrec as command  # noqa: F401 - a fixture
from tests.hub.stand_in import TOKEN, stand_in

NAME = "me/small-shop"


@pytest.fixture
def hub(monkeypatch):
    """The stand-in, at which HF_ENDPOINT points, with a token that may write."""
    with stand_in() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
        yield server
        huggingface_hub.close_session()


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """The folder of a small shop with images; its users are user-00000 to user-00059."""
    folder = tmp_path_factory.mktemp("home-of-somebody") / "full"
    write(generate(ShopSettings(users=60, items=40)), folder)
    return folder


@pytest.fixture(scope="session")
def sent(run):
    """The files of a push of that run without users, by name."""
    with staged(run, CardSettings(NAME), include_users=False) as files:
        return {name: (files.folder / name).read_bytes() for name in files.sizes}


@pytest.fixture
def pushed(hub, sent):
    """A private repository on the stand-in as a push leaves it."""
    return hub.put(NAME, sent, private=True)


@pytest.fixture(scope="session")
def run(shop, tmp_path_factory):
    """The folder of a run on it."""
    out = tmp_path_factory.mktemp("home-of-somebody") / "first"
    flatrec.fit(
        flatrec.load_data(shop),
        "lightgcn",
        model_settings={"embedding_dim": 8},
        training=flatrec.Training(epochs=2, loggers=(), monitor="ndcg@10"),
        out=out,
    )
    return out
