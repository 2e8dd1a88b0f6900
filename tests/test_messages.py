from flatrec.messages import clipped, quoted, shortlist


def test_a_list_of_names_has_an_end():
    names = [f"c{number}" for number in range(4096)]
    assert shortlist(names) == "c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 4086 more"
    assert shortlist(names[:3], 3) == "c0, c1, c2"
    assert shortlist([]) == ""
    assert quoted(["a", "it's"]) == "['a', \"it's\"]"


def test_a_long_name_is_cut_and_a_list_of_them_stays_a_line():
    assert clipped("x" * 31) == "x" * 29 + "…"
    assert clipped("x" * 30) == "x" * 30
    assert len(quoted(["\x00" * 10_000] * 100)) < 1_500
    assert len(quoted(["x" * 10_000] * 100)) < 400
