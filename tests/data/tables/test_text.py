"""Text tables, however they are written, give the interactions that are in them."""

import gzip

import pytest

from flatrec.config import SplitSettings
from flatrec.data.items import read_items
from flatrec.data.loading import load_data
from flatrec.data.tables.files import scan
from flatrec.data.tables.text import PLAIN, Layout

PAIRS = [(f"c{user:02}", f"s{item:02}") for user in range(6) for item in range(5)]
ALL = SplitSettings()


def lines(separator=",", cells=("fine",), header=("customer", "sku", "review")):
    rows = [header, *((*interaction, cells[number % len(cells)]) for number, interaction in enumerate(PAIRS))]
    return "".join(separator.join(row) + "\n" for row in rows)


def load(folder, text, *, name="clicks.csv", settings="", k_core=5):
    content = text.encode() if isinstance(text, str) else text
    (folder / name).write_bytes(content)
    (folder / "dataset.toml").write_text(
        f'interactions = "{name}"\nuser_column = "customer"\nitem_column = "sku"\nk_core = {k_core}\n{settings}'
    )
    return load_data(folder)


def found(data):
    interactions = data.interactions
    names = zip(interactions.users.tolist(), interactions.items.tolist(), strict=True)
    return {(data.users[user], data.items[item]) for user, item in names}


def with_marks(separator):
    """A review that begins with a quotation mark, and a later one that ends with one."""
    rows = lines(separator).splitlines()
    rows[3] = rows[3].replace("fine", '"A must have')
    rows[9] = rows[9].replace("fine", 'fits my TV of 55"')
    return "\n".join(rows) + "\n"


def test_quotation_marks_in_a_tsv_swallow_no_row(tmp_path):
    data = load(tmp_path, with_marks("\t"), name="clicks.tsv")
    assert found(data) == set(PAIRS)
    assert data.warnings == ()


def test_lines_within_a_cell_of_a_csv_are_counted_and_said(tmp_path):
    data = load(tmp_path, with_marks(","), k_core=0)
    assert len(data.interactions) == 24
    assert data.cleaning_report.tables[0].joined_lines == 6
    assert data.warnings == (
        'clicks.csv: 6 lines became parts of multi-line cells; if quotation marks are plain text there, set quote = "" '
        "in dataset.toml",
    )
    data = load(tmp_path, with_marks(","), settings='quote = ""\n')
    assert found(data) == set(PAIRS)
    assert data.warnings == ()


def test_an_id_with_a_line_break_is_said(tmp_path):
    data = load(tmp_path, lines().replace("c01,s02", '"c01\nx",s02'), k_core=0)
    assert (data.cleaning_report.tables[0].joined_lines, data.cleaning_report.tables[0].broken_ids) == (1, 1)
    assert "1 line became parts of multi-line cells, 1 id among them" in data.warnings[0]


@pytest.mark.parametrize(
    ("cell", "title"),
    [
        ('"Best" mug', '"Best" mug'),
        ('12" pan', '12" pan'),
        ('"open mug', '"open mug'),
        ('mug"', 'mug"'),
        ('"a ""quoted"" mug"', 'a "quoted" mug'),
        ('"a\tmug"', "a\tmug"),
        ('"line\nbreak"', "line\nbreak"),
    ],
)
def test_titles_of_a_tsv_are_unquoted_only_where_all_marks_enclose_cells(tmp_path, cell, title):
    (tmp_path / "items.tsv").write_text(f"sku\tname\ns0\tmug\ns1\t{cell}\ns2\tpan\n")
    assert read_items(tmp_path / "items.tsv").column("name") == {"s0": "mug", "s1": title, "s2": "pan"}


def test_two_titles_with_one_mark_each_are_two_titles(tmp_path):
    (tmp_path / "items.tsv").write_text('sku\tname\ns0\t"Best mug\ns1\tmug 12"\n')
    assert read_items(tmp_path / "items.tsv").column("name") == {"s0": '"Best mug', "s1": 'mug 12"'}


def test_a_stray_mark_in_a_csv_is_refused_with_its_line_and_the_way_out(tmp_path):
    text = lines().replace("c01,s02,fine", 'c01,s02,12" pan')
    with pytest.raises(ValueError, match=r'clicks\.csv .* line 9 has a quotation mark .* set quote = ""'):
        load(tmp_path, text)
    assert found(load(tmp_path, text, settings='quote = ""\n')) == set(PAIRS)


