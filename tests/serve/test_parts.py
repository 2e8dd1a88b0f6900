"""What the app is put together of: a log of events, an encoder, a second recommender, every kind of recommender."""

from __future__ import annotations

import base64
import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

import flatrec
from flatrec.content import encoders
from flatrec.content.encoders.recipe import Recipe
from flatrec.data.builder import IndexedFeatures
from flatrec.data.encoded_items import EncodedItems
from flatrec.data.formats import mmrec
from flatrec.inference.storage import save_recommender
from flatrec.serve.encoding import read_image
from flatrec.serve.operations import UserSignals
from flatrec.serve.reload import ServedModel
from flatrec.serve.settings import ServeSettings
from flatrec.testing import block_dataset
from tests.serve.shops import client_of, saved


def ids(answer):
    return [item["item"] for item in answer["items"]]


class Log:
    """A log of two users."""

    def signals(self, users, served):
        assert served.model
        known = {
            "ann": UserSignals(masked=["mug", "gone"], history=["mug", "gone"]),
            "new": UserSignals(masked=["pan"], history=["pan"]),
        }
        return {user: known[user] for user in users if user in known}

    def close(self):
        pass


def test_what_a_log_masks_is_not_listed_and_users_without_training_are_folded_in(folder):
    with client_of(folder, events=Log()) as client:
        known = client.get("/v1/recommend/ann").json()
        assert (known["path"], ids(known), known["warnings"]) == ("known", ["pan"], ["only 1 item left: the filters "
            "allow 4 of 4 items, and what the user has seen or may not get is left out"])  # fmt: skip
        new = client.get("/v1/recommend/new?exclude=jug").json()
        assert (new["path"], ids(new)) == ("history", ["mug", "cup"])
        stranger = client.get("/v1/recommend/stranger").json()
        assert stranger["path"] == "popular"
        many = client.post("/v1/recommend", json={"users": ["bob", "new"], "exclude": ["cup"]}).json()["lists"]
        assert [ids(one) for one in many] == [["pan"], ["mug", "jug"]]
        assert "mug" in ids(client.get("/v1/recommend/ann?include_seen=true").json())


def test_a_history_of_the_request_adds_to_that_of_the_log(folder):
    expected = flatrec.load_recommender(folder).recommend(history=["pan", "cup"])[0]
    with client_of(folder, events=Log()) as client:
        answer = client.post("/v1/recommend", json={"user": "new", "history": ["cup"]}).json()["lists"][0]
    assert [(item["item"], item["score"]) for item in answer["items"]] == [(one.item, one.score) for one in expected]


class Encoder:
    """Encodes a text by its length, and an image by its size; slowly, if it is told to."""

    seconds = 0.0

    def text(self, text, served):
        assert served.model
        time.sleep(self.seconds)
        return np.array([len(text), 1, 0], dtype=np.float32)

    def image(self, content, served, most_pixels):
        assert served.model
        return np.array([*read_image(content, most_pixels).size, 1], dtype=np.float32)


def test_a_new_item_is_encoded_by_its_text(folder):
    rows = IndexedFeatures(["x"], np.array([[4, 1, 0]], dtype=np.float32), "x")
    expected = flatrec.load_recommender(folder).with_items(EncodedItems(("x",), {"text": rows})).who_wants("x")
    with client_of(folder, encoder=Encoder()) as client:
        answer = client.post("/v1/who-wants", json={"new_item": {"text": "bowl"}}).json()
        assert answer["users"] == [vars(user) for user in expected]
        both = {"text": "bowl", "features": {"text": [1, 2, 3]}}
        assert client.post("/v1/who-wants", json={"new_item": both}).status_code == 422


def test_an_image_of_a_modality_that_was_not_trained_on_is_refused_and_a_bomb_before_that(folder):
    file = io.BytesIO()
    Image.new("1", (6000, 6000)).save(file, "PNG")
    with client_of(folder, encoder=Encoder()) as client:
        bomb = client.post("/v1/who-wants", json={"new_item": {"image": base64.b64encode(file.getvalue()).decode()}})
        assert (bomb.status_code, "pixels" in bomb.text) == (422, True)
        small = io.BytesIO()
        Image.new("RGB", (2, 2)).save(small, "PNG")
        other = client.post("/v1/who-wants", json={"new_item": {"image": base64.b64encode(small.getvalue()).decode()}})
        assert (other.status_code, "modalities" in other.text) == (422, True)


