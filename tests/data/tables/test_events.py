import pytest

from flatrec.data.tables.events import RowSettings, read_events
from flatrec.data.tables.files import scan

COLUMNS = {"user": "user", "item": "item"}
SHOP = RowSettings(
    event_column="what",
    event_weights={"purchase": 1.0, "view": 0.2},
    return_events=("return",),
    quantity_column="n",
)


def read(folder, text, settings=None):
    settings = settings or RowSettings()
    (folder / "log.csv").write_text(text)
    return read_events(scan(folder / "log.csv").select({**COLUMNS, **settings.columns}), settings)


def test_events_have_the_weights_that_are_named_and_the_others_are_counted(tmp_path):
    settings = RowSettings(event_column="what", event_weights={"purchase": 1.0, "view": 0.2})
    text = "user,item,what\nu,a,purchase\nu,b, view\nu,c,wish\nu,d,\nu,e,wish\n"
    events = read(tmp_path, text, settings)
    assert events.frame.rows() == [("u", "a", 1.0), ("u", "b", 0.2)]
    report = events.report
    assert (report.rows, report.unnamed_events, report.unnamed_event_names) == (5, 3, ("wish", ""))
    assert list(report.sentences()) == [
        "3 rows with an event that [events] does not name left out: ['wish', ''], the first in line 4"
    ]


def test_whole_numbers_may_name_events(tmp_path):
    settings = RowSettings(event_column="what", event_weights={"1": 2.0})
    assert read(tmp_path, "user,item,what\nu,a,1\n", settings).frame["weight"].to_list() == [2.0]


def test_named_returns_and_negative_quantities_are_returns(tmp_path):
    text = (
        "user,item,what,n\nu,a,purchase,3\nu,a,return,2\nu,a,return,-1\nu,a,purchase,-2\n"
        "u,b,view,\nu,b,view,0\nu,b,view,5\nu,b,view,-1\nu,c,purchase,0\n"
    )
    frame = read(tmp_path, text, SHOP).frame
    assert frame["quantity"].to_list() == [3, -2, -1, -2, 1, 1, 1, 0, 0]
    assert frame["returnable"].to_list() == [True, False, False, True, False, False, False, False, True]
    assert frame["weight"].to_list() == [1, 1, 1, 1, 0.2, 0.2, 0.2, 0.2, 1]


def test_a_return_without_a_quantity_is_of_one_piece(tmp_path):
    settings = RowSettings(event_column="what", event_weights={"purchase": 1.0}, return_events=("refund",))
    frame = read(tmp_path, "user,item,what\nu,a,purchase\nu,a,refund\n", settings).frame
    assert frame["quantity"].to_list() == [1, -1]


def test_purchases_are_the_events_of_the_largest_weight_unless_they_are_named():
    weights = {"view": 0.5, "purchase": 2.0, "gift": 2.0, "review": 1.0}
    assert RowSettings(event_column="e", event_weights=weights).purchases == ["purchase", "gift"]
    named = RowSettings(event_column="e", event_weights={**weights, "review": 3.0}, purchase_events=("gift",))
    assert named.purchases == ["gift"]


def test_ratings_are_compared_and_are_no_weights(tmp_path):
    settings = RowSettings(rating_column="stars", min_rating=3.5)
    events = read(tmp_path, "user,item,stars\nu,a,3.5\nu,b,3.4\nu,c,5\n", settings)
    assert events.frame.rows() == [("u", "a"), ("u", "c")]
    assert list(events.report.sentences()) == ["1 row with a rating below min_rating left out"]


def test_weights_of_rows_and_events_are_multiplied(tmp_path):
    settings = RowSettings(weight_column="w", event_column="what", event_weights={"view": 0.5})
    assert read(tmp_path, "user,item,w,what\nu,a,3,view\n", settings).frame["weight"].to_list() == [1.5]
    assert read(tmp_path, "user,item,w\nu,a,3\n", RowSettings(weight_column="w")).frame["weight"].to_list() == [3.0]


def test_the_weights_of_returns_are_not_used(tmp_path):
    settings = RowSettings(weight_column="w", quantity_column="n")
    text = "user,item,w,n\nu,a,3,1\nu,a,-3,-1\nu,a,,-1\n"
    assert read(tmp_path, text, settings).frame["weight"].to_list() == [3.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="1 of 4 values that are not above 0, the first, '0', in line 5"):
        read(tmp_path, text + "u,a,0,1\n", settings)


