import polars as pl
import pytest

from flatrec.data.tidying import likeness, tidied, tidied_list


def test_blanks_and_decimal_points_of_whole_numbers_go_and_are_counted():
    found = tidied(pl.Series("id", ["a ", "\u00a0b", "c", "100.0", "7.000", " 8.0 ", "1.5", "v2.0", None, "1e3"]))
    assert found.ids.to_list() == ["a", "b", "c", "100", "7", "8", "1.5", "v2.0", None, "1e3"]
    assert (found.padded, found.decimals) == (3, 3)


def test_ids_that_are_tidy_stay_the_very_column():
    ids = pl.Series("id", ["a", "1", None])
    assert tidied(ids).ids is ids
    assert tidied_list([]) == []


@pytest.mark.parametrize(
    ("unmet", "known", "said"),
    [
        ("S00", "s00", "1 would meet but for case, such as 'S00' and 's00'"),
        ("caf\u00e9", "cafe\u0301", r"Unicode form .* such as 'caf\\xe9' and 'cafe\\u0301'"),
        ("007", "7", "but for leading zeros"),
        ("s-00", "s_00", "but for blanks and punctuation"),
        ("SKU-00", "s00", "^$"),
        ("-", "_", "^$"),
    ],
)
def test_what_would_make_ids_meet_is_named(unmet, known, said):
    import re

    assert re.search(said, likeness([unmet, "else"], [known, "other"]))
