import copy
import csv
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flatrec.research.reporting.formats import cell_text, csv_text, json_text, latex, markdown, percent, write_tables
from flatrec.research.reporting.study_result import Column, Table

COLUMNS = (Column("model"), Column("recall@10", "number"), Column("gain", "percent"), Column("p", "p"))
TABLE = Table(
    "overall",
    "Test scores",
    COLUMNS,
    (("plain", 0.062749, None, None), ("bsam+", 0.0661, 0.031, 0.0004), ("sam", -0.5, -0.0249, 0.034)),
    note="Means over five seeds.",
)
# Whatever UTF-8 can hold, but for NUL, which the csv module of Python 3.10 does not read.
texts = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


def one_cell(text, **settings):
    return Table("one", "One", (Column("a"),), ((text,),), **settings)


def read_back(text):
    return list(csv.reader(io.StringIO(text, newline="")))


def text_table(rows, title="Any"):
    headings, *rest = rows
    return Table("any", title, tuple(Column(name) for name in headings), tuple(map(tuple, rest)), note=title)


def rows_of(width):
    return some.lists(some.lists(texts, min_size=width, max_size=width), min_size=1, max_size=5)


# Headings and rows. Tables are built in the tests: the type checks draw random cells, which strategies must not.
any_rows = some.integers(1, 4).flatmap(rows_of)


@pytest.mark.parametrize(
    ("value", "column", "text"),
    [
        (None, Column("a"), "–"),
        (None, Column("a", "number"), "–"),
        (None, Column("a", "percent"), "–"),
        (None, Column("a", "p"), "–"),
        ("a|b", Column("a"), "a|b"),
        (2048, Column("a"), "2048"),
        (0.06275, Column("a", "number"), "0.0628"),
        (5, Column("a", "number", 0), "5"),
        (-0.25, Column("a", "number", 2), "\N{MINUS SIGN}0.25"),
        (-0.00001, Column("a", "number"), "0.0000"),
        (0.031, Column("a", "percent"), "+3.1\N{NO-BREAK SPACE}%"),
        (-0.031, Column("a", "percent"), "\N{MINUS SIGN}3.1\N{NO-BREAK SPACE}%"),
        (-0.0001, Column("a", "percent"), "0.0\N{NO-BREAK SPACE}%"),
        (0.000999, Column("a", "p"), "< 0.001"),
        (0.001, Column("a", "p"), "0.001"),
        (0.0345, Column("a", "p"), "0.035"),
        (1.0, Column("a", "p"), "1"),
    ],
)
def test_a_cell_is_written_by_the_kind_of_its_column(value, column, text):
    assert cell_text(value, column) == text


@given(some.none() | some.floats(-10, 10), some.integers(0, 3))
def test_a_percentage_is_that_of_the_report(share, digits):
    assert percent(share, digits) == percent(share, digits)


def test_csv_has_headings_all_digits_and_nothing_for_none():
    table = Table("t", "T", COLUMNS, (("plain", 0.1 + 0.2, None, 1e-07),))
    assert csv_text(table) == "model,recall@10,gain,p\r\nplain,0.30000000000000004,,1e-07\r\n"


@pytest.mark.parametrize("text", ["a,b", 'say "a"', "two\nlines", "two\r\nlines", "a\rb", '",\n"', "", " a "])
def test_csv_keeps_commas_quotes_and_line_ends_in_texts(text):
    assert read_back(csv_text(one_cell(text))) == [["a"], [text]]


@given(any_rows)
def test_csv_gives_every_text_back_but_for_an_apostrophe_before_formulas(rows):
    for before, after in zip(rows, read_back(csv_text(text_table(rows))), strict=True):
        for text, found in zip(before, after, strict=True):
            assert found == text or (text[0] in "=+-@\t\r" and found == f"'{text}")


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_csv_has_no_formulas_in_cells_and_headings(text):
    table = Table("t", "T", (Column(text), Column("b", "number")), ((text, -0.5),))
    assert read_back(csv_text(table)) == [[f"'{text}", "b"], [f"'{text}", "-0.5"]]


def test_a_label_of_latex_holds_nothing_but_letters_digits_points_and_hyphens():
    text = latex(replace(TABLE, name=r"x}\input{/etc/passwd}\label{y"))
    assert re.findall(r"\\label\{(.*?)\}", text) == ["tab:x-input-etc-passwd-label-y"]
    assert r"\input" not in text