def test_rows_without_ids_are_dropped_where_asked_and_later_errors_name_their_line(tmp_path):
    settings = RowSettings(missing_ids="drop", weight_column="w")
    text = "user,item,w\nu,a,1\n,b,x\n ,,2\nu,,3\nu,b,4\n"
    events = read(tmp_path, text, settings)
    assert events.frame.rows() == [("u", "a", 1.0), ("u", "b", 4.0)]
    assert (events.report.rows, events.report.without_id) == (5, 3)
    with pytest.raises(ValueError, match=r"the first, 'x', in line 6; write it as a number"):
        read(tmp_path, text.replace("u,b,4", "u,b,x"), settings)
    with pytest.raises(ValueError, match="2 of 5 interactions without user id, the first in line 3"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("matching", "users"), [("exact", [" U1", "u1"]), ("trim", ["U1", "u1"]), ("trim+lower", ["u1", "u1"])]
)
def test_ids_are_matched_as_asked(tmp_path, matching, users):
    events = read(tmp_path, 'user,item\n" U1",1.0\nu1,2\n', RowSettings(id_matching=matching))
    assert events.frame["user"].to_list() == users
    assert events.frame["item"].to_list() == (["1.0", "2"] if matching == "exact" else ["1", "2"])
    counts = events.cleaning_report
    assert (counts.padded_ids, counts.lowercased_ids) == {"exact": (0, 0), "trim": (1, 0), "trim+lower": (1, 1)}[
        matching
    ]


def test_an_id_of_blanks_is_missing_however_ids_are_matched(tmp_path):
    with pytest.raises(ValueError, match="1 of 1 interactions without user id, the first in line 2"):
        read(tmp_path, 'user,item\n" ",1\n', RowSettings(id_matching="exact"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "u,a,purchase,\n",
            "column 'n' with 1 of 1 values that are no quantities, the first, an empty cell, in line 2",
        ),
        (
            "u,a,view,\nu,a,return,\n",
            "are no quantities, the first, an empty cell, in line 3; give every purchase and r",
        ),
        ("u,a,view,many\n", "column 'n' with 1 of 1 values that are no numbers, the first, 'many', in line 2"),
        (
            "u,a,view,\nu,a,return,1e13\n",
            "column 'n' with 1 of 2 values that are not of 1e-12 to 1e12, the first, '1e13', in",
        ),
        ("u,a,purchase,1e-13\n", "are not of 1e-12 to 1e12, the first, '1e-13', in line 2; use another unit"),
        ("u,a,wish,1\n", r"log\.csv has no row left of 1: 1 row with an event that \[events\] does not name left out"),
    ],
)
def test_events_that_cannot_be_read_are_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, "user,item,what,n\n" + text, SHOP)
    assert "\n" not in str(caught.value)


def test_a_row_without_a_rating_is_refused(tmp_path):
    with pytest.raises(ValueError, match="1 of 2 values that are no ratings, the first, an empty cell, in line 3"):
        read(tmp_path, "user,item,r\nu,a,1\nu,b,\n", RowSettings(rating_column="r", min_rating=1.0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"event_column": "e"}, r"event_column and a table \[events\] of weights, such as purchase = 1.0, need each"),
        ({"event_weights": {"view": 1.0}}, "event_column and a table"),
        (
            {"event_column": "e", "event_weights": {"view": 0.0}},
            r"\[events\] view must have a weight of 1e-12 to 1e12, but has",
        ),
        ({"event_column": "e", "event_weights": {"view": 1e13}}, "of 1e-12 to 1e12, but has 10000000000000.0"),
        ({"event_column": "e", "event_weights": {"view": float("nan")}}, "of 1e-12 to 1e12, but has nan"),
        ({"event_column": "e", "event_weights": {"back": -1.0}}, "leave an event out .* or name it in return_events"),
        ({"rating_column": "r"}, "rating_column and min_rating need each other; for ratings as weights set weight_col"),
        ({"min_rating": 3.0}, "rating_column and min_rating need each other"),
        ({"return_events": ("return",)}, "return_events needs event_column"),
        (
            {"event_column": "e", "event_weights": {"return": 1.0}, "return_events": ("return",)},
            r"'return' is in \[events\] and in return_events; keep it in one of them",
        ),
        (
            {"event_column": "e", "event_weights": {"view": 1.0}, "purchase_events": ("buy",)},
            r"purchase_events has 'buy', which \[events\] does not name",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        RowSettings(**settings)


@pytest.mark.parametrize(("value", "shown"), [("dev", "'dev'"), ("", "an empty cell"), ("3", "'3'")])
def test_a_value_that_is_no_split_is_refused_with_its_line(tmp_path, value, shown):
    (tmp_path / "log.csv").write_text(f"user,item,part\nu,a,Train\nu,b,{value}\nu,c,val\n")
    rows = scan(tmp_path / "log.csv").select({**COLUMNS, "split": "part"})
    with pytest.raises(ValueError, match=f"1 of 3 values that name no split, the first, {shown}, in line 3; use train"):
        read_events(rows, RowSettings())
