import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flatrec.data.formats import FORMATS
from flatrec.data.loading import detect, load_data

MMREC = "userID\titemID\tx_label\n0\t0\t0\n"
RECBOLE = "user_id:token\titem_id:token\n" + "".join(f"{user}\t{item}\n" for user in range(5) for item in range(5))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("toys.inter", MMREC, "mmrec"),
        ("toys.inter", RECBOLE, "recbole"),
        ("inter.csv", MMREC.replace("\t", ","), "mrlib"),
        ("dataset.toml", 'interactions = "pairs.csv"\ncore = 0', "table"),
    ],
)
def test_a_folder_is_recognised_by_its_files(tmp_path, name, text, expected):
    (tmp_path / "pairs.csv").write_text("user,item\nu,a\n")
    (tmp_path / name).write_text(text)
    assert detect(tmp_path) == expected
    assert expected in FORMATS
    assert load_data(str(tmp_path)).interactions.count("train") >= 1


@pytest.mark.parametrize("name", ["a.toml", "a.CSV", "a.tsv", "a.parquet"])
def test_a_file_is_recognised_by_its_ending(tmp_path, name):
    (tmp_path / name).touch()
    assert detect(tmp_path / name) == "table"


def test_nothing_at_the_path_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone does not exist; give a folder of data"):
        load_data(tmp_path / "gone")


def test_an_unknown_folder_or_file_is_answered_with_what_was_looked_for(tmp_path):
    with pytest.raises(ValueError, match=r"no dataset.toml, no \*.inter .* no inter.csv .* it holds nothing"):
        load_data(tmp_path)
    (tmp_path / "notes.docx").touch()
    with pytest.raises(ValueError, match=r"it holds notes.docx"):
        load_data(tmp_path)
    with pytest.raises(ValueError, match=r"notes.docx is in no known format; give a .toml description"):
        load_data(tmp_path / "notes.docx")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations([(f"u{user}", str(item)) for user in range(6) for item in range(6)]), st.permutations(range(6)))
def test_permuting_rows_of_pairs_and_features_gives_the_same_data_set(tmp_path, rows, order):
    (tmp_path / "pairs.csv").write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in rows))
    (tmp_path / "ids.txt").write_text("".join(f"{item}\n" for item in order))
    np.save(tmp_path / "image.npy", np.array(order, dtype=np.float32)[:, None] + 10)
    (tmp_path / "dataset.toml").write_text(
        'name = "p"\ninteractions = "pairs.csv"\n[features.image]\nfile = "image.npy"\nids = "ids.txt"\n'
    )
    data = load_data(tmp_path)
    assert data.features["image"].values[:, 0].tolist() == [10, 11, 12, 13, 14, 15]
    (tmp_path / "pairs.csv").write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in sorted(rows)))
    assert load_data(tmp_path).fingerprint == data.fingerprint
