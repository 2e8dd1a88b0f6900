"""Everything that reading leaves out is counted and said."""

import json

import numpy as np
import polars as pl
import pytest

from flatrec.data.cleaning import CleaningReport, EventReport, TableCleaningReport
from flatrec.data.loading import load_data
from flatrec.data.summary import summarize

PAIRS = [(f"u{user}", f"s{item}") for user in range(6) for item in range(6)]
ITEMS = '[items]\nfile = "items.csv"\nid_column = "sku"\ntitle_column = "name"\n'
FEATURES = '[features.image]\nfile = "image.csv"\nid_column = "sku"\n'


def load(folder, *, interactions=PAIRS, items=None, features=None, k_core=5):
    (folder / "clicks.csv").write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in interactions))
    description = f'interactions = "clicks.csv"\nk_core = {k_core}\n'
    if items is not None:
        (folder / "items.csv").write_text("sku,name\n" + "".join(f"{item},the {item}\n" for item in items))
        description += ITEMS
    if features is not None:
        (folder / "image.csv").write_text("sku,x\n" + "".join(f"{item},{n}\n" for n, item in enumerate(features)))
        description += FEATURES
    (folder / "dataset.toml").write_text(description)
    return load_data(folder)


IDS = [f"s{item}" for item in range(6)]


def test_nothing_is_said_of_tables_that_fit(tmp_path):
    data = load(tmp_path, items=IDS, features=IDS)
    assert data.warnings == ()
    assert data.cleaning_report == CleaningReport(events=EventReport(rows=36))


def test_a_table_of_items_that_meets_none_is_refused_like_one_of_features(tmp_path):
    others = [one.replace("s", "SKU-") for one in IDS]
    said = (
        rf"^{tmp_path}/{{}}\.csv has no row for any of the 6 items; "
        r"its ids look like \['SKU-0', .* those of the data set like \['s0'"
    )
    with pytest.raises(ValueError, match=said.format("items")):
        load(tmp_path, items=others)
    with pytest.raises(ValueError, match=said.format("image")):
        load(tmp_path, features=others)
    with pytest.raises(
        ValueError, match=r"items\.csv has no row .*; 6 would match but for case, such as 'S0' and 's0'"
    ):
        load(tmp_path, items=[one.upper() for one in IDS])


def test_features_that_are_not_finite_are_refused_by_their_path(tmp_path):
    (tmp_path / "clicks.csv").write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in PAIRS))
    (tmp_path / "image.csv").write_text("sku,x\ns0,inf\ns1,1\n")
    (tmp_path / "dataset.toml").write_text('interactions = "clicks.csv"\n' + FEATURES)
    with pytest.raises(ValueError, match=rf"^{tmp_path}/image\.csv: features must be finite, but 1 of 6 rows"):
        load_data(tmp_path)


def test_rows_and_items_that_do_not_meet_are_counted(tmp_path):
    data = load(tmp_path, items=["s0", "S1", "S2", "x"], features=["s0", "s1", "y"])
    assert data.titles == ("the s0", "s1", "s2", "s3", "s4", "s5")
    assert data.warnings == (
        "image.csv: 1 row not used (1 whose id is in no interaction)",
        "items.csv: 3 rows not used (3 whose id is in no interaction); "
        "2 would match but for case, such as 'S1' and 's1'",
        "5 items without a row in the table of items; kept, and shown by their ids",
    )
    assert (data.cleaning_report.unknown_features, data.cleaning_report.items_without_title) == (1, 5)


def test_rows_of_filtered_items_are_told_from_foreign_ones(tmp_path):
    interactions = [*PAIRS, ("u0", "rare"), ("u1", "rare")]
    data = load(tmp_path, interactions=interactions, items=[*IDS, "rare", "x"])
    assert data.warnings == (
        "items.csv: 2 rows not used (1 whose id is in no interaction, 1 whose item was removed by the k-core filter)",
        "the 5-core filter removed 0 users, 1 item and 2 interactions; a k-core of 0 keeps them",
    )


