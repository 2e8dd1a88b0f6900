import polars as pl
import pytest

from flatrec.data.id_overlap import near_misses
from flatrec.data.id_repair import repair_id_list, repair_ids


def test_blanks_and_decimal_points_of_whole_numbers_go_and_are_counted():
    found = repair_ids(pl.Series("id", ["7.000", "\u00a012", "3", " 8.0 ", "", None, "-1.0"]))
    assert found.ids.to_list() == ["7", "12", "3", "8", "", None, "-1"]
    assert (found.padded, found.decimals, found.decimal_example) == (2, 3, "7.000")


@pytest.mark.parametrize("other", ["1.1", "v2.0", "a", "1e3", "1.0.0"])
def test_decimal_points_stay_where_not_all_ids_are_whole_numbers(other):
    found = repair_ids(pl.Series("id", ["1.0", f"{other} ", "2.0", "3", None]))
    assert found.ids.to_list() == ["1.0", other, "2.0", "3", None]
    assert (found.padded, found.decimals, found.decimal_example) == (1, 0, "")


def test_ids_that_are_tidy_stay_the_very_column():
    ids = pl.Series("id", ["a", "1", None])
    assert repair_ids(ids).ids is ids
    assert repair_id_list([]) == []


@pytest.mark.parametrize(
    ("unmet", "known", "said"),
    [
        ("S00", "s00", "1 would match but for case, such as 'S00' and 's00'"),
        ("caf\u00e9", "cafe\u0301", r"Unicode form .* such as 'caf\\xe9' and 'cafe\\u0301'"),
        ("007", "7", "but for leading zeros"),
        ("s-00", "s_00", "but for blanks and punctuation"),
        ("SKU-00", "s00", "^$"),
        ("-", "_", "^$"),
    ],
)
def test_what_would_make_ids_meet_is_named(unmet, known, said):
    import re

    assert re.search(said, near_misses([unmet, "else"], [known, "other"]))


def test_capital_letters_become_lower_case_only_where_asked():
    ids = pl.Series("id", [" Ab", "ab", "ÄB", "1.0", None])
    found = repair_ids(ids, "trim+lower")
    assert found.ids.to_list() == ["ab", "ab", "äb", "1.0", None]
    assert (found.padded, found.lowercased) == (1, 2)
    assert repair_ids(ids).lowercased == 0


def test_exact_ids_stay_but_blanks_alone_are_empty():
    assert repair_id_list([" a", "1.0", "2", " "], "exact") == [" a", "1.0", "2", ""]
