"""What is pushed and pulled answers as before, with its users and without."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import flatrec
from flatrec.data.builder import IndexedFeatures
from flatrec.data.encoded_items import EncodedItems
from flatrec.hub import PullOptions, PushOptions, pull, push
from flatrec.inference.forget import without_all_users
from flatrec.inference.storage import load_recommender, save_recommender
from tests.hub.conftest import NAME
from tests.serve.shops import client_of


def lists(recommender, users, **request):
    return [
        [(item.item, item.score, item.title, item.new) for item in one]
        for one in recommender.recommend(users, **request)
    ]


def test_without_users_histories_get_the_same_lists(hub, run, tmp_path):
    pushed = push(run, NAME)
    pulled = pull(NAME, tmp_path / "pulled")

    before, after = load_recommender(run), load_recommender(pulled.folder)
    histories = {
        user: list(map(before.items.__getitem__, before.seen[[row]].indices.tolist()))
        for row, user in enumerate(before.users)
    }
    new = {f"new-{user}": items for user, items in histories.items()}
    assert lists(after, list(new), history=new) == lists(before, list(new), history=new)
    assert {one.path for one in after.recommend(list(new), history=new)} == {"history"}
    for item in before.items:
        assert [(one.item, one.score) for one in after.similar(item)[0]] == [
            (one.item, one.score) for one in before.similar(item)[0]
        ]
    assert hub.repository(NAME).private
    assert (pushed.users, pushed.left_out_users, len(after.users)) == (0, 60, 0)


@pytest.mark.usefixtures("pushed")
def test_a_user_who_was_left_out_gets_popular_items_and_is_told_why(tmp_path):
    after = load_recommender(pull(NAME, tmp_path / "pulled").folder)

    answer = after.recommend("user-00003", k=3)[0]
    assert answer.path == "popular"
    assert (
        answer.note
        == "user 'user-00003' is not known, as this recommender was published without its users: give a history"
    )
    with pytest.raises(KeyError, match="user 'user-00003' is not known: all users were left out"):
        after.score("user-00003", "item-00001")
    with pytest.raises(ValueError, match="the users were left out of this recommender"):
        after.who_wants("item-00001")


def test_with_users_every_user_gets_the_same_list(hub, run, tmp_path):
    pushed = push(run, NAME, PushOptions(include_users=True))
    after, before = load_recommender(pull(NAME, tmp_path / "pulled").folder), load_recommender(run)

    users = list(before.users)
    assert list(after.users) == users
    assert lists(after, users, k=20) == lists(before, users, k=20)
    assert {one.path for one in after.recommend(users)} == {"known"}
    assert hub.repository(NAME).private
    assert (pushed.users, pushed.left_out_users) == (60, 0)


def test_a_public_repository_is_asked_for_and_has_no_users_by_that(hub, run):
    pushed = push(run, NAME, PushOptions(public=True))

    assert not hub.repository(NAME).private
    assert pushed.users == 0


@pytest.mark.usefixtures("pushed")
def test_the_service_answers_from_what_was_pulled(tmp_path):
    with client_of(pull(NAME, tmp_path / "pulled").folder) as client:
        asked = client.post("/v1/recommend", json={"history": ["item-00001"], "k": 3}).json()["lists"][0]
        known = client.get("/v1/recommend/user-00003").json()
        wanted = client.post("/v1/who-wants", json={"item": "item-00001"})

    recommender = load_recommender(tmp_path / "pulled")
    assert (asked["path"], known["path"]) == ("history", "popular")
    assert [one["item"] for one in asked["items"]] == [
        one.item for one in recommender.recommend(history=["item-00001"], k=3)[0]
    ]
    assert (wanted.status_code, "the users were left out" in wanted.text) == (422, True)


@pytest.mark.usefixtures("hub")
def test_a_commit_can_be_pulled_after_later_ones(run, tmp_path):
    first = push(run, NAME, PushOptions(message="Without users"))
    then = push(run, NAME, PushOptions(include_users=True))
    last = push(run, NAME)
    assert (first.held_users, then.held_users, last.held_users) == (False, False, True)

    pulled = pull(NAME, tmp_path / "pulled", PullOptions(revision=first.commit))
    assert pulled.commit == first.commit
    assert len(load_recommender(pulled.folder).users) == 0


def test_new_items_join_at_the_scale_that_was_found_with_the_users(run):
    before = load_recommender(run)
    new = EncodedItems(
        ("new-1", "new-2"),
        {
            name: IndexedFeatures(("new-1", "new-2"), known.values[:2] + 0.01, name)
            for name, known in before.catalog.features.items()
        },
    )
    history = list(before.items)[:3]
    expected, found = (
        lists(one.with_items(new), None, history=history, k=40) for one in (before, without_all_users(before))
    )
    assert found == expected
    assert {item for item, *_ in found[0]} > {"new-1", "new-2"}


def test_data_come_back_with_the_same_fingerprint(hub, shop, tmp_path):
    pushed = push(shop, "me/shop-data", PushOptions(include_users=True, license="cc-by-4.0"))
    pulled = pull("me/shop-data", tmp_path / "data", PullOptions(data=True))

    before, after = flatrec.load_data(shop), flatrec.load_data(pulled.folder)
    assert after.fingerprint == before.fingerprint
    assert after.item_columns.equals(before.item_columns)
    assert (after.titles, after.images) == (before.titles, None)
    assert hub.repository("me/shop-data", "dataset").private
    assert "license: cc-by-4.0" in pushed.card


def test_a_dataset_toml_is_data(hub, tmp_path):
    (tmp_path / "clicks.csv").write_text(
        "customer,sku,mail\n" + "".join(f"c{n % 9},s{n % 5},m{n}@x\n" for n in range(60))
    )
    (tmp_path / "dataset.toml").write_text(
        'name = "clicks"\ninteractions = "clicks.csv"\nuser_column = "customer"\nitem_column = "sku"\n'
    )
    push(tmp_path / "dataset.toml", "me/clicks", PushOptions(include_users=True))
    pulled = pull("me/clicks", tmp_path / "pulled", PullOptions(data=True))

    assert flatrec.load_data(pulled.folder).fingerprint == flatrec.load_data(tmp_path / "dataset.toml").fingerprint
    assert not any(b"@x" in content for content in hub.repository("me/clicks", "dataset").files.values())


@pytest.mark.usefixtures("hub")
def test_the_commands_answer_from_what_was_pulled(run, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = command("push", run, NAME, "--license", "mit")
    assert outcome.code == 0, outcome.err
    assert "(private), commit" in outcome.out
    assert "60 users left out" in outcome.out

    outcome = command("pull", NAME)
    assert outcome.code == 0, outcome.err
    assert "downloading 7 files" in outcome.err
    outcome = command("recommend", "small-shop", "--history", "item-00001,item-00002", "-k", "3", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["recommendations"][0]["path"] == "history"
    assert command("similar", "small-shop", "--item", "item-00001").code == 0
    outcome = command("recommend", "small-shop", "--user", "user-00003")
    assert "published without its users" in outcome.out
    outcome = command("export", "small-shop", "--out", "recs.parquet")
    assert outcome.code == 2
    assert "the users were left out of this recommender" in outcome.err
    assert command("export", "small-shop", "--what", "similar", "--out", "similar.parquet").code == 0
    outcome = command("recommender", "info", "small-shop", "--json")
    assert json.loads(outcome.out)["left_out_users"] == 60


def test_another_push_sends_what_changed_in_one_commit(hub, run, tmp_path):
    first = push(run, NAME)
    assert set(first.added) == set(first.files)
    again = push(run, NAME)
    assert (again.commit, again.added, again.changed, again.removed) == ("", (), (), ())

    no_features = load_recommender(run)
    save_recommender(replace(no_features, catalog=replace(no_features.catalog, features={})), tmp_path / "other")
    last = push(tmp_path / "other", NAME)
    assert last.removed == ("features.safetensors",)
    assert set(last.changed) == {"README.md", "flatrec-manifest.json", "recommender.json"}
    assert [one.message for one in hub.repository(NAME).commits] == ["initial commit", *["Publish by flatrec"] * 2]
    assert "features.safetensors" not in hub.repository(NAME).files
    assert load_recommender(pull(NAME, tmp_path / "pulled").folder).catalog.features == {}


def test_the_example_of_the_page_runs(capsys):
    page = (Path(__file__).parents[2] / "docs" / "hub.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(example, "hub.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out.endswith(" 30\n")


def test_a_dry_run_shows_files_and_card_and_asks_nobody(hub, run, command, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    outcome = command("push", run, NAME, "--dry-run", "--license", "mit")

    assert outcome.code == 0, outcome.err
    assert "recommender.safetensors" in outcome.out
    assert "license: mit" in outcome.out
    assert hub.asked == []