def test_a_line_with_too_many_cells_is_named(tmp_path):
    with pytest.raises(ValueError, match="line 9 has 4 cells, but its header 3"):
        load(tmp_path, lines().replace("c01,s02,fine", "c01,s02,fine,x"))


@pytest.mark.parametrize(
    "header",
    [
        '"customer";"sku";"price, in EUR, net, or gross"',
        "customer;sku;price, in EUR, net, or gross",
        "customer\tsku\tprice, in EUR, net, or gross",
        'customer,sku,"a;b;c;d;e"',
        "customer|sku|a,b",
    ],
)
def test_the_separator_is_the_one_that_gives_the_wanted_columns(tmp_path, header):
    separator = next(mark for mark in ";\t|," if mark in header.replace('"a;b;c;d;e"', ""))
    body = lines(separator).split("\n", 1)[1]
    assert found(load(tmp_path, f"{header}\n{body}")) == set(PAIRS)


def test_the_separator_is_seen_by_the_usual_names_too(tmp_path):
    (tmp_path / "clicks.csv").write_text("user;item;a,b,c,d\n" + "".join(f"{u};{i};x\n" for u, i in PAIRS))
    assert found(load_data(tmp_path / "clicks.csv")) == set(PAIRS)


@pytest.mark.parametrize("first", ["sep=;\n", '"sep=;"\n', "SEP=;\r\n"])
def test_the_first_line_that_excel_writes_names_the_separator(tmp_path, first):
    assert found(load(tmp_path, first + lines(";"))) == set(PAIRS)


