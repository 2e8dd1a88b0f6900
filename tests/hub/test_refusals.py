"""What a push or a pull refuses: in one line, with nothing sent, and with nothing left behind."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

import flatrec
from flatrec.hub import PullOptions, PushOptions, pull, push
from flatrec.utils.integrity import MANIFEST, seal, update_manifest
from tests.hub.conftest import NAME
from tests.hub.stand_in import READER, TOKEN, Trouble

pytestmark = pytest.mark.repeats  # the round trips compare annotations with values


def nothing_left(folder):
    return list(folder.iterdir()) == []


def test_a_push_without_a_token_asks_nobody_and_builds_nothing(hub, run, command, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("flatrec.hub.pushing.staged", None)
    outcome = command("push", run, NAME)

    assert outcome.code == 2
    assert outcome.err.startswith("flatrec: a push needs a token of the Hub in the environment variable HF_TOKEN")
    assert outcome.err.count("\n") == 1
    assert hub.asked == []


def test_what_is_no_token_is_not_shown(hub, run, command, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", f"{TOKEN}\n{TOKEN}")
    outcome = command("push", run, NAME)

    assert (outcome.code, hub.asked) == (2, [])
    assert "HF_TOKEN holds something that is no token" in outcome.err
    assert TOKEN not in outcome.err


@pytest.mark.parametrize("address", ["huggingface.co", "ftp://a", "https://me:secret@a.b"])
def test_an_address_that_is_none_is_not_asked(run, command, monkeypatch, address):
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    outcome = command("push", run, NAME)

    assert outcome.code == 2
    assert "HF_ENDPOINT must be an address" in outcome.err
    assert "secret" not in outcome.err


def test_a_token_that_was_stored_elsewhere_is_not_used(hub, run, monkeypatch, tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    push(run, NAME)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(ValueError, match="there is no recommender me/small-shop"):
        pull(NAME, tmp_path / "pulled")
    assert not any("authorization" in {name.lower() for name in headers} for *_, headers in hub.asked[-1:])


def test_data_are_published_with_their_users_only_if_that_is_said(hub, shop, command):
    outcome = command("push", shop, "me/data", "--public")

    assert outcome.code == 2
    assert "publishing them needs --include-users" in outcome.err
    assert ("dataset", "me/data") not in hub.repositories


def test_a_public_repository_is_not_pushed_to_by_accident(hub, run):
    before = hub.put(NAME, {".gitattributes": b""}).commits[-1]
    with pytest.raises(ValueError, match="is public on 127.0.0.1:.* and --public was not given: nothing was sent"):
        push(run, NAME)
    assert hub.repository(NAME).commits == [before]
    assert hub.uploaded == []
    push(run, NAME, PushOptions(public=True))


def test_a_private_repository_is_not_made_public(run, pushed):
    with pytest.raises(ValueError, match="a push does not change that, as its earlier commits would be public too"):
        push(run, NAME, PushOptions(public=True))
    assert pushed.private
    assert len(pushed.commits) == 1


def test_a_hub_that_makes_a_public_repository_unasked_gets_no_file(hub, run):
    hub.makes_private = False
    with pytest.raises(OSError, match="made me/small-shop public, which was not asked for; nothing was sent"):
        push(run, NAME)
    assert set(hub.repository(NAME).files) == {".gitattributes"}


def test_a_repository_of_something_else_is_left_alone(hub, run):
    hub.put(NAME, {"config.json": b"{}", "README.md": b"mine"}, private=True)
    with pytest.raises(ValueError, match=r"holds other files than those of a push \(config.json\)"):
        push(run, NAME)
    assert hub.repository(NAME).files["README.md"] == b"mine"


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (Trouble("POST", "/commit/", 500), "answered with status 500 (trouble); try again later"),
        (Trouble("POST", "/commit/", 412), "was changed by somebody else meanwhile, and nothing was written"),
        (Trouble("PUT", "/lfs/", 500, times=99), "answered with status 500"),
        (Trouble("POST", "/preupload/", 403), "is not allowed this for me/small-shop"),
        (Trouble("POST", "/info/lfs/", 429, times=99), "answered with status 429"),
        (Trouble("POST", "/validate-yaml", 502), "answered with status 502"),
        (Trouble("POST", "/commit/", 500, say=f"the token {TOKEN} is fine"), "the token … is fine"),
        (Trouble("POST", "/commit/", 500, say="\x1b[31mred"), "with status 500 ([31mred)"),
    ],
)
def test_a_push_that_fails_leaves_the_repository_as_it_was(hub, run, command, pushed, trouble, said):
    before = dict(pushed.files)
    hub.troubles = [trouble]
    outcome = command("push", run, NAME, "--include-users")

    assert outcome.code == 1, outcome.err
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
    assert TOKEN not in outcome.err
    assert (pushed.files, len(pushed.commits)) == (before, 1)


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("hf_another", "does not accept the token in HF_TOKEN; make another one there"),
        (READER, "the token in HF_TOKEN is not allowed this for me/small-shop"),
    ],
)
def test_a_token_that_may_not_is_named_by_its_variable(run, command, hub, monkeypatch, token, said):
    monkeypatch.setenv("HF_TOKEN", token)
    outcome = command("push", run, NAME)

    assert outcome.code == 1
    assert said in outcome.err
    assert token not in outcome.err
    assert hub.repositories == {}


@pytest.mark.parametrize("name", ["small-shop", "a/b/c", "../up/x", "me/..", "me/x.git", "me/a--b", "https://x/y", ""])
def test_names_that_are_none_are_refused(run, name, tmp_path):
    with pytest.raises(ValueError, match="a repository of the Hub is named user/name"):
        push(run, name, PushOptions(dry_run=True))
    with pytest.raises(ValueError, match="a repository of the Hub is named user/name"):
        pull(name, tmp_path / "pulled")


def test_a_license_is_an_identifier_that_the_hub_knows(hub, run):
    with pytest.raises(ValueError, match="--license must be an identifier of the Hub"):
        push(run, NAME, PushOptions(license="do what\nyou want"))
    with pytest.raises(ValueError, match="refuses the card: .*license must be one of a list"):
        push(run, NAME, PushOptions(license="nonsense"))
    assert set(hub.repository(NAME).files) == {".gitattributes"}
    assert "No license was stated" in push(run, NAME, PushOptions(dry_run=True)).card


@pytest.mark.usefixtures("hub")
def test_scores_by_similar_users_are_nothing_without_users(shop, tmp_path):
    flatrec.fit(flatrec.load_data(shop), "user-knn", out=tmp_path / "run")
    with pytest.raises(ValueError, match="user-knn scores by the histories of its users"):
        push(tmp_path / "run", NAME)
    assert push(tmp_path / "run", NAME, PushOptions(include_users=True)).users == 60


def test_a_run_without_a_recommender_is_not_taken_for_data(run, tmp_path):
    (tmp_path / "run").mkdir()
    for name in ("experiment.toml", "data.json"):
        (tmp_path / "run" / name).write_bytes((run / name).read_bytes())
    with pytest.raises(FileNotFoundError, match="holds no recommender"):
        push(tmp_path / "run", NAME, PushOptions(include_users=True, dry_run=True))


@pytest.mark.parametrize(
    ("source", "said"),
    [("nowhere", "does not exist"), ("empty", "is in no known format"), ("file.txt", "no known format")],
)
def test_what_is_neither_a_run_nor_data_is_named(tmp_path, command, source, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("x")
    outcome = command("push", tmp_path / source, NAME, "--dry-run")

    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert said in outcome.err


def changed(content):
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("name", ["recommender.safetensors", "items.parquet", "recommender.json", MANIFEST])
def test_a_tampered_file_is_refused(pushed, command, tmp_path, name):
    pushed.files[name] = changed(pushed.files[name])
    outcome = command("pull", NAME, "--out", tmp_path / "pulled")

    assert outcome.code == 2
    message = outcome.err.splitlines()[-1]
    assert message.startswith(f"flatrec: me/small-shop is refused, and nothing was kept: {name} is damaged")
    assert nothing_left(tmp_path)


def test_a_file_that_is_not_what_the_hub_lists_is_refused(hub, pushed, tmp_path):
    card = pushed.files["README.md"]
    hub.listed = {"README.md": changed(card)}
    with pytest.raises(ValueError, match="README.md of me/small-shop is not what the Hub says that it is"):
        pull(NAME, tmp_path / "pulled")
    assert nothing_left(tmp_path)


@pytest.mark.parametrize("name", ["../evil.json", "a/../../evil", "/etc/evil", "a\\..\\evil", "C:evil", "x\ny"])
def test_names_that_lead_out_of_the_folder_are_refused(pushed, tmp_path, name):
    pushed.files[name] = b"evil"
    with pytest.raises(ValueError, match="has files whose names lead out of its folder"):
        pull(NAME, tmp_path / "pulled")
    assert nothing_left(tmp_path)


def test_files_that_could_run_code_are_not_even_downloaded(hub, pushed, command, tmp_path):
    pushed.files.update(
        {"model.pkl": b"cos\nsystem\n", "mine.py": b"raise SystemExit", "sub/x.pt": b"", "index.faiss": b""}
    )
    outcome = command("pull", NAME, "--out", tmp_path / "pulled")

    assert outcome.code == 0, outcome.err
    assert "not downloaded, as flatrec writes no such files: index.faiss, mine.py, model.pkl, sub/x.pt" in outcome.out
    assert not any(name in path for _, path, _ in hub.asked for name in ("model.pkl", "mine.py", "x.pt", "index.faiss"))
    assert len(list((tmp_path / "pulled").rglob("*"))) == 7


def resealed(pushed, tmp_path, **files):
    """Put files into a repository with a manifest that fits them, as somebody does who forges both."""
    folder = tmp_path / "forged"
    folder.mkdir()
    for name, content in {**pushed.files, **files}.items():
        (folder / name).write_bytes(content)
    update_manifest(folder, files, advice="")
    pushed.files.update({path.name: path.read_bytes() for path in folder.iterdir()})


def test_a_manifest_with_an_index_is_refused(pushed, tmp_path):
    resealed(pushed, tmp_path, **{"index.faiss": b"IxFI"})
    with pytest.raises(ValueError, match=f"{MANIFEST} lists \\['index.faiss'\\], which a pull does not download"):
        pull(NAME, tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()


def with_facts(pushed, tmp_path, **changes):
    """Put other facts into the recommender of a repository, with digests that fit."""
    facts = json.loads(pushed.files["recommender.json"])
    del facts["digest"]
    resealed(pushed, tmp_path, **{"recommender.json": seal({**facts, **changes}).encode()})


def test_facts_with_an_index_are_refused(pushed, tmp_path):
    with_facts(pushed, tmp_path, index=None)  # with which the folder could not be loaded later
    with pytest.raises(ValueError, match="recommender.json names an approximate index, which a pull does not downl"):
        pull(NAME, tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", ["bpr"]),
        ("test", "high"),
        ("test", {"recall@20": "high"}),
        ("new_item_scale", "1"),
        ("forgotten", [0.5]),
    ],
)
def test_facts_of_other_types_are_refused(pushed, tmp_path, name, value):
    with_facts(pushed, tmp_path, facts={"model": "bpr", name: value})
    with pytest.raises(ValueError, match=f"me/small-shop is refused, .* is damaged \\({name}.*: Input should be"):
        pull(NAME, tmp_path / "pulled")


@pytest.mark.parametrize("name", ["users", "items"])
def test_vectors_that_are_no_matrix_are_refused(pushed, tmp_path, name):
    tensors = {**load_tensors(pushed.files["recommender.safetensors"]), name: np.array(1, dtype=np.float32)}
    resealed(pushed, tmp_path, **{"recommender.safetensors": save_tensors(tensors)})
    with pytest.raises(ValueError, match="me/small-shop is refused, and nothing was kept: me/small-shop is damaged"):
        pull(NAME, tmp_path / "pulled")


def test_files_of_this_machine_cannot_be_named_as_images(pushed, tmp_path):
    pl.read_parquet(pushed.files["items.parquet"]).with_columns(image=pl.lit("/etc/passwd")).write_parquet(
        tmp_path / "items.parquet"
    )
    resealed(pushed, tmp_path, **{"items.parquet": (tmp_path / "items.parquet").read_bytes()})
    with pytest.raises(ValueError, match="items.parquet names image files, which could be any of this machine"):
        pull(NAME, tmp_path / "pulled")


def test_a_small_table_of_very_many_rows_is_refused(pushed, tmp_path):
    pl.DataFrame({"item": pl.repeat(0, 2_000_000, dtype=pl.Int8, eager=True)}).write_parquet(tmp_path / "items.parquet")
    resealed(pushed, tmp_path, **{"items.parquet": (tmp_path / "items.parquet").read_bytes()})
    with pytest.raises(ValueError, match="items.parquet claims 2000000 rows in"):
        pull(NAME, tmp_path / "pulled")


def test_a_forged_folder_is_read_before_it_is_in_place(pushed, tmp_path):
    resealed(pushed, tmp_path, **{"recommender.safetensors": b"\x80\x04pickle"})
    with pytest.raises(ValueError, match="me/small-shop is refused, and nothing was kept: me/small-shop is damaged"):
        pull(NAME, tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()


def test_a_file_that_the_manifest_lacks_is_refused(pushed, tmp_path):
    content = json.loads(pushed.files["flatrec-manifest.json"])
    pushed.files["features.safetensors"] = b"x"
    assert "features.safetensors" in content["files"]
    del pushed.files["users.parquet"]
    with pytest.raises(ValueError, match=f"{MANIFEST} lists \\['users.parquet'\\], which a pull does not download"):
        pull(NAME, tmp_path / "pulled")


def test_a_repository_of_something_else_is_not_pulled(hub, tmp_path):
    hub.put(NAME, {"pytorch_model.bin": b"x", "config.json": b"{}"})
    with pytest.raises(
        ValueError, match=f"holds no recommender of flatrec \\(no {MANIFEST}\\); nothing was downloaded"
    ):
        pull(NAME, tmp_path / "pulled")
    with pytest.raises(ValueError, match="there is no data set me/small-shop .* or leave --data out"):
        pull(NAME, tmp_path / "pulled", PullOptions(data=True))


@pytest.mark.usefixtures("pushed")
def test_a_revision_that_is_not_there_is_named(command, tmp_path):
    outcome = command("pull", NAME, "--revision", "v9", "--out", tmp_path / "pulled")

    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "me/small-shop has no such revision" in outcome.err


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (Trouble("GET", "/cdn/", 0, times=99), "cannot reach 127.0.0.1"),
        (Trouble("GET", "/cdn/", 403, times=99), "is not allowed this for me/small-shop"),
        (Trouble("GET", "/cdn/", 500, times=99), "answered with status 500"),
        (Trouble("HEAD", "/resolve/", 500, times=99), "answered with status 500"),
        (Trouble("GET", "/tree/", 401, times=99), "does not accept the token"),
    ],
)
@pytest.mark.usefixtures("pushed")
def test_a_pull_that_fails_leaves_nothing(hub, command, tmp_path, trouble, said, monkeypatch):
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    hub.troubles = [trouble]
    outcome = command("pull", NAME, "--out", tmp_path / "pulled")

    assert outcome.code == 1, outcome.err
    assert said in outcome.err.splitlines()[-1]
    assert len(outcome.err.splitlines()) <= 2
    assert nothing_left(tmp_path)


@pytest.mark.usefixtures("pushed")
def test_a_download_that_breaks_off_once_goes_on(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    hub.troubles = [Trouble("GET", "/cdn/", 0, times=1)]
    assert pull(NAME, tmp_path / "pulled").files


def test_a_hub_that_is_not_there_is_named(run, command, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for words in (("push", run, NAME), ("pull", NAME, "--out", tmp_path / "pulled")):
        outcome = command(*words)
        assert (outcome.code, outcome.err.count("\n")) == (1, 1)
        assert "cannot reach 127.0.0.1:9" in outcome.err


@pytest.mark.usefixtures("pushed")
def test_what_is_there_is_replaced_only_if_that_is_said_and_a_pull_wrote_it(run, command, tmp_path, monkeypatch):
    out = tmp_path / "pulled"
    assert command("pull", NAME, "--out", out).code == 0
    outcome = command("pull", NAME, "--out", out)
    assert outcome.code == 2
    assert "is there already; choose another folder (--out), or replace it (--overwrite)" in outcome.err
    push(run, NAME, PushOptions(include_users=True))
    assert command("pull", NAME, "--out", out, "--overwrite").code == 0
    assert len(flatrec.load_recommender(out).users) == 60

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    outcome = command("pull", NAME, "--out", tmp_path / "mine", "--overwrite")
    assert outcome.code == 2
    assert "holds something else than what a pull writes (thesis.txt)" in outcome.err
    outcome = command("pull", NAME, "--out", run, "--overwrite")
    assert (outcome.code, (run / "checkpoint.safetensors").exists()) == (2, True)
    monkeypatch.chdir(tmp_path / "mine")
    assert "not the one that you are in" in command("pull", NAME, "--out", "..", "--overwrite").err
    os.symlink(out, tmp_path / "link")
    assert "is not a folder" in command("pull", NAME, "--out", tmp_path / "link", "--overwrite").err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "mine", "pulled"]


@pytest.mark.usefixtures("pushed")
def test_a_disk_that_is_too_full_is_found_before_the_download(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("flatrec.hub.pulling.shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(OSError, match="needs .* bytes, but 10 are free on that disk"):
        pull(NAME, tmp_path / "pulled")
    assert not any("/cdn/" in path for _, path, _ in hub.asked)


@pytest.mark.usefixtures("pushed")
def test_what_was_there_comes_back_if_the_new_folder_cannot_be_put_there(tmp_path, monkeypatch):
    out = tmp_path / "pulled"
    pull(NAME, out)
    (out / ".lock").touch()  # tells this folder from another pull

    def refused(source, target):
        if source.name == "new":
            raise PermissionError(f"cannot write {target}")
        source.replace(target)

    monkeypatch.setattr("flatrec.hub.pulling.move", refused)
    with pytest.raises(OSError, match="cannot write"):
        pull(NAME, out, PullOptions(overwrite=True))
    assert (out / ".lock").exists()
    assert flatrec.load_recommender(out).recommend(history=["item-00001"])
    assert [path.name for path in tmp_path.iterdir()] == ["pulled"]