def test_latex_has_no_control_characters():
    text = latex(Table("t", "a\x00b\x7f", (Column("c\x1bd"),), (("e\x07f",),), "g\x02"))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    assert all(part in text for part in ("a b", "c d", "e f"))


@given(some.floats(allow_nan=False, allow_infinity=False))
def test_csv_gives_every_number_back(number):
    table = Table("t", "T", (Column("a", "number"),), ((number,),))
    assert float(read_back(csv_text(table))[1][0]) == number


def test_json_holds_columns_and_rows():
    tree = json.loads(json_text(TABLE))
    assert tree["name"] == "overall"
    assert tree["columns"][1] == {"name": "recall@10", "kind": "number", "digits": 4, "best": ""}
    assert tree["rows"][0] == ["plain", 0.062749, None, None]


def test_json_refuses_what_is_not_a_number():
    with pytest.raises(ValueError, match="JSON"):
        json_text(Table("t", "T", (Column("a", "number"),), ((float("nan"),),)))


def test_markdown_is_as_worked_by_hand():
    assert markdown(TABLE).splitlines() == [
        "**Test scores**",
        "",
        "| model | recall@10 | gain | p |",
        "| --- | ---: | ---: | ---: |",
        "| plain | 0.0627 | – | – |",
        "| bsam+ | 0.0661 | +3.1\N{NO-BREAK SPACE}% | < 0.001 |",
        "| sam | \N{MINUS SIGN}0.5000 | \N{MINUS SIGN}2.5\N{NO-BREAK SPACE}% | 0.034 |",
        "",
        "*Means over five seeds.*",
    ]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\|b"),
        (r"a\|b", r"a\\\|b"),
        ("*a* _b_ `c`", r"\*a\* \_b\_ \`c\`"),
        ("<b>", r"\<b>"),
        ("a < b", "a < b"),
        ("[a](b)", r"\[a\](b)"),
        ("two\nlines", "two lines"),
    ],
)
def test_markdown_shows_texts_as_they_are(text, escaped):
    table = Table("t", text, (Column(text),), ((text,),), note=text)
    title, _, headings, _, row, _, note = markdown(table).splitlines()
    assert (title, headings, row, note) == (f"**{escaped}**", f"| {escaped} |", f"| {escaped} |", f"*{escaped}*")


def test_markdown_without_a_note_ends_with_the_table():
    assert markdown(one_cell("b")) == "**One**\n\n| a |\n| --- |\n| b |\n"


def test_latex_is_as_worked_by_hand():
    assert latex(TABLE).splitlines() == [
        r"\begin{table}",
        r"\centering",
        r"\caption{Test scores}",
        r"\label{tab:overall}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        r"\begin{tabular}{lrrr}",
        r"\toprule",
        r"model & recall@10 & gain & p \\",
        r"\midrule",
        r"plain & 0.0627 & -- & -- \\",
        r"bsam+ & 0.0661 & +3.1~\% & \textless{} 0.001 \\",
        r"sam & $-$0.5000 & $-$2.5~\% & 0.034 \\",
        r"\bottomrule",
        r"\end{tabular}}",
        r"\par\smallskip{\footnotesize Means over five seeds.\par}",
        r"\end{table}",
    ]


@pytest.mark.parametrize(
    ("character", "escaped"),
    [
        ("&", r"\&"),
        ("%", r"\%"),
        ("$", r"\$"),
        ("#", r"\#"),
        ("_", r"\_"),
        ("{", r"\{"),
        ("}", r"\}"),
        ("~", r"\textasciitilde{}"),
        ("^", r"\textasciicircum{}"),
        ("\\", r"\textbackslash{}"),
        ("<", r"\textless{}"),
        (">", r"\textgreater{}"),
        ("|", r"\textbar{}"),
        ("[", "{[}"),
        ("*", "{*}"),
        ("\n", " "),
    ],
)
def test_latex_escapes_every_special_character_everywhere(character, escaped):
    text, expected = f"a{character}b", f"a{escaped}b"
    lines = latex(Table("t", text, (Column(text),), ((text,),), note=text)).splitlines()
    assert rf"\caption{{{expected}}}" in lines
    assert lines.count(rf"{expected} \\") == 2  # heading and row
    assert rf"\par\smallskip{{\footnotesize {expected}\par}}" in lines


def test_latex_without_a_note_has_none():
    assert "footnotesize" not in latex(one_cell("b"))


