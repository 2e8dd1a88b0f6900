"""What the service answers to those who ask well."""

from __future__ import annotations

import numpy as np

import flatrec
from flatrec.data.builder import IndexedFeatures
from flatrec.data.encoded_items import EncodedItems
from flatrec.serve.served import content_hash


def ids(answer):
    return [item["item"] for item in answer["items"]]


def test_a_known_user_gets_what_the_recommender_recommends(client, folder):
    answer = client.get("/v1/recommend/ann?k=2").json()
    (expected,) = flatrec.load_recommender(folder).recommend("ann", 2)
    assert ids(answer) == [item.item for item in expected]
    assert [item["score"] for item in answer["items"]] == [item.score for item in expected]
    assert (answer["user"], answer["path"], answer["warnings"]) == ("ann", "known", [])
    assert answer["model"] == content_hash(folder)


def test_each_path_says_which_it_is(client):
    body = {"users": ["ann", "new", "other"], "history": {"new": ["mug", "nothing"]}, "k": 1}
    answer = client.post("/v1/recommend", json=body).json()
    assert [one["path"] for one in answer["lists"]] == ["known", "history", "popular"]
    assert answer["lists"][1]["warnings"] == ["1 of 2 items of the history is not known"]
    assert "not known" in answer["lists"][2]["warnings"][0]


def test_filters_act_as_in_python(client):
    path = "/v1/recommend/ann?include_seen=true"
    assert ids(client.get(path).json()) == ["cup", "jug", "mug", "pan"]
    assert ids(client.get(f"{path}&exclude=cup&exclude=pan").json()) == ["jug", "mug"]
    assert ids(client.get(f"{path}&where=price+%3C+10").json()) == ["cup", "jug"]
    assert client.get("/v1/recommend/ann?where=price+%3C+1").json()["warnings"][0].startswith("no item left")


def test_a_list_explains_itself(client):
    answer = client.post("/v1/recommend", json={"history": ["cup"], "k": 1, "explain": True}).json()
    (item,) = answer["lists"][0]["items"]
    assert item["reasons"][0]["item"] == "cup"
    assert item["reasons"][0]["title"] == "Café cup"


def test_without_fallback_nobody_gets_what_is_popular(client):
    refused = client.get("/v1/recommend/stranger?fallback=false")
    assert (refused.status_code, refused.json()["error"]["kind"]) == (404, "not-found")


def test_similar_items_of_one_and_of_many(client):
    one = client.get("/v1/similar?item=cup&k=2").json()
    assert ids(one) == ["jug", "mug"]
    many = client.post("/v1/similar", json={"items": ["cup", "pan"], "k": 1}).json()
    assert [ids(answer) for answer in many["lists"]] == [["jug"], ["mug"]]


def test_items_are_found_by_words_of_title_and_id(client):
    assert ids(client.get("/v1/items?q=cafe").json()) == ["cup"]
    assert ids(client.get("/v1/items?q=MUG+blue").json()) == ["mug"]
    assert ids(client.get("/v1/items?q=&k=2").json()) == ["cup", "jug"]
    assert client.get("/v1/items?q=&k=2").json()["total"] == 4
    assert ids(client.get("/v1/items?where=kind+%3D+%22pan%22").json()) == ["pan"]


def test_users_are_found_by_id_only_where_that_is_asked_for(client):
    assert client.get("/v1/users?q=b").json()["users"] == ["bob"]


def test_those_who_want_an_item_most_are_the_recommender_s(client, folder):
    answer = client.post("/v1/who-wants", json={"item": "pan", "k": 2}).json()
    expected = flatrec.load_recommender(folder).who_wants("pan", 2)
    assert answer["users"] == [vars(user) for user in expected]
    assert answer["path"] == "known"


def test_a_new_item_by_its_features_is_wanted_as_if_it_had_joined(client, folder):
    features = [0.2, 0.9, 0.4]
    answer = client.post("/v1/who-wants", json={"new_item": {"features": {"text": features}}}).json()
    rows = IndexedFeatures(["bowl"], np.array([features], dtype=np.float32), "bowl")
    joined = flatrec.load_recommender(folder).with_items(EncodedItems(("bowl",), {"text": rows}))
    assert answer["users"] == [vars(user) for user in joined.who_wants("bowl")]
    assert answer["path"] == "cold-item"


def test_scores_are_the_recommender_s(client, folder):
    answer = client.post("/v1/score", json={"users": ["bob", "ann"], "items": ["pan", "cup"]}).json()
    expected = flatrec.load_recommender(folder).score(["bob", "ann"], ["pan", "cup"])
    assert answer["scores"] == expected.tolist()


def test_the_model_says_what_it_is(client, folder):
    answer = client.get("/v1/model").json()
    assert (answer["model"], answer["users"], answer["items"]) == (content_hash(folder), 3, 4)
    assert answer["columns"]["price"] == "Float64"


def test_images_are_those_of_the_list_only(client):
    image = client.get("/v1/images/cup")
    assert (image.status_code, image.headers["content-type"]) == (200, "image/png")
    assert client.get("/v1/recommend/bob?k=4&include_seen=true").json()["items"][3]["image"] == "/v1/images/cup"
    for item in ("jug", "mug", "pan", "nothing", "../cup.png", "%2e%2e%2fcup.png"):
        assert client.get(f"/v1/images/{item}").status_code == 404
