"""Every byte that is sent is searched for users, for this machine, and for the token."""

from __future__ import annotations

import getpass
import io
import json
import shutil
import socket

import polars as pl
from safetensors.numpy import load as load_tensors

import flatrec
from flatrec.hub import PullOptions, PushOptions, pull, push
from flatrec.utils import user_classes
from flatrec.utils.integrity import seal_text, update_manifest
from tests.hub.conftest import NAME
from tests.hub.stand_in import TOKEN


def contents(repository):
    """All that the files of a repository say, as bytes: also what Parquet compresses."""
    for name, content in repository.files.items():
        yield name, content
        if name.endswith(".parquet"):
            table = pl.read_parquet(io.BytesIO(content))
            yield name, json.dumps(table.to_dict(as_series=False), default=str).encode()


def found(secrets, places):
    return [(secret, name) for name, content in places for secret in secrets if secret.encode() in content]


def of_this_machine(run, shop):
    host = [name for name in (socket.gethostname(),) if len(name) > 5]  # a shorter one is in the numbers by chance
    return [*host, str(run), str(shop), "home-of-somebody", f"/{getpass.getuser()}/", "/tmp/", "file://"]


def test_nothing_of_users_or_of_this_machine_is_sent(hub, run, shop):
    users = list(flatrec.load_data(shop).users)
    push(run, NAME)

    places = [*contents(hub.repository(NAME)), *(("body", body) for body in hub.uploaded)]
    assert found([*users, "user-0", *of_this_machine(run, shop)], places) == []
    tensors = load_tensors(hub.repository(NAME).files["recommender.safetensors"])
    by_users = {
        name: tensor.shape for name, tensor in tensors.items() if name.split(".")[0] in ("users", "history", "seen")
    }
    assert by_users == {
        "users": (0, 8),
        "history.data": (0,),
        "history.indices": (0,),
        "history.indptr": (1,),
        "seen.indices": (0,),
        "seen.indptr": (1,),
    }
    assert set(tensors) == {*by_users, "items", "popularity", "new"}
    facts = json.loads(hub.repository(NAME).files["recommender.json"])
    assert (facts["users"], facts["facts"]["forgotten"], facts["facts"]["left_out_users"]) == (0, [], 60)


def test_with_users_nothing_of_this_machine_is_sent(hub, run, shop):
    push(run, NAME, PushOptions(include_users=True))
    push(shop, "me/data", PushOptions(include_users=True))

    places = [
        *contents(hub.repository(NAME)),
        *contents(hub.repository("me/data", "dataset")),
        *(("body", body) for body in hub.uploaded),
    ]
    assert found(of_this_machine(run, shop), places) == []
    assert found(["user-00003"], places)  # the search finds what is there


def test_no_time_of_a_single_interaction_is_in_the_card(run):
    card = push(run, NAME, PushOptions(dry_run=True)).card
    result = json.loads((run / "result.json").read_text())
    moments = [result["data"]["split"][name][end] for name in ("train", "valid", "test") for end in ("first", "last")]
    assert all(moment not in card and moment[11:] not in card for moment in moments)
    assert moments[0][:10] in card


def test_the_token_is_sent_in_the_header_alone_and_not_to_another_host(hub, run, command, tmp_path, caplog):
    first = command("push", run, NAME)
    second = command("pull", NAME, "--out", tmp_path / "pulled")
    assert (first.code, second.code) == (0, 0), (first.err, second.err)

    said = "".join([first.out, first.err, second.out, second.err, caplog.text])
    assert TOKEN not in said
    assert not any(TOKEN.encode() in body for body in hub.uploaded)
    assert not any(TOKEN in path for _, path, _ in hub.asked)
    assert not any(TOKEN.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    store = [headers for _, _, headers in hub.asked if headers["Host"].startswith("localhost")]
    assert store
    assert not any("Authorization" in headers or "authorization" in headers for headers in store)


def test_no_telemetry_is_sent_and_nothing_else_is_asked(hub, run, tmp_path):
    push(run, NAME)
    pull(NAME, tmp_path / "pulled", PullOptions())

    places = {path.split("?")[0].split("/")[1] for _, path, _ in hub.asked}
    assert places == {"api", "me", "lfs", "cdn"}
    assert not any("telemetry" in path or "agent" in path for _, path, _ in hub.asked)
    assert not any("torch/" in headers.get("user-agent", headers.get("User-Agent", "")) for *_, headers in hub.asked)


def test_item_columns_with_paths_stay_at_home(hub, tmp_path):
    values = {"own": ["/srv/pictures/1.png", None], "address": ["file:///srv/1.png", "x"], "disk": ["x", "D:\\srv\\1"]}
    values |= {"padded": ["x", " /srv/2.png"], "loud": ["FILE:///srv/2.png", "x"], "home": ["~/srv/3.png", "x"]}
    items = pl.DataFrame({"item": ["a", "b"], **values, "price": [1.0, 2.0], "page": ["https://a.b/1", "x/2"]})
    clicks = pl.DataFrame({"user": [f"u{n}" for n in range(8)], "item": ["a", "b"] * 4})
    columns = flatrec.TableSettings(items=flatrec.ItemSource(columns=(*values, "price", "page")))
    dataset = flatrec.Dataset.from_frames(clicks, items, columns=columns)
    flatrec.fit(dataset, "item-knn", out=tmp_path / "run")
    pushed = push(tmp_path / "run", NAME)

    assert pushed.left_out == ("item columns with paths of this machine: own, address, disk, padded, loud, home",)
    assert found(["/srv/", "srv"], contents(hub.repository(NAME))) == []
    pulled = pull(NAME, tmp_path / "pulled")
    assert flatrec.load_recommender(pulled.folder).catalog.columns.columns == ["price", "page"]


def test_a_class_of_the_user_is_named_without_its_folder_and_is_not_needed(hub, tmp_path, command, shop, monkeypatch):
    monkeypatch.setattr(user_classes, "_loaded", [])  # whose file is removed below
    (tmp_path / "secret-folder").mkdir()
    (tmp_path / "secret-folder" / "mine.py").write_text(
        "from flatrec.models.lightgcn import LightGCN\n\n\nclass Mine(LightGCN):\n    pass\n"
    )
    own = f"{tmp_path / 'secret-folder' / 'mine.py'}:Mine"
    sets = ("--set", "training.epochs=1", "--set", "training.loggers=none", "--set", "model.embedding_dim=4")
    outcome = command("train", "--data", shop, "--model", own, *sets, "--out", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    push(tmp_path / "run", NAME)

    assert found(["secret-folder"], contents(hub.repository(NAME))) == []
    assert not any(name.endswith(".py") for name in hub.repository(NAME).files)
    (tmp_path / "secret-folder" / "mine.py").unlink()
    pulled = pull(NAME, tmp_path / "pulled")
    assert flatrec.load_recommender(pulled.folder).recommend(history=["item-00001"])[0].path == "history"


def test_a_card_says_nothing_of_where_a_run_is_logged(run, tmp_path):
    logged = shutil.copytree(run, tmp_path / "run")
    text = (logged / "experiment.toml").read_text(encoding="utf-8").rpartition("# digest: ")[0]
    named = text.replace("loggers = []", 'loggers = ["/srv/tracker.py:OfTheFirm@0123456789abcdef"]')
    assert named != text
    (logged / "experiment.toml").write_text(seal_text(named), encoding="utf-8")
    update_manifest(logged, ["experiment.toml"], advice="")

    card = push(logged, NAME, PushOptions(dry_run=True)).card
    assert ("tracker.py" in card, "epochs = 2" in card) == (False, True)
