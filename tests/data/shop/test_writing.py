import os
import stat

import polars as pl
import pytest
from PIL import Image

from flatrec.content.encode import DETAILS, SUMMARY
from flatrec.data.formats import mmrec
from flatrec.data.shop import ShopSettings, generate, write
from flatrec.data.shop.catalog import ATTRIBUTES
from flatrec.data.shop.writing import ENCODED
from flatrec.utils.integrity import MANIFEST

OFFERS = ("category", "price", "launched", "in_stock")


@pytest.fixture(scope="module")
def shop():
    return generate(ShopSettings(users=40, items=30, seed=2, name="corner"))


@pytest.fixture(scope="module")
def plain():
    return generate(ShopSettings(users=30, items=25, images=False, name="corner"))


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_what_is_written_reads_back_with_the_same_fingerprint(shop, tmp_path):
    write(shop, tmp_path / "made" / "on the way")
    data = mmrec.read(tmp_path / "made" / "on the way")
    assert data.fingerprint == shop.dataset.fingerprint
    assert (data.name, data.titles) == ("corner", shop.dataset.titles)
    assert data.images is not None
    with Image.open(data.images[29]) as image:
        assert image.convert("RGB").tobytes() == shop.images[29].tobytes()


def test_the_folder_holds_the_full_catalog_and_nothing_else(shop, tmp_path):
    write(shop, tmp_path)
    tables = ["events.parquet", "items.parquet", "users.parquet"]
    assert names(tmp_path) == sorted(["corner.inter", MANIFEST, "image_feat.npy", "images", "text_feat.npy", *tables])
    table = pl.read_parquet(tmp_path / "items.parquet")
    assert table.columns == ["itemID", "id", "title", "description", *ATTRIBUTES, *OFFERS, "image"]
    assert [table.schema[name] for name in OFFERS] == [pl.String, pl.Float64, pl.Date, pl.Boolean]
    assert table.row(7, named=True)["image"] == "images/7.png"
    assert table.drop("itemID", "image").equals(shop.catalog)
    assert pl.read_parquet(tmp_path / "users.parquet").columns == ["userID", "id"]


def test_the_event_table_is_a_log_whose_first_purchases_are_the_interactions(shop, tmp_path):
    write(shop, tmp_path)
    log = pl.read_parquet(tmp_path / "events.parquet")
    assert dict(log.schema) == {
        "user": pl.String,
        "item": pl.String,
        "timestamp": pl.Datetime("us", "UTC"),
        "event": pl.String,
        "quantity": pl.Int64,
        "price": pl.Float64,
    }
    assert set(log["event"]) == {"view", "cart", "purchase", "return"}
    assert log["timestamp"].is_sorted()
    first = log.filter(event="purchase").group_by("user", "item").agg(pl.col("timestamp").min().dt.epoch("s"))
    data = mmrec.read(tmp_path)
    columns = (data.interactions.users, data.interactions.items, data.interactions.timestamps)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    expected = {(data.users[user], data.items[item], time) for user, item, time in rows}
    assert set(first.iter_rows()) == expected
    assert len(expected) == len(shop.dataset.interactions)


def test_a_shop_without_images_has_no_image_column(plain, tmp_path):
    write(plain, tmp_path / "shop")
    assert "images" not in names(tmp_path / "shop")
    assert "image" not in pl.read_parquet(tmp_path / "shop" / "items.parquet").columns
    assert mmrec.read(tmp_path / "shop").fingerprint == plain.dataset.fingerprint


def test_a_folder_that_holds_something_is_refused_and_left_alone(plain, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(FileExistsError, match=r"holds 'letter.txt'; choose another"):
        write(plain, tmp_path)
    with pytest.raises(FileExistsError, match=r"holds 'letter.txt', which is no part of"):
        write(plain, tmp_path, overwrite=True)
    assert names(tmp_path) == ["letter.txt"]


def test_overwriting_replaces_a_whole_shop(shop, plain, tmp_path):
    write(shop, tmp_path / "shop")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write(plain, tmp_path / "shop")
    write(plain, tmp_path / "shop", overwrite=True)
    assert mmrec.read(tmp_path / "shop").fingerprint == plain.dataset.fingerprint
    assert names(tmp_path) == ["shop"]
    assert "images" not in names(tmp_path / "shop")


def test_a_shop_whose_features_were_encoded_is_still_a_shop(plain, tmp_path):
    write(plain, tmp_path / "shop")
    assert {SUMMARY, DETAILS} < set(ENCODED)
    for name in (*ENCODED, "image_mask.npy"):
        (tmp_path / "shop" / name).write_text("")
    write(plain, tmp_path / "shop", overwrite=True)
    assert not set(names(tmp_path / "shop")) & set(ENCODED)


def test_a_place_that_cannot_be_written_gives_one_line(plain, tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "shop", tmp_path / "file"):
        with pytest.raises(OSError, match="cannot be written") as caught:
            write(plain, place)
        assert "\n" not in str(caught.value)
    assert names(tmp_path) == ["file"]


@pytest.fixture
def full_disk(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)


@pytest.mark.usefixtures("full_disk")
def test_a_failure_half_way_leaves_nothing_behind(shop, tmp_path):
    with pytest.raises(OSError, match="No space left"):
        write(shop, tmp_path / "shop")
    assert names(tmp_path) == []


@pytest.mark.usefixtures("full_disk")
def test_a_failure_half_way_keeps_the_shop_that_was_there(shop, plain, tmp_path):
    write(plain, tmp_path / "shop")
    with pytest.raises(OSError, match="No space left"):
        write(shop, tmp_path / "shop", overwrite=True)
    assert names(tmp_path) == ["shop"]
    assert mmrec.read(tmp_path / "shop").fingerprint == plain.dataset.fingerprint


def test_others_may_read_the_folder(plain, tmp_path):
    write(plain, tmp_path / "shop")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "shop").stat().st_mode) == 0o777 & ~mask
