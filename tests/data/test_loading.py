import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flatrec.data import formats
from flatrec.data.formats import data_formats, mmrec
from flatrec.data.loading import detect_format, load_data
from flatrec.testing import block_dataset
from flatrec.utils.integrity import MANIFEST

MMREC = "userID\titemID\tx_label\n0\t0\t0\n"
RECBOLE = "user_id:token\titem_id:token\n" + "".join(f"{user}\t{item}\n" for user in range(5) for item in range(5))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("toys.inter", MMREC, "mmrec"),
        ("toys.inter", RECBOLE, "recbole"),
        ("inter.csv", MMREC.replace("\t", ","), "mrlib"),
        ("dataset.toml", 'interactions = "interactions.csv"\nk_core = 0', "description"),
        ("part-0.parquet", "", "table"),
    ],
)
def test_a_folder_is_recognized_by_its_files(tmp_path, name, text, expected):
    (tmp_path / "interactions.csv").write_text("user,item\nu,a\n")
    (tmp_path / name).write_text(text)
    assert detect_format(tmp_path).name == expected
    if text:
        assert load_data(str(tmp_path)).interactions.count("train") >= 1


@pytest.mark.parametrize(
    ("name", "expected"), [("a.toml", "description"), ("a.CSV", "table"), ("a.tsv.gz", "table"), ("a.parquet", "table")]
)
def test_a_file_is_recognized_by_its_ending(tmp_path, name, expected):
    (tmp_path / name).touch()
    assert detect_format(tmp_path / name).name == expected


def test_nothing_at_the_path_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone does not exist; give a folder of data"):
        load_data(tmp_path / "gone")


def test_an_unknown_folder_or_file_is_answered_with_what_was_looked_for(tmp_path):
    with pytest.raises(ValueError, match=r"expected dataset.toml .*, \*.inter .*, inter.csv .*; it holds nothing"):
        load_data(tmp_path)
    (tmp_path / "notes.docx").touch()
    with pytest.raises(ValueError, match=r"it holds notes.docx"):
        load_data(tmp_path)
    with pytest.raises(
        ValueError, match=r"notes.docx is in no known format; expected dataset.toml .*, a .csv, .tsv or .parquet table"
    ):
        load_data(tmp_path / "notes.docx")


NEW_FORMAT = """
import polars as pl

from flatrec.config import SplitSettings
from flatrec.data.builder import build_dataset
from flatrec.data.formats import DataFormat


def matches(path):
    return path.suffix == ".clicks"


def read(path):
    rows = [line.split() for line in path.read_text().splitlines()]
    table = pl.DataFrame(rows, schema=["user", "item"], orient="row")
    return build_dataset(path.stem, table, settings=SplitSettings())


FORMAT = DataFormat("clicks", "*.clicks", matches, read)
"""


@pytest.fixture
def new_module(tmp_path, monkeypatch):
    """A function that adds a module to the package of formats, as a new file there would."""
    folder = tmp_path / "formats"
    folder.mkdir()

    def add(text):
        (folder / "clicks.py").write_text(text)
        data_formats.cache_clear()

    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(folder)])
    yield add
    sys.modules.pop("flatrec.data.formats.clicks", None)
    data_formats.cache_clear()


def test_a_new_format_needs_one_file(tmp_path, new_module):
    (tmp_path / "toys.clicks").write_text("u a\nu b\nv a\n")
    with pytest.raises(ValueError, match="no known format"):
        load_data(tmp_path / "toys.clicks")
    new_module(NEW_FORMAT)
    assert len(load_data(tmp_path / "toys.clicks").interactions) == 3
    with pytest.raises(ValueError, match=r"\*.clicks \(clicks\)"):
        load_data(__file__)


def test_a_module_without_a_format_is_refused(tmp_path, new_module):
    new_module("FORMAT = 3")
    with pytest.raises(TypeError, match=r"flatrec.data.formats.clicks.FORMAT must be a DataFormat, but is 3"):
        load_data(tmp_path)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations([(f"u{user}", str(item)) for user in range(6) for item in range(6)]), st.permutations(range(6)))
def test_permuting_rows_of_interactions_and_features_gives_the_same_data_set(tmp_path, rows, order):
    (tmp_path / "interactions.csv").write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in rows))
    (tmp_path / "ids.txt").write_text("".join(f"{item}\n" for item in order))
    np.save(tmp_path / "image.npy", np.array(order, dtype=np.float32)[:, None] + 10)
    (tmp_path / "dataset.toml").write_text(
        'name = "p"\ninteractions = "interactions.csv"\n[features.image]\nfile = "image.npy"\nids = "ids.txt"\n'
    )
    data = load_data(tmp_path)
    assert data.features["image"].values[:, 0].tolist() == [10, 11, 12, 13, 14, 15]
    (tmp_path / "interactions.csv").write_text(
        "user,item\n" + "".join(f"{user},{item}\n" for user, item in sorted(rows))
    )
    assert load_data(tmp_path).fingerprint == data.fingerprint


