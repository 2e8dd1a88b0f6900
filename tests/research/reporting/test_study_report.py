import hashlib
import re
from base64 import b64decode, b64encode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from flatrec.research.reporting import study_result
from flatrec.research.reporting.study_report import (
    MAX_SVG_BYTES,
    Chapter,
    html,
    latex_text,
    load,
    markdown_text,
    sort_value,
)
from flatrec.research.reporting.study_result import CardColumn, CardEntry, Column, Failure, Image, StudyResult, Table

SVG, PNG = b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x89PNG\r\n\x1a\n...."
HOSTILE = "<script>alert('1')</script> & \"<img src=http://evil.example/x.png onerror=alert(1)>\""
ADDRESSES = {"src", "href", "srcset", "action", "data", "poster", "background", "xlink:href"}
VOID = {"meta", "img", "circle"}

SCORES = Table(
    "scores",
    "Scores of all",
    (Column("strategy"), Column("mean ± deviation"), Column("gain", "percent"), Column("seconds", "number", 1)),
    (("plain", "0.06 ± 0.01", None, 10.25), ("bsam+", "0.07 ± 0.01", 0.0312, 2.0)),
    "Less is quicker.",
)
DETAILS = replace(SCORES, name="scores-details", title="Scores, in full")
COLUMNS = (
    CardColumn(
        "score",
        "Test Recall@10",
        (
            CardEntry("toys", "freedom", "plain", 0.06, 0.0012),
            CardEntry("toys", "freedom", "bsam+", 0.063, 0.0013),
        ),
        higher_is_better=True,
    ),
    CardColumn(
        "gain",
        "Gain over plain",
        (CardEntry("toys", "freedom", "bsam+", 0.05, None, 0.012, "plain", ahead=True),),
        "in test Recall@10",
        "%",
        higher_is_better=True,
    ),
    CardColumn(
        "embeddings",
        "Drop, noisy embeddings",
        (
            CardEntry("toys", "freedom", "plain", 0.25, 0.01, condition="Recall@10, variance 0.1"),
            CardEntry("toys", "freedom", "bsam+", -0.02, 0.01, 0.8, "plain", True, "Recall@10, variance 0.1"),
        ),
        "under noise on embeddings",
        "%",
    ),
)
RESULT = StudyResult(
    "speed",
    "Speed of strategies",
    "Which is quicker?",
    (SCORES, DETAILS),
    (Image("curve", "Learning curve", "Over epochs."),),
    ("bsam+ is quicker (p < 0.001).", "Not significant: plain."),
    (Failure("toys freedom plain seed 3", "loss is nan"),),
    {"training.epochs": "80"},
    {"toys": "0123456789abcdef"},
)


def chapter(one=RESULT, folder="runs/speed"):
    return Chapter(Path(folder), one, {image.name: "data:," for image in one.images})


def stored(folder, one=RESULT, svg=SVG, png=PNG):
    (folder / "figures").mkdir(parents=True)
    study_result.write_study_result(folder, one)
    for image in one.images:
        for ending, content in (("svg", svg), ("png", png)):
            if content is not None:
                (folder / "figures" / f"{image.name}.{ending}").write_bytes(content)
    return folder


