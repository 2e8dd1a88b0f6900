import csv
import io
import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from flatrec.research.reporting.demo_page import (
    DataFacts,
    DemoReport,
    Measurement,
    ReportItem,
    ReportUser,
    context,
    render,
    summary,
)
from flatrec.research.reporting.figures import Curve
from flatrec.research.reporting.formats import metric_name, p_value, percent
from flatrec.research.reporting.html import image_uri

PNG, JPEG = b"\x89PNG\r\n\x1a\n....", b"\xff\xd8\xff\xe0...."
HOSTILE = '<script>alert("1")</script> & <img src=http://evil.example/x.png onerror=alert(1)>'
ADDRESSES = {"src", "href", "srcset", "action", "data", "poster", "background", "xlink:href"}


def measured(mean, gain=None, p=None):
    return {"recall@10": Measurement(mean, 0.01, gain, p), "ndcg@10": Measurement(mean / 2, 0.01, gain, p)}


def make(seeds=5, **others):
    strategies = {"plain": measured(0.3)} | {name.replace("_plus", "+"): cells for name, cells in others.items()}
    return DemoReport(
        title="A comparison",
        data=DataFacts("toys", 1000, 200, 5000, {"train": 4000, "valid": 400, "test": 600}),
        model="FREEDOM",
        n_seeds=seeds,
        strategies=strategies,
        headline="recall@10",
        curves=(Curve("plain", ({1: 0.1, 2: 0.2},)),),
        losses=(Curve("plain", ({1: 0.7, 2: 0.6},)),),
        baselines={"item-knn": {"recall@10": 0.27, "ndcg@10": 0.13}},
        users=(
            ReportUser(
                user="user-7",
                bought=(ReportItem("Red mug", PNG), ReportItem("Blue lamp")),
                held_out=(ReportItem("Green hat", PNG, 1.5, 2, "test"),),
                recommended=(
                    ReportItem("Grey bag", JPEG, 2.5, 1, "valid"),
                    ReportItem("Green hat", PNG, 1.5, 2, "test"),
                    ReportItem("Pink vase", PNG, 1.0, 3),
                ),
                n_unshown=4,
            ),
        ),
        source="bsam+, seed 0",
        choice="Chosen by lot.",
        settings={"Seeds": "0, 1", "Optimizer": "Adam, lr 0.005"},
    )


REPORT = make(bsam=measured(0.301, 0.0033, 0.4), bsam_plus=measured(0.3093, 0.031, 0.03))


