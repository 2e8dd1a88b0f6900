"""Files of an augmentation that are replaced part by part."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from flatrec.data.tables import augmentation_update as update
from flatrec.testing import block_dataset
from flatrec.utils.integrity import check_manifest, write_manifest

BLOCKS = block_dataset(blocks=1, users=3, items=4)


def test_the_files_lie_in_the_folder_or_beside_the_description(tmp_path):
    (tmp_path / "shop.toml").write_text('interactions = "clicks.csv"')
    for path in (tmp_path, tmp_path / "shop.toml"):
        assert update.augmentation_folder(replace(BLOCKS, source=str(path))) == tmp_path


def test_what_has_no_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()  # while `shop` alone is the built-in one
    (tmp_path / "clicks.csv").touch()
    for source in (None, "", "shop", str(tmp_path / "clicks.csv"), str(tmp_path / "gone")):
        with pytest.raises(ValueError, match="neither a folder nor described.*flatrec data shop FOLDER"):
            update.augmentation_folder(replace(BLOCKS, source=source))


def test_parts_have_a_fixed_order_and_others_are_refused():
    assert update.parts_of(["suggestions", "profiles", "profiles"]) == ("profiles", "suggestions")
    with pytest.raises(ValueError, match="unknown part 'items'"):
        update.parts_of(["profiles", "items"])


def table(*users):
    return pl.DataFrame({"user": users, "item": ["x"] * len(users)})


def test_parts_that_stay_keep_what_was_shown_for_them(tmp_path):
    profiles, suggestions, shown = (f"augmented-{name}.parquet" for name in ("profiles", "suggestions", "shown"))
    update.replace_parts(
        tmp_path, update.PARTS, {shown: table("a", "b"), profiles: table("a"), suggestions: table("b")}
    )
    update.replace_parts(tmp_path, ["profiles"], {shown: table("b", "c"), profiles: table("c")})
    assert pl.read_parquet(tmp_path / shown)["user"].to_list() == ["a", "b", "c"]
    assert pl.read_parquet(tmp_path / profiles)["user"].to_list() == ["c"]
    update.replace_parts(tmp_path, ["profiles", "suggestions"], {shown: table("d"), profiles: table("d")})
    assert sorted(path.name for path in tmp_path.iterdir()) == [profiles, shown]
    assert pl.read_parquet(tmp_path / shown)["user"].to_list() == ["d"]


def test_a_manifest_does_not_refuse_what_was_replaced(tmp_path):
    name = "augmented-attribute-style.parquet"
    update.replace_parts(tmp_path, ["attributes"], {name: table("a")})
    write_manifest(tmp_path, [name])
    update.replace_parts(tmp_path, ["attributes"], {name: table("b")})
    check_manifest(tmp_path, advice="x")


def test_files_are_replaced_only_if_that_is_wanted(tmp_path):
    update.check_replaceable(tmp_path, update.PARTS, overwrite=False)
    update.replace_parts(tmp_path, ["attributes"], {"augmented-attribute-style.parquet": table("a")})
    update.check_replaceable(tmp_path, ["profiles"], overwrite=False)
    update.check_replaceable(tmp_path, update.PARTS, overwrite=True)
    with pytest.raises(FileExistsError, match="augmented-attribute-style.parquet; replace them"):
        update.check_replaceable(tmp_path, update.PARTS, overwrite=False)