class Page(HTMLParser):
    """The tags of a page, what they hold, and where."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words, self.problems = [], [], [], []
        self.feed(text)
        self.problems += self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID and self.open.pop() != tag:
            self.problems.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append((data, tuple(self.open)))

    @property
    def text(self):
        words = " ".join(word for word, _ in self.words).replace("\N{NO-BREAK SPACE}", " ")
        return re.sub(r"\s+", " ", words)

    def all(self, tag, **wanted):
        named = {name.replace("_", "-"): value for name, value in wanted.items()}
        return [attrs for one, attrs, _ in self.tags if one == tag and named.items() <= attrs.items()]

    def parents(self, word):
        return next(parents for text, parents in self.words if text.strip() == word)


def test_a_study_is_shown_with_all_its_parts():
    page = Page(html([chapter()]))
    for part in (
        "flatrec: studies",
        "Speed of strategies",
        "Which is quicker?",
        "bsam+ is quicker (p < 0.001).",
        "Not significant: plain.",
        "Scores of all",
        "+3.1 %",
        "10.2",
        "Less is quicker.",
        "Learning curve Over epochs.",
        "Runs that failed",
        "toys freedom plain seed 3 loss is nan",
        "training.epochs 80",
        "toys 01234567",
        "(1 failed)",
    ):
        assert part in page.text
    assert "0123456789" not in page.text
    assert page.parents("bsam+ is quicker (p < 0.001).")[-2:] == ("ul", "li")
    assert "details" in page.parents("training.epochs")
    assert page.parents("flatrec: studies")[-1] == "title"


def test_the_page_is_well_formed_and_every_link_leads_somewhere():
    page = Page(html([chapter(), chapter(replace(RESULT, card_columns=COLUMNS), "runs/overall")]))
    assert page.problems == []
    ids = [attrs["id"] for _, attrs, _ in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"] for attrs in page.all("a") if "download" not in attrs]
    assert links == ["#cards", "#study-1", "#study-2"]
    assert {link[1:] for link in links} <= set(ids)


def test_cells_carry_their_raw_value_and_numbers_stand_right():
    page = Page(html([chapter(replace(RESULT, tables=(SCORES,), failures=()))]))
    assert page.all("td") == [
        {"data-value": "0.06"},
        {"class": "number", "data-value": ""},
        {"class": "number", "data-value": "10.25"},
        {"data-value": "0.07"},
        {"class": "number", "data-value": "0.0312"},
        {"class": "number", "data-value": "2.0"},
    ]
    assert [attrs.get("class") for attrs in page.all("th", scope="col")] == [None, None, "number", "number"]
    assert page.all("th", scope="row") == [{"scope": "row"}, {"scope": "row"}]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""), (0.1 + 0.2, "0.30000000000000004"), (7, "7"), ("1e-06", "1e-06"), ("0.05 ± 0.01 (+3 %)", "0.05"),
        ("2 of 5", "2"), ("-3.5", "-3.5"), ("", None), ("bsam+", None), ("3d", None), ("2.x", None), ("rho 0.1", None),
    ],
)  # fmt: skip
def test_a_text_that_begins_with_a_number_is_sorted_by_it(value, expected):
    assert sort_value(value) == expected


def test_every_table_scrolls_in_a_box_that_the_keyboard_reaches():
    page = Page(html([chapter(), chapter(replace(RESULT, card_columns=COLUMNS), "runs/overall")]))
    tables = [parents for tag, _, parents in page.tags if tag == "table"]
    assert len(tables) == 7  # two tables and the failures of each study, and a card
    assert all(parents[-1] == "div" for parents in tables)
    boxes = page.all("div", **{"class": "scroll"})
    assert len(boxes) == 7 + 2
    assert all(box["tabindex"] == "0" and box["role"] == "region" and box["aria-label"] for box in boxes)


@pytest.mark.parametrize(("rows", "folded"), [(40, False), (41, True)])
def test_long_tables_are_folded_away(rows, folded):
    long = replace(SCORES, rows=SCORES.rows[:1] * rows)
    page = Page(html([chapter(replace(RESULT, tables=(long,), settings={}))]))
    assert len(page.all("details")) == folded
    assert (f"Scores of all ({rows} rows)" in page.text) == folded


def test_details_are_folded_away_however_short():
    page = Page(html([chapter(replace(RESULT, settings={}))]))
    assert len(page.all("details")) == 1
    assert "Scores, in full (2 rows)" in page.text


def test_a_study_of_a_table_alone_has_no_empty_parts():
    bare = StudyResult("bare", "Bare", "Why?", (SCORES,))
    text = Page(html([chapter(bare)])).text
    for part in ("Runs that failed", "Settings", "Data sets", "Robustness", "failed)"):
        assert part not in text


def test_cards_show_what_is_known_and_no_column_for_the_rest():
    both = [chapter(replace(RESULT, card_columns=one, failures=(), settings={})) for one in (COLUMNS[:2], COLUMNS[2:])]
    page = Page(html(both))
    text = page.text
    assert "freedom on toys" in text
    assert "Deviation over splits" not in text
    assert "Among those significantly better than plain (p < 0.05), bsam+ is best in test Recall@10;" in text
    assert "plain 0.0600 ± 0.0012 – 25.0 % ± 1.0 %" in text
    assert "bsam+ 0.0630 ± 0.0013 +5.0 % better, p = 0.012 −2.0 % ± 1.0 % p = 0.8" in text
    assert page.all("small", **{"class": "better"})
    cells = [attrs["data-value"] for attrs in page.all("td") if "data-name" in attrs]
    assert cells == ["0.06", "", "0.25", "0.063", "0.05", "-0.02"]
    assert "Drop, noisy embeddings (Recall@10, variance 0.1)" in {cell.get("data-name") for cell in page.all("td")}


def test_small_numbers_of_a_card_keep_their_digits():
    entry = CardEntry("toys", "freedom", "plain", -0.000412345, 123.0)
    sharp = CardColumn("top_eigenvalue", "Top Hessian eigenvalue", (entry,), form="#.3g")
    assert "−0.000412 ± 123 " in Page(html([chapter(replace(RESULT, card_columns=(sharp,)))])).text


def test_nothing_is_loaded_from_anywhere(tmp_path):
    text = html(load([stored(tmp_path / "speed")]))
    page = Page(text)
    named = [(name, value) for _, attrs, _ in page.tags for name, value in attrs.items() if name in ADDRESSES]
    allowed = {"src": ("data:image/",), "href": ("data:text/csv;", "#")}
    assert all(value.startswith(allowed[name]) for name, value in named)
    assert not {"link", "iframe", "object", "base", "form"} & {tag for tag, _, _ in page.tags}
    assert not [name for _, attrs, _ in page.tags for name in attrs if name.startswith("on") or name == "style"]
    assert not re.search(r"https?:|@import|url\(", re.sub(r"base64,[A-Za-z0-9+/=]+", "", text))


def test_hostile_texts_stay_texts():
    table = Table(
        "t", HOSTILE, (Column(HOSTILE), Column(HOSTILE)), ((HOSTILE, HOSTILE), (HOSTILE, None)), note=HOSTILE
    )  # fmt: skip
    entry = CardEntry(HOSTILE, HOSTILE, HOSTILE, 0.1, 0.1, condition=HOSTILE, note=HOSTILE)
    column = CardColumn(HOSTILE, HOSTILE, (entry,), HOSTILE)
    bad = StudyResult(
        HOSTILE, HOSTILE, HOSTILE, (table, replace(table, name="t-details")),
        (Image("curve", HOSTILE, HOSTILE),), (HOSTILE,), (Failure(HOSTILE, HOSTILE),), {HOSTILE: HOSTILE},
        {HOSTILE: HOSTILE}, (column,),
    )  # fmt: skip
    page = Page(html([chapter(bad), chapter(bad, f"runs/{HOSTILE}")]))
    assert page.problems == []
    assert len(page.all("script")) == 1
    assert not [name for _, attrs, _ in page.tags for name in attrs if name.startswith("on")]
    assert {attrs["src"] for attrs in page.all("img")} == {"data:,"}
    assert HOSTILE in page.text


def test_only_the_style_and_the_script_of_the_page_itself_are_allowed():
    text = html([chapter()])
    (policy,) = (attrs["content"] for attrs in Page(text).all("meta") if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_the_page_adapts_to_phones_print_and_dark_rooms():
    text = html([chapter()])
    for part in (
        "prefers-color-scheme: dark",
        "max-width: 640px",
        "@media print",
        "break-inside: avoid",
        "beforeprint",
        "aria-sort",
        'name="viewport"',
        "tabular-nums",
    ):
        assert part in text


def test_figures_are_embedded_as_svg_with_a_text_for_who_cannot_see_them(tmp_path):
    (image,) = Page(html(load([stored(tmp_path / "speed")]))).all("img")
    assert image["alt"] == "Learning curve: Over epochs."
    kind, _, content = image["src"].partition(";base64,")
    assert (kind, b64decode(content)) == ("data:image/svg+xml", SVG)


@pytest.mark.parametrize(
    ("size", "kind"), [(MAX_SVG_BYTES, "data:image/svg+xml"), (MAX_SVG_BYTES + 1, "data:image/png")]
)
def test_a_heavy_figure_is_embedded_as_png(tmp_path, size, kind):
    (one,) = load([stored(tmp_path / "speed", svg=b" " * size)])
    assert one.figures["curve"].partition(";")[0] == kind


def test_a_missing_figure_is_an_error_only_where_it_is_wanted(tmp_path):
    assert load([stored(tmp_path / "one", svg=None)])[0].figures["curve"].startswith("data:image/png")
    folder = stored(tmp_path / "two", svg=None, png=None)
    with pytest.raises(FileNotFoundError, match=r"two lacks its figure figures/curve.png; run the study again"):
        load([folder])
    assert load([folder], figures=False)[0].figures == {}


def test_a_figure_outside_the_folder_is_refused(tmp_path):
    bad = replace(RESULT, images=(Image("../secret", "x"),))
    (tmp_path / "speed").mkdir()
    (tmp_path / "speed" / "secret.svg").write_bytes(SVG)
    study_result.write_study_result(tmp_path / "speed", bad)
    with pytest.raises(ValueError, match="no plain name"):
        load([tmp_path / "speed"])


def test_studies_on_different_data_of_the_same_name_are_not_put_together(tmp_path):
    other = replace(RESULT, fingerprints={"books": "b" * 16, "toys": "fedcba9876543210"})
    folders = [stored(tmp_path / "one"), stored(tmp_path / "two", other)]
    with pytest.raises(ValueError, match="different data under the name toys") as caught:
        load(folders)
    message = str(caught.value)
    assert "\n" not in message
    for part in (*map(str, folders), "01234567", "fedcba98", "make a report of each"):
        assert part in message
    with pytest.raises(ValueError, match="different data under the name toys"):
        html([chapter(), chapter(other)])


def test_studies_on_the_same_and_on_other_data_go_together(tmp_path):
    other = replace(RESULT, fingerprints={"toys": "0123456789abcdef", "books": "b" * 16})
    text = Page(html(load([stored(tmp_path / "one"), stored(tmp_path / "two", other)]))).text
    assert "toys 01234567 books bbbbbbbb" in text


def test_studies_of_the_same_title_are_told_apart_by_their_folders(tmp_path):
    text = Page(html(load([stored(tmp_path / "one"), stored(tmp_path / "two")]))).text
    assert text.count("Speed of strategies (one)") == 2  # in the contents and above the study
    assert text.count("Speed of strategies (two)") == 2
    assert "(speed)" not in Page(html([chapter()])).text


def test_a_folder_given_twice_is_refused(tmp_path):
    folder = stored(tmp_path / "one")
    with pytest.raises(ValueError, match="one is given twice; give each study once"):
        load([folder, folder / ".." / "one"])


def test_a_folder_without_a_study_and_a_damaged_one_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no study"):
        load([tmp_path])
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(ValueError, match=r"study.json is damaged"):
        load([tmp_path])


def test_markdown_has_all_tables_in_order_under_the_titles_of_their_studies():
    lines = markdown_text(
        [chapter(), chapter(replace(RESULT, title="Second", tables=(replace(SCORES, title="Scores of the second"),)))]
    ).splitlines()
    wanted = ["# flatrec: studies", "## Speed of strategies", "**Scores of all**", "**Scores, in full**", "## Second",
              "**Scores of the second**"]  # fmt: skip
    assert [line for line in lines if line in wanted] == wanted
    assert sum(line.startswith("| bsam+") for line in lines) == 3
    assert "Runs that failed" not in "".join(lines)


def test_latex_has_all_tables_in_order_each_with_a_label_of_its_own():
    text = latex_text([chapter(), chapter(replace(RESULT, tables=(SCORES,)))])
    assert re.findall(r"\\label\{(.*?)\}", text) == ["tab:scores", "tab:scores-details", "tab:scores-2"]
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 3


def test_labels_that_become_the_same_are_told_apart():
    tables = tuple(replace(SCORES, name=name) for name in ("a b", "a}b", "a-b-2", "a-b"))
    text = latex_text([chapter(replace(RESULT, tables=tables))])
    assert re.findall(r"\\label\{(.*?)\}", text) == ["tab:a-b", "tab:a-b-2", "tab:a-b-2-2", "tab:a-b-3"]


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_a_figure_that_is_a_link_is_not_shown(tmp_path, ending):
    folder = stored(tmp_path / "one")
    (tmp_path / "secret").write_text("secret")
    figure = next((folder / "figures").glob(f"*.{ending}"))
    figure.unlink()
    figure.symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match=rf"{figure.name} is a link or lies outside of .*one"):
        load([folder])


def test_figures_outside_of_the_folder_of_the_study_are_not_shown(tmp_path):
    folder = stored(tmp_path / "one")
    (folder / "figures").rename(tmp_path / "elsewhere")
    (folder / "figures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="is a link or lies outside of"):
        load([folder])


def test_a_study_that_is_reached_by_a_link_is_shown(tmp_path):
    stored(tmp_path / "one")
    (tmp_path / "link").symlink_to(tmp_path / "one")
    assert load([tmp_path / "link"])[0].figures