@pytest.mark.parametrize("suffix", [".0", " ", "\t"])
def test_ids_of_both_sides_meet_whoever_wrote_them(tmp_path, suffix):
    interactions = [(user, item.replace("s", "10") + suffix) for user, item in PAIRS]
    ids = [one.replace("s", "10") for one in IDS]
    for data in (
        load(tmp_path, interactions=interactions, items=ids, features=ids),
        load(
            tmp_path,
            interactions=[(user, item.strip()) for user, item in interactions],
            items=[one + suffix for one in ids],
        ),
    ):
        assert data.titles[3].startswith("the 103")
        assert list(data.items) == ids
        assert data.cleaning_report.items_without_title == 0
        assert all("ids such as 100.0" in said or "blanks around" in said for said in data.warnings)


def test_one_interaction_in_two_spellings_is_one_interaction(tmp_path):
    data = load(tmp_path, interactions=[*PAIRS, ("u0 ", "s0")])
    assert len(data.interactions) == 36
    assert data.warnings == ("clicks.csv: blanks around 1 id were removed", "1 repeated interaction; each counts once")


def test_rows_of_items_without_an_id_are_counted(tmp_path):
    data = load(tmp_path, items=[*IDS, ""])
    assert data.warnings == ("items.csv: 1 row without an id left out",)


def test_vectors_by_id_and_lists_of_ids_are_tidied_too(tmp_path):
    from safetensors.numpy import save_file

    interactions = [(user, item.replace("s", "10")) for user, item in PAIRS]
    load(tmp_path, interactions=interactions)
    save_file({f"10{n}.0": np.full(2, n, dtype=np.float32) for n in range(6)}, tmp_path / "image.safetensors")
    np.save(tmp_path / "text.npy", np.arange(6)[:, None])
    (tmp_path / "ids.txt").write_text("\n".join(f" 10{n}.0" for n in range(6)) + "\n\n")
    (tmp_path / "dataset.toml").write_text(
        'interactions = "clicks.csv"\n[features.image]\nfile = "image.safetensors"\n'
        '[features.text]\nfile = "text.npy"\nids = "ids.txt"\n'
    )
    data = load_data(tmp_path)
    assert data.features["image"].values[:, 0].tolist() == data.features["text"].values[:, 0].tolist() == list(range(6))


@pytest.mark.parametrize("number", ["{}.0", " {}", "{}"])
def test_numbers_of_mmrec_may_be_written_as_decimals(tmp_path, number):
    rows = "".join(f"{number.format(user)}\t{number.format(item)}\t0\n" for user in range(2) for item in range(2))
    (tmp_path / "toys.inter").write_text("userID\titemID\tx_label\n" + rows)
    pl.DataFrame({"itemID": [0.0, 1.0], "id": [10.0, 11.0]}).write_parquet(tmp_path / "items.parquet")
    data = load_data(tmp_path)
    assert (list(data.users), list(data.items), len(data.interactions)) == (["0", "1"], ["10", "11"], 4)


def test_the_summary_has_counts_and_sentences(tmp_path):
    summary = json.loads(json.dumps(summarize(load(tmp_path, interactions=[*PAIRS, ("u0 ", "s0")])).as_dict()))
    assert summary["cleaning_report"]["tables"][0]["padded_ids"] == 1
    assert len(summary["warnings"]) == 2


def test_no_sentence_is_longer_than_a_line():
    table = TableCleaningReport(
        "x" * 1_000, joined_lines=1, row_number_columns=("y" * 1_000,) * 100, unused_rows=3, near_misses="z" * 1_000
    )
    sentences = CleaningReport(tables=(table,)).sentences()
    assert len(sentences) == 3
    assert max(map(len, sentences)) <= 480


def test_the_sentence_about_decimal_points_shows_an_id_of_the_file(tmp_path):
    data = load(
        tmp_path,
        interactions=[(user, str(place)) for place, (user, _) in enumerate(PAIRS)],
        items=["7.00", "3"],
        k_core=0,
    )
    assert "items.csv: 1 id such as 7.00 were read as whole numbers such as 7" in data.warnings
