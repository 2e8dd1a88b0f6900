import re

import numpy as np
import polars as pl
import pytest

from flatrec.config import SplitSettings
from flatrec.data.builder import EventSettings
from flatrec.data.formats.description import parse, read
from flatrec.data.loading import load_data
from flatrec.data.tables.events import RowSettings

CLICKS = "customer,sku,fold\nann,mug,train\nbob,lamp,train\nann,lamp,test\n"
FULL = """
name = "shop"
interactions = "clicks.csv"
user_column = "customer"
item_column = "sku"
split_column = "fold"
k_core = 1
[split]
method = "given"
[items]
file = "items.csv"
id_column = "sku"
title_column = "name"
image_column = "image"
[features.image]
file = "image.npy"
[features.text]
file = "text.parquet"
id_column = "code"
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "clicks.csv").write_text(CLICKS)
    (tmp_path / "items.csv").write_text("item,sku,name,image\n1,lamp,Lamp,\n2,mug,Mug,mug.jpg\n")
    (tmp_path / "mug.jpg").touch()
    np.save(tmp_path / "image.npy", np.array([[1.0], [2.0]]))
    pl.DataFrame({"code": ["mug"], "x": [5]}).write_parquet(tmp_path / "text.parquet")
    (tmp_path / "dataset.toml").write_text(FULL)
    return tmp_path


def test_everything_that_a_description_names_is_read(place):
    for path in (place, place / "dataset.toml"):
        data = read(path)
        assert (data.name, list(data.items), data.titles) == ("shop", ["lamp", "mug"], ("Lamp", "Mug"))
        assert data.images == (None, place / "mug.jpg")
        assert data.features["image"].values.tolist() == [[1], [2]]
        assert data.features["text"].present.tolist() == [False, True]
        assert data.interactions.splits.tolist() == [2, 0, 0]


def test_what_events_mean_is_passed_on(place):
    top = (
        'time_column = "t"\nevent_column = "e"\npurchase_events = ["buy"]\nreturn_events = ["back", "refund"]\n'
        'quantity_column = "q"\nweigh_quantities = true\nhalf_life = "90 days"\nrating_column = "r"\nmin_rating = 3\n'
        'weight_column = "w"\nrepeat = true\nmissing_ids = "drop"\nid_matching = "trim+lower"\ndecimal = ","\n'
        "[events]\nbuy = 1\nview = 2.5\n[split]"
    )
    text = FULL.replace("[split]", top).replace('"image"\n', '"image"\ncolumns = ["price"]\n')
    (place / "dataset.toml").write_text(text)
    settings = parse(place / "dataset.toml")
    assert settings.rows == RowSettings(
        time_column="t",
        event_column="e",
        event_weights={"buy": 1.0, "view": 2.5},
        purchase_events=("buy",),
        return_events=("back", "refund"),
        quantity_column="q",
        rating_column="r",
        min_rating=3.0,
        weight_column="w",
        missing_ids="drop",
        id_matching="trim+lower",
    )
    assert settings.events == EventSettings(k_core=1, weigh_quantities=True, half_life=7_776_000.0, repeat=True)
    assert settings.layout.decimal == ","
    assert settings.items.columns == ("price",)
    matching = {settings.items.id_matching, *(source.id_matching for source in settings.features.values())}
    assert matching == {"trim+lower"}


def test_filter_and_split_are_passed_on(place):
    table = '[split]\nmethod = "random"\nseed = 7\nratios = [0.6, 0.2, 0.2]\n'
    (place / "dataset.toml").write_text(
        FULL.replace('[split]\nmethod = "given"\n', table).replace("_core = 1", "_core = 2")
    )
    settings = parse(place / "dataset.toml")
    assert settings.split == SplitSettings(method="random", seed=7, ratios=(0.6, 0.2, 0.2))
    assert settings.events.k_core == 2


def test_what_is_left_out_has_a_default(place):
    (place / "dataset.toml").write_text('interactions = "clicks.csv"\nk_core = 0\n')
    data = read(place)
    assert data.name == place.name
    assert (len(data.interactions), data.titles, dict(data.features)) == (3, None, {})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("user_column", "usercolumn", "dataset.toml has the unknown key 'usercolumn'; the keys are name, interactions"),
        ("title_column", "title", r"\[items\] has the unknown key 'title'; the keys are file, id_column"),
        ('id_column = "code"', "key = 1", r"\[features\] \[text\] has the unknown key 'key'; the keys are file, ids"),
        ("k_core = 1", 'k_core = "2"', "k_core = '2'; give it a whole number of at least 0"),
        ("k_core = 1", "k_core = true", "k_core = True; give it a whole number"),
        ("k_core = 1", "k_core = -1", "k_core = -1; give it a whole number of at least 0"),
        ('"given"', '"random"\nratios = [0.6, 0.2]', r"HERE: split.ratios has too few values: 2"),
        ('"given"', '"random"\nratios = [0, 0.2, 1]', "HERE: split.ratios must be weights of train, valid and test"),
        ('"given"', '"given"\nseed = 3', "split.seed is not used by split.method given, which uses no other setting"),
        ('"given"', '"by time"', r"HERE: split.method: input should be 'random', 'time'"),
        ("k_core = 1", "k_core = 1\nseed = 3", r"HERE has the unknown key 'seed'; it is called split.seed now"),
        ('"shop"', "3", "name = 3; give it a text in quotes"),
        ('interactions = "clicks.csv"', "", "lacks the key 'interactions'"),
        ('[features.image]\nfile = "image.npy"', "[features]\nimage = 3", r"image = 3; give it a table"),
        (
            "k_core = 1",
            'k_core = 1\nseparator = ""',
            r"HERE: separator must be one ASCII character, such as .*, but is ''$",
        ),
        (
            "k_core = 1",
            "k_core = 1\nseparator = 5",
            r"HERE has separator = 5; give it a text in quotes, of one character such as ';'$",
        ),
        ("k_core = 1", "k_core = 1\nquote = 5", r"HERE has quote = 5; give it a text in quotes, of one character"),
        ("k_core = 1", "k_core = 1\nquote = '::'", r"HERE: quote must be one ASCII character, .* but is '::'$"),
        ("k_core = 1", 'k_core = 1\nencoding = ""', r"HERE has encoding = ''; give it a text in quotes"),
        (
            "k_core = 1",
            "k_core = 1\nseparator = ','\nquote = ','",
            "clicks.csv cannot have ',' both between and around",
        ),
        ("k_core = 1", "k_core = 1\nseparator = '\"'", "clicks.csv cannot have '\"' both between and around"),
        ("k_core = 1", "time_column = 3", "time_column = 3; give it a text in quotes"),
        ("k_core = 1", "repeat = 1", "repeat = 1; give it true or false"),
        ("k_core = 1", 'weigh_quantities = "yes"', "weigh_quantities = 'yes'; give it true or false"),
        ("k_core = 1", "weigh_quantities = true", "weigh_quantities needs the quantity of every interaction, but shop"),
        (
            "k_core = 1",
            'half_life = "90 days"',
            "half_life needs the time of every interaction, but shop has none; name",
        ),
        ("k_core = 1", 'half_life = "90"', 'HERE: half_life must be such as "90 days"'),
        ("k_core = 1", 'half_life = "0 days"', "HERE: half_life must be above 0"),
        ("k_core = 1", "half_life = 90", "half_life = 90; give it a text in quotes"),
        ("k_core = 1", 'missing_ids = "skip"', 'missing_ids = \'skip\'; give it "error" or "drop"'),
        ("k_core = 1", 'id_matching = "lower"', 'give it "trim" or "exact" or "trim.lower"'),
        ("k_core = 1", 'return_events = "return"', r"return_events = 'return'; give it a list of texts"),
        ("k_core = 1", 'event_column = "fold"', r"HERE: event_column and a table \[events\] of weights"),
        ("k_core = 1", 'rating_column = "fold"', "HERE: rating_column and min_rating need each other"),
        ("k_core = 1", 'rating_column = "fold"\nmin_rating = "3"', "min_rating = '3'; give it a number"),
        ("k_core = 1", 'decimal = ";"', "HERE: decimal must be '.' or ',', but is ';'"),
        ("k_core = 1", "decimal = 5", "decimal = 5; give it a text in quotes, of one character"),
        ("k_core = 1", "events = 3", r"events = 3; give it a table, headed \[events\]"),
        ("[items]", '[events]\nview = "1"\n[items]', r"\[events\] has view = '1'; give it a number"),
        ("[items]", "[events]\nview = nan\n[items]", r"\[events\] has view = nan; give it a number"),
        ('"image"\n', '"image"\ncolumns = "price"\n', r"\[items\] has columns = 'price'; give it a list of texts"),
        ('"image"\n', '"image"\ncolumns = ["id"]\n', r"items\.csv cannot have a further column 'id' of items"),
        ("k_core = 1", "k_core = = 2", "dataset.toml cannot be read as a TOML description"),
    ],
)
def test_a_wrong_description_is_refused_in_one_line(place, old, new, message):
    (place / "dataset.toml").write_text(FULL.replace(old, new, 1))
    with pytest.raises(ValueError, match=message.replace("HERE", f"^{re.escape(str(place))}/dataset.toml")) as caught:
        read(place)
    assert "\n" not in str(caught.value)


def test_a_description_that_is_not_utf_8_is_refused_in_words(place):
    (place / "dataset.toml").write_bytes(b"# caf\xe9\n" + FULL.encode())
    with pytest.raises(ValueError, match=r"dataset\.toml .*: it is not UTF-8 text \(byte 5\); save it as UTF-8$"):
        read(place)


def test_a_split_that_is_asked_for_wins_over_one_that_the_description_cannot_have(tmp_path):
    rows = "".join(f"u{number % 3},i{number}\n" for number in range(12))
    (tmp_path / "clicks.csv").write_text(f"user,item\n{rows}")
    tables = 'interactions = "clicks.csv"\nuser_column = "user"\nitem_column = "item"\n'
    (tmp_path / "dataset.toml").write_text(f'{tables}[split]\nmethod = "time"\n')
    with pytest.raises(ValueError, match="split.method time needs the time of every interaction"):
        load_data(tmp_path)
    asked = SplitSettings(method="random", seed=3)
    data = load_data(tmp_path, asked)
    (tmp_path / "plain.toml").write_text(tables)
    assert data.fingerprint == load_data(tmp_path / "plain.toml", asked).fingerprint
    assert data.split_report.requested == SplitSettings(method="random", ratios=(8, 1, 1), seed=3)


def test_the_same_method_keeps_what_the_description_sets(tmp_path):
    rows = "".join(f"u{number % 3},i{number},2024-01-{number + 1:02}\n" for number in range(12))
    (tmp_path / "clicks.csv").write_text(f"user,item,day\n{rows}")
    (tmp_path / "dataset.toml").write_text(
        'interactions = "clicks.csv"\nuser_column = "user"\nitem_column = "item"\ntime_column = "day"\n'
        '[split]\nmethod = "time"\nvalid_from = 2024-01-05\n'
    )
    data = load_data(tmp_path, SplitSettings(test_from="2024-01-08"))
    assert [data.interactions.count(split) for split in ("train", "valid", "test")] == [4, 3, 5]