def test_one_new_item_is_encoded_at_a_time(folder):
    encoder, statuses = Encoder(), []
    encoder.seconds = 0.5
    with client_of(folder, encoder=encoder) as client:

        def ask():
            statuses.append(client.post("/v1/who-wants", json={"new_item": {"text": "bowl"}}).status_code)

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(statuses) == [200, 429]


def test_a_second_recommender_answers_under_a_path_of_its_own(folder, tmp_path):
    other = ServedModel(saved(tmp_path, 2.0))
    with client_of(folder, compare=other) as client:
        path = "/v1/recommend/bob?include_seen=true"
        first, second = (client.get(prefix + path).json() for prefix in ("", "/compare"))
        assert [2 * item["score"] for item in first["items"]] == [item["score"] for item in second["items"]]
        assert second["model"] == other.current.model != first["model"]
        assert second["items"][3]["image"] == "/compare/v1/images/cup"
        assert client.get("/compare/v1/images/cup").status_code == 200


@pytest.mark.parametrize("name", ["item-knn", "user-knn", "popularity"])
def test_every_kind_of_recommender_is_served(tmp_path, name):
    made = flatrec.fit(block_dataset(), name).recommender
    save_recommender(made, tmp_path / "recommender")
    user, item = made.users[0], made.items[0]
    with client_of(tmp_path / "recommender", ServeSettings()) as client:
        for asked in (user, made.users[5], "nobody"):
            (expected,) = made.recommend(asked, explain=True)
            answer = client.get(f"/v1/recommend/{asked}?explain=true").json()
            found = [(one["item"], one["score"]) for one in answer["items"]]
            assert found == [(one.item, one.score) for one in expected]
            assert answer["path"] == expected.path
        assert client.get(f"/v1/similar?item={item}").status_code == 200
        assert client.post("/v1/score", json={"users": [user], "items": [item]}).status_code == 200
        assert client.get(f"/v1/recommend/{user}?diversity=0.5").status_code == 422
        assert client.post("/v1/who-wants", json={"new_item": {"features": {"text": [1]}}}).status_code == 422
        wanted = client.post("/v1/who-wants", json={"item": item})
        assert wanted.status_code == (422 if name == "popularity" else 200)


class Texts:
    """A text encoder that knows lengths alone."""

    def __init__(self, dim):
        self.dim = dim

    def encode(self, texts):
        return np.array([[len(text), *[1.0] * (self.dim - 1)] for text in texts], dtype=np.float32)


def test_a_run_tells_how_its_items_were_encoded(tmp_path, monkeypatch):
    mmrec.write(block_dataset(), tmp_path / "data")
    dataset = flatrec.load_data(tmp_path / "data")
    training = flatrec.Training(epochs=1, loggers=())
    flatrec.fit(dataset, "bpr", training=training, out=tmp_path / "run")
    body = {"new_item": {"text": "a bowl"}}
    with client_of(tmp_path / "run") as client:
        assert "not known here" in client.post("/v1/who-wants", json=body).json()["error"]["message"]
        Recipe(text_columns=("title",), text_encoder="lengths").write(tmp_path / "data")
        missing = client.post("/v1/who-wants", json=body)
        assert (missing.status_code, "flatrec[encode]" in missing.text) == (409, True)
        image = client.post("/v1/who-wants", json={"new_item": {"image": "AAAA"}})
        assert (image.status_code, "without images" in image.text) == (409, True)
    monkeypatch.setattr(encoders, "text_encoder", lambda name: {"lengths": Texts(dataset.features["text"].width)}[name])
    with client_of(tmp_path / "run") as client:
        answer = client.post("/v1/who-wants", json=body).json()
        assert answer["path"] == "cold-item"
        assert len(answer["users"]) == 10
        assert client.post("/v1/who-wants", json={"new_item": {"text": " \x00 "}}).status_code == 422