def test_separator_and_quote_may_be_given(tmp_path):
    text = lines("#").replace("c01#s02", "'c01'#'s02'")
    assert found(load(tmp_path, text, settings="separator = '#'\nquote = \"'\"\n")) == set(PAIRS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('separator = "##"', "separator must be one ASCII character"),
        ('quote = "ab"', "quote must be one ASCII character"),
        ('encoding = "base64"', "encoding must be the name of a text encoding"),
        ('encoding = "none"', "encoding must be the name of a text encoding"),
        ("separator = 3", "has separator = 3; give it a text"),
        ('encoding = "ascii"', r"clicks\.csv is not ascii text"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        load(tmp_path, lines(cells=("é",)), settings=settings + "\n")


@pytest.mark.parametrize("end", ["\n\n", "\n\n\n\n", "\n   \n", "\n,,\n"])
@pytest.mark.parametrize("place", [0, 4, 30])
def test_blank_lines_are_no_rows(tmp_path, end, place):
    rows = lines().splitlines()
    if not place and "," in end:
        pytest.skip("a first line of separators is a header")
    text = "\n".join(rows[:place]) + end + "\n".join(rows[place:])
    for one in (text, text.replace("\n", "\r\n"), text + "\n\n"):
        data = load(tmp_path, one)
        assert found(data) == set(PAIRS)
        assert data.warnings == ()


@pytest.mark.parametrize(
    ("row", "what"), [("c01,", "item"), (",s01", "user"), ("  ,s01", "user"), (",,a review", "user"), ("c01", "item")]
)
def test_a_row_that_lacks_an_id_is_refused_with_its_line(tmp_path, row, what):
    with pytest.raises(
        ValueError, match=rf"clicks\.csv has 1 of 31 interactions without {what} id, the first in line 33;"
    ):
        load(tmp_path, lines() + "\n" + row + "\n")


@pytest.mark.parametrize("name", ["clicks.csv", "clicks.tsv"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"])
def test_every_encoding_is_read_once_it_is_named(tmp_path, name, pack, encoding):
    text = lines("\t" if name.endswith("tsv") else ",", cells=("é",)).replace("c01", "cé1")
    pack_state = pack(text.encode(encoding))
    data = load(
        tmp_path,
        pack_state,
        name=name + ".gz" * (pack is gzip.compress),
        settings=f'encoding = "{encoding}"\nname = "n"\n',
    )
    assert found(data) == {(user.replace("c01", "cé1"), item) for user, item in PAIRS}


@pytest.mark.parametrize(
    ("encoding", "hint"),
    [("utf-16", "utf-16"), ("utf-16-le", "utf-16-le"), ("utf-16-be", "utf-16-be"), ("cp1252", "cp1252")],
)
@pytest.mark.parametrize("where", ["c01", "review"])
def test_another_encoding_is_named_with_the_key(tmp_path, encoding, hint, where):
    text = lines().replace(where, "é")
    with pytest.raises(
        ValueError, match=rf'clicks\.csv cannot be read .*encoding = "{hint}" in dataset\.toml'
    ) as error:
        load(tmp_path, text.encode(encoding))
    assert len(str(error.value)) < 500


def test_lines_that_end_as_on_an_old_mac_are_read(tmp_path):
    assert found(load(tmp_path, lines().replace("\n", "\r"))) == set(PAIRS)


@pytest.mark.parametrize("content", [b"\0" * 5_000, b"a\0b,c\n1,2\n", b"x" * 100_000, b",".join([b"c"] * 10_000)])
def test_what_is_no_table_gets_a_short_message(tmp_path, content):
    with pytest.raises(ValueError, match=r"clicks\.csv") as error:
        load(tmp_path, content)
    assert len(str(error.value)) < 500
    assert "utf-16" not in str(error.value)


def test_a_damaged_archive_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"clicks\.csv\.gz cannot be decompressed .* fetch or write it again"):
        load(tmp_path, gzip.compress(lines().encode())[:-9], name="clicks.csv.gz")


def test_a_packed_table_alone_has_the_name_of_what_is_packed(tmp_path):
    text = lines(header=("user", "item", "review"))
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(text.encode()))
    data = load_data(tmp_path / "log.csv.gz")
    assert (data.name, found(data)) == ("log", set(PAIRS))


def test_each_table_of_a_description_has_a_layout_of_its_own(tmp_path):
    (tmp_path / "items.csv").write_bytes("sku#name\ns00#'Tür#1'\ns01#b\n".encode("cp1252"))
    (tmp_path / "image.csv").write_text("sku|a|b\n" + "".join(f"s{item:02}|{item}|1\n" for item in range(5)))
    data = load(
        tmp_path,
        lines(";"),
        settings='[items]\nfile = "items.csv"\nid_column = "sku"\ntitle_column = "name"\nseparator = "#"\n'
        'quote = "\'"\nencoding = "cp1252"\n[features.image]\nfile = "image.csv"\nid_column = "sku"\nseparator = "|"\n',
    )
    assert data.titles == ("Tür#1", "b", "s02", "s03", "s04")
    assert data.features["image"].values[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert data.warnings == ("3 items without a row in the table of items; kept, and shown by their ids",)


def test_a_row_is_found_again_in_its_file(tmp_path):
    (tmp_path / "a.csv").write_text("\n\nuser,item\n1,2\n\n3,4\n")
    rows = scan(tmp_path / "a.csv", PLAIN).select({"user": "user"})
    assert [rows.position(row) for row in range(2)] == ["line 4", "line 6"]
    assert Layout(";").separator == ";"


@pytest.mark.parametrize("start", ["\n", "\r\n", " \n\n"])
def test_blank_lines_behind_a_byte_order_mark_are_skipped(tmp_path, start):
    data = load(tmp_path, b"\xef\xbb\xbf" + (start + lines()).encode(), k_core=0)
    assert found(data) == set(PAIRS)
    assert data.warnings == ()


def test_a_quotation_mark_is_no_separator(tmp_path):
    data = load(tmp_path, lines(";").replace("fine", ",fine,"), k_core=0, settings='quote = ","\n')
    assert found(data) == set(PAIRS)


@pytest.mark.parametrize("header", ["customer,sku,sku", 'customer,"sku","sku"', "customer,sku,price,sku"])
def test_a_column_that_is_there_twice_is_refused(tmp_path, header):
    row = ",".join("abcd"[: header.count(",") + 1])
    with pytest.raises(ValueError, match="clicks.csv has 2 columns 'sku'; rename all but one of them"):
        load(tmp_path, f"{header}\n{row}\n", k_core=0)


def test_a_column_that_is_not_read_may_be_there_twice(tmp_path):
    data = load(tmp_path, "customer,sku,price,price\na,b,1,2\n", k_core=0)
    assert found(data) == {("a", "b")}