@pytest.mark.parametrize("name", [".toys.inter", ".toys.inter.e71be6bf43ae4f53be47dfd2caa5aa8e.inter"])
@pytest.mark.parametrize("text", [MMREC, RECBOLE])
def test_files_that_begin_with_a_dot_are_no_data(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    for leftover in (".image_feat.npy", ".image_feat.parquet", ".x.train.inter"):
        (tmp_path / leftover).write_bytes(b"half")
    with pytest.raises(ValueError, match=r"is in no known format; .* it holds nothing"):
        load_data(tmp_path)
    (tmp_path / "toys.inter").write_text(text)
    data = load_data(tmp_path)
    assert (data.name, dict(data.features)) == ("toys", {})
    mmrec.write(data, tmp_path)


def test_images_that_begin_with_a_dot_are_none(tmp_path):
    (tmp_path / "toys.inter").write_text(MMREC)
    (tmp_path / "posters").mkdir()
    for name in ("0.jpg", "._0.jpg", ".1.jpg"):
        (tmp_path / "posters" / name).touch()
    data = load_data(tmp_path)
    assert data.images == (tmp_path / "posters" / "0.jpg",)
    assert data.warnings == ()


def test_images_of_no_item_are_said(tmp_path):
    (tmp_path / "toys.inter").write_text(MMREC + "0\t1\t0\n")
    (tmp_path / "posters").mkdir()
    for name in ("0.jpg", "7.jpg", "x.png"):
        (tmp_path / "posters" / name).touch()
    assert load_data(tmp_path).warnings == (
        "posters/: 2 rows not used (2 whose id is in no interaction)",
        "1 item without an image",
    )


@pytest.fixture
def prepared(tmp_path):
    mmrec.write(block_dataset(blocks=2, users=4, items=3), tmp_path / "toys", manifest=True)
    return tmp_path / "toys"


def test_a_prepared_folder_is_read_as_it_was_written_or_not_at_all(prepared):
    for name in ("image_feat.npy", "items.parquet", "users.parquet"):
        content = (prepared / name).read_bytes()
        damaged = bytearray(content)
        damaged[len(content) // 2] ^= 4
        (prepared / name).write_bytes(damaged)
        with pytest.raises(
            ValueError, match=rf"{name} is damaged or was changed .*; prepare it again, or delete flatrec"
        ):
            load_data(prepared)
        (prepared / name).write_bytes(content)
    load_data(prepared)
    (prepared / "text_feat.npy").unlink()
    with pytest.raises(ValueError, match=r"text_feat\.npy is missing"):
        load_data(prepared)
    (prepared / MANIFEST).unlink()
    assert set(load_data(prepared).features) == {"image"}


def test_what_is_added_to_a_prepared_folder_is_not_judged(prepared):
    np.save(prepared / "audio_feat.npy", np.ones((6, 2)))
    (prepared / "notes.txt").write_text("mine")
    assert set(load_data(prepared).features) == {"image", "text", "audio"}


def test_a_kill_before_the_manifest_is_no_damage_but_old_and_new_files_are_not_mixed(prepared, tmp_path, monkeypatch):
    def killed(*_arguments):
        raise KeyboardInterrupt

    old, other = load_data(prepared), block_dataset(blocks=2, users=5, items=3)
    with monkeypatch.context() as patched:
        patched.setattr("flatrec.data.formats.mmrec.write_manifest", killed)
        for folder in (tmp_path / "new", prepared):
            with pytest.raises(KeyboardInterrupt):
                mmrec.write(other, folder, manifest=True)
    assert not (tmp_path / "new" / MANIFEST).exists()
    assert load_data(tmp_path / "new").fingerprint == other.fingerprint
    with pytest.raises(ValueError, match="changed since it was written; prepare it again"):
        load_data(prepared)
    mmrec.write(old, prepared, manifest=True)
    assert load_data(prepared).fingerprint == old.fingerprint


def test_writing_over_a_prepared_folder_leaves_no_manifest_of_what_was(prepared):
    mmrec.write(load_data(prepared), prepared)
    assert not (prepared / MANIFEST).exists()
