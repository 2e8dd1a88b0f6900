"""flatrec encode: from raw items to a data set that trains."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image

from flatrec.content import ItemSource, encode_table
from flatrec.content.encoders.recipe import read_recipe
from flatrec.data.encoded_items import read_encoded
from flatrec.data.items import read_items
from flatrec.utils.integrity import MANIFEST, check_manifest, update_manifest, write_manifest
from tests.cli.conftest import SMALL
from tests.cli.test_errors import one_line
from tests.content.encoders.conftest import Colors, Lengths

ITEMS = 18


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """A folder with clicks, an items table and images, and encoders that are quick."""
    monkeypatch.setenv("FLATREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("flatrec.content.encoders.text_encoder", lambda _name, device: Lengths(f"lengths {device}"))
    monkeypatch.setattr("flatrec.content.encoders.image_encoder", lambda _name, device: Colors())  # noqa: ARG005
    folder = tmp_path / "raw"
    (folder / "images").mkdir(parents=True)
    rows = [f"s{n},{'word ' * (n % 5 + 1)}{n},images/s{n}.png" for n in range(ITEMS)]
    (folder / "items.csv").write_text("sku,text,image\n" + "\n".join([*rows, "s99,,"]) + "\n")
    for n in range(1, ITEMS):
        Image.new("RGB", (8, 8), (n, 2 * n, 3 * n)).save(folder / "images" / f"s{n}.png")
    clicks = [f"u{u},s{(u * 3 + k) % ITEMS}" for u in range(24) for k in range(8)]
    (folder / "clicks.csv").write_text("user,sku\n" + "\n".join(clicks) + "\n")
    (folder / "dataset.toml").write_text(
        'interactions = "clicks.csv"\nuser_column = "user"\nitem_column = "sku"\n'
        '[items]\nfile = "items.csv"\nid_column = "sku"\n'
        '[features.text]\nfile = "features/text_feat.npy"\n'
        '[features.image]\nfile = "features/image_feat.npy"\n'
    )
    return folder


def test_raw_items_become_features_and_a_trained_model(flatrec, raw, tmp_path):
    words = ("encode", raw / "items.csv", "--text-column", "text", "--image-dir", raw / "images")
    outcome = flatrec(*words, "--out", raw / "features")
    assert outcome.code == 0, outcome.err
    assert "19 rows of 2 numbers, 18 computed now, 1 items without" in outcome.out
    assert "no image: 2 items" in outcome.out
    encoded = read_encoded(raw / "features")
    assert encoded.ids == (*(f"s{n}" for n in range(ITEMS)), "s99")
    assert list(encoded.features["text"].ids) == [f"s{n}" for n in range(ITEMS)]
    assert list(encoded.features["image"].ids) == [f"s{n}" for n in range(1, ITEMS)]
    info = json.loads(flatrec("data", "info", raw / "dataset.toml", "--json").out)
    assert {name: one["missing"] for name, one in info["features"].items()} == {"text": 0, "image": 1}
    trained = flatrec("train", "--data", raw / "dataset.toml", "--model", "vbpr", *SMALL, "--out", tmp_path / "run")
    assert trained.code == 0, trained.err


def test_a_second_time_computes_nothing(flatrec, raw):
    words = ("encode", raw / "items.csv", "--text-column", "text", "--image-column", "image", "--json")
    first = json.loads(flatrec(*words, "--out", raw / "features").out)
    values = np.load(raw / "features" / "image_feat.npy")
    second = json.loads(flatrec(*words, "--out", raw / "features").out)
    assert [one["computed"] for one in first["features"]] == [18, 17]
    assert [one["computed"] for one in second["features"]] == [0, 0]
    assert [one["warnings"] for one in first["features"]] == [one["warnings"] for one in second["features"]]
    assert (np.load(raw / "features" / "image_feat.npy") == values).all()


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        ((), ("nothing to encode", "--text-column")),
        (("--text-column", "txt"), ("no column 'txt'", "'text'")),
        (("--id-column", "asin", "--text-column", "text"), ("no column 'asin'",)),
        (("--image-dir", "NOWHERE"), ("NOWHERE is not a folder",)),
        (("--image-dir", "."), ("no image of any of the 19 items", "s0.jpg")),
        (("--image-dir", ".", "--image-column", "image"), ("not both",)),
        (("--text-column", "text", "--workers", "0"), ("workers",)),
        (("--text-column", "text", "--device", "tpu"), ("device", "'tpu'")),
    ],
)
def test_bad_usage_is_one_line(flatrec, raw, monkeypatch, more, parts):
    monkeypatch.chdir(raw)
    one_line(flatrec("encode", "items.csv", "--out", "features", *more), 2, *parts)
    assert not (raw / "features").exists()


def test_a_missing_extra_is_one_line(flatrec, raw, monkeypatch):
    monkeypatch.undo()
    for module in ("sentence_transformers", "transformers"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    outcome = flatrec("encode", raw / "items.csv", "--text-column", "text", "--out", raw / "features")
    assert "pip install 'flatrec[encode]'" in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_rows_are_never_taken_for_those_of_other_items(flatrec, raw):
    both = ("--text-column", "text", "--image-column", "image", "--out", raw / "features")
    assert flatrec("encode", raw / "items.csv", *both).code == 0
    table = read_items(raw / "items.csv").frame
    table.reverse().write_csv(raw / "reversed.csv")
    before = read_encoded(raw / "features")
    one_line(
        flatrec("encode", raw / "reversed.csv", "--text-column", "text", "--out", raw / "features"),
        2, "image features of other items", "encode image again too",
    )  # fmt: skip
    assert read_encoded(raw / "features").ids == before.ids
    assert flatrec("encode", raw / "items.csv", "--text-column", "text", "--out", raw / "features").code == 0
    assert flatrec("encode", raw / "reversed.csv", *both).code == 0
    after = read_encoded(raw / "features")
    assert after.ids == before.ids[::-1]
    assert (after.features["image"].values[::-1] == before.features["image"].values).all()


@pytest.fixture
def run(flatrec, raw, tmp_path):
    """A run on items that were encoded, images by item id."""
    words = ("--id-column", "sku", "--text-column", "text", "--image-dir", raw / "images")
    assert flatrec("encode", raw / "items.csv", *words, "--out", raw / "features").code == 0
    outcome = flatrec("train", "--data", raw / "dataset.toml", "--model", "vbpr", *SMALL, "--out", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    rows = [f"n{n},{'word ' * (n + 1)}{n}" for n in range(5)]
    (raw / "new.csv").write_text("sku,text\n" + "\n".join(rows) + "\n")
    (raw / "arcompetitors").mkdir()
    for n in range(4):
        Image.new("RGB", (8, 8), (50 * n, 9, 9)).save(raw / "arcompetitors" / f"n{n}.png")
    return tmp_path / "run"


def test_a_table_of_new_items_is_encoded_like_those_of_the_run(flatrec, raw, run):
    words = ("--id-column", "sku", "--text-column", "text", "--image-dir", raw / "arcompetitors", "--out", raw / "new")
    assert flatrec("encode", raw / "new.csv", *words).code == 0
    recommend = ("recommend", run, "--user", "u3", "--json", "--new-items")
    from_folder = flatrec(*recommend, raw / "new")
    from_table = flatrec(*recommend, raw / "new.csv", "--image-dir", raw / "arcompetitors")
    assert from_table.code == 0, from_table.err
    assert json.loads(from_table.out) == json.loads(from_folder.out)
    assert len(json.loads(from_table.out)["recommendations"][0]["items"]) == 5


def test_what_a_table_of_new_items_lacks_is_one_line(flatrec, raw, run):
    recommend = ("recommend", run, "--user", "u3", "--new-items")
    one_line(flatrec(*recommend, raw / "new.csv"), 2, "named by item id", "--image-dir")
    (raw / "bare.csv").write_text("sku,title\nn1,x\n")
    one_line(flatrec(*recommend, raw / "bare.csv", "--image-dir", raw / "arcompetitors"), 2, "no column 'text'")
    one_line(flatrec(*recommend, raw / "features", "--image-dir", raw / "arcompetitors"), 2, "leave it out")
    one_line(flatrec("recommend", run, "--user", "u3", "--image-dir", raw), 2, "give --new-items too")
    (raw / "features" / "encode.json").unlink()
    one_line(flatrec(*recommend, raw / "new.csv"), 2, "no encode.json beside the run's data", "flatrec encode")


def test_encoding_one_modality_keeps_what_is_known_of_the_other(flatrec, raw):
    words = ("encode", raw / "items.csv", "--out", raw / "features")
    assert flatrec(*words, "--text-column", "text", "--image-column", "image").code == 0
    assert flatrec(*words, "--text-column", "sku", "--text-column", "text").code == 0
    recipe = read_recipe(raw / "features")
    assert (recipe.text_columns, recipe.image_column, recipe.images_by_id) == (("sku", "text"), "image", False)
    assert flatrec(*words, "--image-dir", raw / "images").code == 0
    recipe = read_recipe(raw / "features")
    assert (recipe.text_columns, recipe.image_column, recipe.images_by_id) == (("sku", "text"), None, True)


class Death(BaseException):
    """What nothing outlives."""


class Killer:
    """Lets so many changes of the disk pass, and none after that, not even those that clean up."""

    def __init__(self, monkeypatch):
        self.left = float("inf")
        self.passed = 0
        for name in ("replace", "rename", "unlink", "mkdir", "rmdir", "fsync"):
            monkeypatch.setattr(os, name, self.deadly(getattr(os, name)))

    def deadly(self, function):
        def call(*arguments, **more):
            if self.left <= 0:
                raise Death
            self.left -= 1
            self.passed += 1
            return function(*arguments, **more)

        return call


def contents(folder):
    encoded = read_encoded(folder)
    return encoded.ids, {name: (list(one.ids), one.values.tolist()) for name, one in encoded.features.items()}


UNFINISHED, NO_IDS = "is not finished", "it has no encoded_items.csv"


def contents_or_reason(folder):
    try:
        return contents(folder)
    except (ValueError, FileNotFoundError) as error:
        said = str(error)
    return next((reason for reason in (UNFINISHED, NO_IDS) if reason in said), said)


@pytest.mark.parametrize("shuffled", [False, True])
def test_killed_at_any_write_nothing_is_mixed_and_nothing_looks_damaged(raw, tmp_path, shuffled):
    folder, frame = tmp_path / "features", read_items(raw / "items.csv").frame
    rows = frame.with_columns(text=frame["text"].str.head(4))
    rows[2, "text"] = None  # another mask
    (rows.reverse() if shuffled else rows).write_csv(raw / "other.csv")

    def encode(path):
        encode_table(ItemSource(path=path, text_columns=("text",), image_column="image"), folder)

    table, other = raw / "items.csv", raw / "other.csv"
    encode(other)
    new = contents(folder)
    encode(table)
    old = contents(folder)
    assert new != old
    with pytest.MonkeyPatch.context() as patch:
        killer = Killer(patch)
        encode(other)
        steps = killer.passed
        encode(table)
        assert steps > 30
        seen = set()
        for step in range(steps):
            killer.left = step
            with pytest.raises(Death):
                encode(other)
            killer.left = float("inf")
            check_manifest(folder, advice="")
            state = contents_or_reason(folder)
            assert state in (old, new, UNFINISHED, NO_IDS)
            seen.add(state == old)
            if step % 3 == 0:
                encode(other)
                check_manifest(folder, advice="")
                assert contents(folder) == new
                assert not list(folder.glob(".*"))
            encode(table)
            assert contents(folder) == old
        assert seen == {False, True}


def test_a_damaged_file_of_encoded_items_is_found_before_it_is_used(flatrec, raw):
    words = ("encode", raw / "items.csv", "--text-column", "text", "--image-column", "image")
    assert flatrec(*words, "--out", raw / "features").code == 0
    names = ("text_feat.npy", "image_mask.npy", "encoded_items.csv")
    for path in (raw / "features" / name for name in names):
        content = path.read_bytes()
        path.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
        with pytest.raises(ValueError, match=rf"{path.name} is damaged or was changed .*; encode the items again"):
            read_encoded(raw / "features")
        path.write_bytes(content)
    (raw / "features" / "encode.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"encode\.json is damaged .*; delete it and encode texts and images again"):
        read_recipe(raw / "features")
    one_line(flatrec("encode", raw / "items.csv", "--text-column", "text", "--out", raw / "features"), 2, "encode.json")
    assert flatrec(*words, "--out", raw / "features").code == 0
    check_manifest(raw / "features", advice="")


def test_the_manifest_of_a_data_set_goes_on_listing_its_other_files(flatrec, raw):
    write_manifest(raw, ["clicks.csv", "items.csv"])
    before = json.loads((raw / MANIFEST).read_text())["files"]
    assert flatrec("encode", raw / "items.csv", "--text-column", "text", "--out", raw).code == 0
    after = json.loads((raw / MANIFEST).read_text())["files"]
    assert after.items() > before.items()
    assert set(after) - set(before) == {
        "text_feat.npy", "text_mask.npy", "encoded_items.csv", "encoding.csv", "encoding.json", "encode.json",
    }  # fmt: skip
    check_manifest(raw, advice="")
    (raw / "clicks.csv").write_text("damaged")
    update_manifest(raw, ["items.csv"], advice="")
    with pytest.raises(ValueError, match=r"clicks\.csv is damaged"):
        check_manifest(raw, advice="")


@pytest.mark.parametrize("text", ["0/2", "3/2", "1/0", "a/b", "1", "1/2/3", "-1/2", "1/1000000"])
def test_what_is_no_shard_is_one_line(flatrec, raw, text):
    words = ("encode", raw / "items.csv", "--text-column", "text", "--out", raw / "parts")
    one_line(flatrec(*words, "--shard", text), 2, "a shard must be")


def test_the_command_says_what_became_of_a_shard(flatrec, raw):
    words = ("encode", raw / "items.csv", "--id-column", "sku", "--text-column", "text", "--image-dir", raw / "images")
    words = (*words, "--out", raw / "parts", "--shard", "1/1")
    assert "computed now" in flatrec(*words).out
    assert "was finished before" in flatrec(*words).out
    assert '"was_finished": true' in flatrec(*words, "--json").out
    assert flatrec(*words[:-2]).code == 0
    assert len(read_encoded(raw / "parts").ids) == ITEMS + 1