class Page(HTMLParser):
    """The tags, addresses and words of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.downloads, self.handlers, self.words = [], [], {}, [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "a":
            assert dict(attrs).keys() == {"class", "download", "href", "aria-label"}
            self.downloads[dict(attrs)["download"]] = dict(attrs)["href"]
        else:
            self.addresses += [value for name, value in attrs if name in ADDRESSES]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words).replace("\N{NO-BREAK SPACE}", " "))


def plain(text):
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_the_page_has_all_its_parts():
    text = Page(render(REPORT)).text
    for part in (
        "A comparison",
        "1,000 users, 200 items and 5,000 interactions",
        "2.5 % of all",
        "FREEDOM with",
        "0.3093 ± 0.0100",
        "+3.1 %, p = 0.03",
        "baseline",
        "NDCG@10",
        "Baselines",
        "0.2700",
        "user-7",
        "Bought before (4 more not shown)",
        "Recommended: 1 of 1 held-out purchase found",
        "Red mug",
        "no image",
        "score 2.50",
        "✓ test",
        "✓ validation",
        "Chosen by lot.",
        "Learning curves",
        "Adam, lr 0.005",
    ):
        assert part in text
    assert plain(summary(REPORT)) in text
    assert plain(context(REPORT)) in text


def test_nothing_is_loaded_from_anywhere_and_no_script_runs():
    html = render(REPORT)
    page = Page(html)
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert all(address.startswith("data:text/csv;") for address in page.downloads.values())
    assert not {"script", "link", "iframe", "object", "base"} & set(page.tags)
    assert not page.handlers
    assert not re.search(r"https?:|@import|url\(|//", re.sub(r"base64,[A-Za-z0-9+/=]+", "", html))


def test_hostile_texts_stay_texts():
    bad = ReportItem(HOSTILE, PNG, 1.0, 1, "test")
    shopper = ReportUser(HOSTILE, (bad,), (bad,), (bad,))
    page = Page(
        render(
            replace(
                REPORT,
                title=HOSTILE,
                data=replace(REPORT.data, name=HOSTILE),
                model=HOSTILE,
                strategies=dict(REPORT.strategies) | {HOSTILE: measured(0.4, 0.1, 0.01)},
                baselines={HOSTILE: {"recall@10": 0.1, "ndcg@10": 0.1}},
                users=(shopper,),
                source=HOSTILE,
                choice=HOSTILE,
                settings={HOSTILE: HOSTILE},
            )
        )
    )
    assert "script" not in page.tags
    assert not page.handlers
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert HOSTILE in page.text


def test_a_report_of_the_comparison_alone_has_no_empty_sections():
    bare = replace(REPORT, curves=(), losses=(), baselines={}, users=(), settings={})
    text = Page(render(bare)).text
    for section in ("Baselines", "What it recommends", "Learning curves", "How it was made", "For scale"):
        assert section not in text


def test_both_tables_are_there_as_csv_with_all_digits():
    report = make(seeds=3, bsam=measured(1 / 3, 0.1 + 0.2, 1e-7))
    downloads = Page(render(report)).downloads
    assert list(downloads) == ["comparison.csv", "baselines.csv"]
    rows, baselines = (
        list(csv.reader(io.StringIO(b64decode(address.partition("base64,")[2]).decode())))
        for address in downloads.values()
    )
    assert rows[0] == [
        "strategy",
        *("recall@10", "recall@10 deviation", "recall@10 gain", "recall@10 p"),
        *("ndcg@10", "ndcg@10 deviation", "ndcg@10 gain", "ndcg@10 p"),
        "seeds",
    ]
    assert rows[1][:5] == ["plain", "0.3", "0.01", "", ""]
    assert [float(value) for value in rows[2][1:5]] == [1 / 3, 0.01, 0.1 + 0.2, 1e-7]
    assert rows[2][-1] == "3"
    assert baselines == [["metric", "item-knn"], ["recall@10", "0.27"], ["ndcg@10", "0.13"]]
    assert list(Page(render(replace(report, baselines={}))).downloads) == ["comparison.csv"]


def test_the_page_adapts_to_phones_print_and_dark_rooms():
    html = render(REPORT)
    for query in ("prefers-color-scheme: dark", "max-width: 640px", "@media print", 'name="viewport"'):
        assert query in html


def test_only_a_significant_difference_is_marked_in_the_table():
    assert render(make(bsam=measured(0.31, 0.03, 0.049))).count('class="clear"') == 2
    assert 'class="clear"' not in render(make(bsam=measured(0.31, 0.03, 0.051)))


def test_one_seed_shows_no_deviation():
    assert "±" not in Page(render(make(seeds=1, bsam=measured(0.31, 0.03)))).text.replace("Mean ±", "")


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (
            make(bsam=measured(0.301, 0.0033, 0.4), bsam_plus=measured(0.3093, 0.031, 0.03)),
            "bsam+ beats plain by 3.1 % in Recall@10 (p = 0.03); with 5 seeds and Holm's correction. "
            "Not significant: bsam (+0.3 %).",
        ),
        (
            make(bsam=measured(0.28, -0.0667, 0.0004)),
            "bsam falls behind plain by 6.7 % in Recall@10 (p < 0.001); with 5 seeds and Holm's correction.",
        ),
        (
            make(bsam=measured(0.29, -0.0333, 1.0), bsam_plus=measured(0.31, 0.0333, 0.2)),
            "No difference from plain in Recall@10 is significant over 5 seeds (bsam −3.3 %, bsam+ +3.3 %).",
        ),
        (
            make(seeds=2, bsam=measured(0.31, 0.0333, 0.2)),
            "No difference from plain in Recall@10 is significant over 2 seeds (bsam +3.3 %); "
            "with so few seeds, hardly any could be.",
        ),
        (
            make(seeds=2, bsam=measured(0.31, 0.0333, 0.01)),
            "bsam beats plain by 3.3 % in Recall@10 (p = 0.01); with 2 seeds and Holm's correction. "
            "2 seeds are few: repeat it with 5 or more.",
        ),
        (
            make(seeds=1, bsam=measured(0.31, 0.0333)),
            "Against plain, in Recall@10: bsam +3.3 %. With one seed, a difference cannot be told from chance.",
        ),
        (make(), "Only plain was trained, so there is nothing to compare."),
    ],
)
def test_the_summary_says_what_the_numbers_allow(report, expected):
    assert plain(summary(report)) == expected


def test_the_context_says_so_when_training_does_not_pay():
    assert "reaches 0.300, above the best baseline, item-knn, with 0.270" in context(REPORT)
    better = replace(REPORT, baselines={"popularity": {"recall@10": 0.1}, "item-knn": {"recall@10": 0.3}})
    assert "not above the best baseline, item-knn" in context(better)


def test_numbers_are_written_as_in_print():
    assert plain(percent(0.031)) == "+3.1 %"
    assert plain(percent(-0.031)) == "−3.1 %"
    assert plain(percent(-0.0001)) == "0.0 %"
    assert percent(None) == "–"
    assert (p_value(0.0003), p_value(0.0312), p_value(1.0)) == ("p < 0.001", "p = 0.031", "p = 1")
    assert [metric_name(name) for name in ("recall@10", "ndcg@5", "hit_rate@1", "item_coverage@5", "loss")] == [
        "Recall@10",
        "NDCG@5",
        "Hit rate@1",
        "Item coverage@5",
        "Loss",
    ]


def test_a_image_keeps_its_type():
    assert image_uri(PNG).startswith("data:image/png;base64,iVBOR")
    assert image_uri(JPEG).startswith("data:image/jpeg;base64,/9j/")