@given(any_rows, texts)
def test_equal_tables_give_equal_texts(rows, title):
    table, other = text_table(rows, title), text_table(copy.deepcopy(rows), title)
    for written in (csv_text, json_text, markdown, latex):
        assert written(other) == written(table)


def test_tables_become_files_that_hold_the_texts(tmp_path):
    write_tables(tmp_path, [TABLE, one_cell("two\nlines")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.csv", "one.json", "overall.csv", "overall.json"]
    assert (tmp_path / "overall.csv").read_bytes().decode() == csv_text(TABLE)
    assert (tmp_path / "one.csv").read_bytes() == b'a\r\n"two\nlines"\r\n'
    assert (tmp_path / "one.json").read_text(encoding="utf-8") == json_text(one_cell("two\nlines"))


def test_a_table_that_cannot_be_written_leaves_the_old_files(tmp_path):
    write_tables(tmp_path, [one_cell("old")])
    with pytest.raises(ValueError, match="JSON"):
        write_tables(tmp_path, [Table("one", "One", (Column("a", "number"),), ((float("inf"),),))])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.csv", "one.json"]
    assert (tmp_path / "one.csv").read_bytes() == b"a\r\nold\r\n"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="choose a folder that exists"):
        write_tables(tmp_path / "nowhere", [TABLE])


COMPARED = Table(
    "compared",
    "Compared",
    (
        Column("data"), Column("strategy"), Column("recall", "number", best="highest"), Column("loss", best="lowest"),
        Column("gain", "percent", best="highest"), Column("deviation", "number"),
    ),
    (
        ("toys", "plain", 0.50004, "0.5 ± 0.1", None, 9.0),
        ("toys", "sam", 0.5, "0.25 ± 0.1 (+50 %)", 0.5, 8.0),
        ("toys", "bsam", 0.25, "none", -0.5, 7.0),
        ("books", "plain", 0.75, "1e-3", 0.1, 6.0),
        ("games", "plain", 0.5, None, 0.1, 5.0),
        ("games", "sam", 0.5, None, 0.1, 5.0),
    ),
    compares="strategy",
)  # fmt: skip


def test_the_best_of_each_group_is_bold_in_latex():
    bold = re.findall(r"\\textbf\{(.*?)\}", latex(COMPARED))
    # Equal as printed are the two of toys; alone is books; equal are all of games.
    assert bold == ["0.5000", "0.5000", r"0.25 ± 0.1 (+50 \%)", r"+50.0~\%"]
    assert r"\textbf" not in latex(replace(COMPARED, compares=""))
    assert r"\textbf" not in latex(replace(COMPARED, compares="absent"))


def test_latex_has_the_rules_of_booktabs_and_as_many_cells_in_each_row_as_columns():
    hostile = Table("h", "a & b", (Column("c & d"), Column("\\e")), ((r"\& & \\ % # _ { } ~ ^", "[x] * < > | $"),) * 3)
    for table in (TABLE, COMPARED, hostile):
        lines = latex(table).splitlines()
        top, middle, bottom = (lines.index(rf"\{rule}rule") for rule in ("top", "mid", "bottom"))
        rows = [*lines[top + 1 : middle], *lines[middle + 1 : bottom]]
        assert middle == top + 2
        assert len(rows) == len(table.rows) + 1
        assert all(row.endswith(r" \\") for row in rows)
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(table.columns)}
        assert len(re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", lines[top - 1])[1]) == len(table.columns)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="this test needs pdflatex with booktabs")
def test_latex_compiles(tmp_path):
    hostile = Table(
        "x_y", r"\& % # _ {", (Column("$a$"), Column(r"\b", "number")), ((r"\input{/etc/passwd} ~^ [ * < > | –", -0.5),)
    )
    wide = Table("wide", "Wide", tuple(Column(f"column {n}") for n in range(20)), (("a long word",) * 20,))
    others = (hostile, replace(hostile, name="other", note=r"\c & d"))
    tables = "\n".join(map(latex, (TABLE, COMPARED, wide, *others)))
    (tmp_path / "all.tex").write_text(
        rf"\documentclass{{article}}\usepackage{{booktabs,graphicx}}\begin{{document}}{tables}\end{{document}}",
        encoding="utf-8",
    )
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "all.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in done.stdout
    assert "Overfull" not in done.stdout
    assert (tmp_path / "all.pdf").stat().st_size > 10_000
