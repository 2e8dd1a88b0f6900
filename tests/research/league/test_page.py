"""The reports of a season: sentences, pages and JSON."""

from __future__ import annotations

import base64
import json
import random
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from flatrec.research.league import Comparison, Finished, Method, Plan
from flatrec.research.league.report import JSON, MARKDOWN, PAGE, with_other_cells, write_reports
from flatrec.research.league.results import SeasonResults
from tests.research.league.made import BASE, SEEDS, final, finished, joined, league, plus, trial
from tests.research.league.test_verdict import STEPS, UNDER

CLAIM = Comparison("new", "base", "recall@20", claim="new ones are better.")
NASTY = 'a<b onmouseover="x">&|*_`$x$'


@pytest.fixture(scope="module")
def whole():
    """A season in which everything is recorded."""
    of = league(("base", "new", "dear"), [CLAIM, Comparison("dear", "base", "recall@20"), *UNDER])
    records = finished({"base": BASE, "new": plus(BASE, STEPS), "dear": plus(BASE, (0.01, -0.01, 0.02, -0.03, 0.0))})
    finals = [
        replace(
            one,
            seconds={"base": 8.0, "new": 10.0, "dear": 40.0}[one.method],
            disturbed={"vectors=0.5": ({"recall@20": 0.5 * one.test["recall@20"] + 0.001 * one.seed},)},
        )
        for one in records.finals
    ]
    return of, replace(records, finals=tuple(finals))


def test_the_same_records_in_any_order_give_the_same_bytes(whole, tmp_path):
    of, records = whole
    contents = []
    for seed in range(2):
        mixed = [list(records.trials), list(records.finals)]
        for rows in mixed:
            random.Random(seed).shuffle(rows)
        folder = tmp_path / str(seed)
        folder.mkdir()
        write_reports(of, Finished(tuple(mixed[0]), tuple(mixed[1]), (("a run", "failed"),) * seed), folder)
        contents.append([(folder / name).read_bytes() for name in (JSON, MARKDOWN, PAGE)])
    assert contents[0] == contents[1]


def test_the_summary_is_made_of_the_numbers(whole):
    best, claim, unclear, of_metrics, of_fractions = SeasonResults.of(*whole).summary()
    assert best == (
        "cell: new has the best mean Recall@20 on the test split, 0.2600 ± 0.0453 (5 seeds), +8.3\u00a0% against base "
        "at 1.25 times its seconds; cheaper and not dominated: base (−7.7\u00a0%, 0.80 times its seconds)."
    )
    # p = 0.0032 of three tests, by hand in test_verdict.
    assert (
        claim
        == "Claim: New ones are better (new against base, Recall@20): confirmed in cell (+8.3\u00a0%, p = 0.0096)."
    )
    assert unclear.startswith("No difference is shown of dear against base (cell, −0.8\u00a0%)")
    assert re.fullmatch(
        r"In tests of metrics, 5 seeds could have shown, with probability 0.8, differences of 5.0.% to \d+.\d.% of the "
        r"baseline at level 0.05, and of \d.\d.% to \d+.\d.% at the strictest step of the correction \(3 tests\); "
        "smaller ones remain unknown.",
        of_metrics,
    )
    assert of_fractions.startswith("In tests of what is left under disturbances, 5 seeds")


def test_the_summary_says_what_is_missing():
    of = league(comparisons=[CLAIM])
    assert SeasonResults.of(of, Finished((), ())).summary() == (
        "cell: no final is recorded yet (0 of 4 trials are).",
        "Claim: New ones are better (new against base, Recall@20): open in cell.",
        "Open tests, as not all runs are recorded: 1 of 1.",
    )
    best, claim, reason = SeasonResults.of(of, finished({"base": BASE}, new=(None, None))).summary()
    assert best.endswith("base has the best mean Recall@20 on the test split, 0.2400 ± 0.0418 (5 seeds).")
    assert claim == "Claim: New ones are better (new against base, Recall@20): no test in cell."
    assert reason == "There is no test of new against base, cell: new: all 2 trials diverged."


def test_a_season_that_is_half_done_says_so():
    first, *_ = SeasonResults.of(league(), finished({"base": BASE, "new": BASE[:2]})).summary()
    assert first.startswith("cell: so far, with 1 of 2 methods complete, ")


def test_names_are_text_on_every_page(tmp_path):
    of = league((NASTY, "new"), [Comparison("new", NASTY, "recall@20", claim=NASTY)], cells=(f"{NASTY}cell",))
    records = finished({NASTY: BASE, "new": plus(BASE, STEPS)}, f"{NASTY}cell")
    write_reports(replace(of, rules=replace(of.rules, title=NASTY)), records, tmp_path)
    page = (tmp_path / PAGE).read_text()
    assert "<b " not in page
    assert page.count("a&lt;b onmouseover=&#34;x&#34;&gt;&amp;") > 20
    text = (tmp_path / MARKDOWN).read_text()
    assert not re.search(r"(?<!\\)<b", text)
    assert not re.search(r"(?<!\\)\*_", text)
    images = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", page)
    assert len(images) == 2
    texts = [
        "".join(element.itertext())
        for image in images
        for element in ElementTree.fromstring(base64.b64decode(image)).iter()
    ]
    assert any(NASTY in one for one in texts)


def test_the_page_loads_nothing(whole, tmp_path):
    write_reports(*whole, tmp_path)
    page = (tmp_path / PAGE).read_text()
    assert "default-src 'none'" in page
    assert all(link.startswith(("#", "data:")) for link in re.findall(r'(?:src|href)="([^"]*)"', page))
    assert "A season" in page
    assert page.count('class="scroll"') > 8  # every table and figure scrolls alone


def keys(tree):
    """The keys of a tree at every depth, of lists those of the first element."""
    if isinstance(tree, dict):
        return {name: keys(value) for name, value in tree.items()}
    return [keys(tree[0])] if isinstance(tree, list) and tree else None


def test_json_has_the_same_keys_whatever_is_recorded(whole, tmp_path):
    trees = []
    for records in (whole[1], Finished((), ())):
        write_reports(whole[0], records, tmp_path)
        trees.append(json.loads((tmp_path / JSON).read_text()))
    full, empty = trees
    assert full["format"] == "flatrec league"
    assert full.keys() == empty.keys()
    assert full["verdicts"][0].keys() == empty["verdicts"][0].keys()
    (one,), (other,) = full["cells"], empty["cells"]
    assert one.keys() == other.keys()
    assert one["methods"][0].keys() == other["methods"][0].keys()
    assert len(one["methods"]) == len(other["methods"]) == 3
    assert keys(full["rules"]) == keys(empty["rules"])


def test_json_holds_the_numbers_in_full(whole, tmp_path):
    write_reports(*whole, tmp_path)
    tree = json.loads((tmp_path / JSON).read_text())
    verdict, method = tree["verdicts"][0], tree["cells"][0]["methods"][1]
    assert verdict["values"] == list(plus(BASE, STEPS))
    assert (verdict["verdict"], verdict["seeds"], verdict["n_tests"]) == ("confirmed", list(SEEDS), 3)
    assert method["test"]["recall@20"]["n"] == 5
    assert method["test"]["recall@20"]["mean"] == pytest.approx(0.26, abs=1e-12)
    assert method["cost"] == {"epochs": 4.0, "gradients": 40.0, "seconds": 10.0, "tuning_seconds": 20.0}
    assert method["not_dominated"] is True
    assert tree["cells"][0]["methods"][2]["not_dominated"] is False
    assert len(method["finals"]) == 5
    assert "test" not in method["trials"][0]  # no trial was scored on the test split


def test_the_rules_are_said_once_and_what_is_trained_otherwise_apart(whole, tmp_path):
    write_reports(*whole, tmp_path)
    text = (tmp_path / MARKDOWN).read_text()
    assert "Every method gets 2 trials in every cell, all with seed 0" in text
    assert (
        "All runs train for at most 4 epochs, are evaluated on validation after every epoch by Recall@20, stop after 2 "
        "evaluations without a new best one, and keep the best epoch." in text
    )
    of, records = whole
    methods = list(of.methods)
    methods[1] = replace(
        methods[1], plan=replace(methods[1].plan, settings={"training.patience": 9, "strategy.name": "sam"})
    )
    write_reports(replace(of, methods=tuple(methods)), records, tmp_path)
    text = (tmp_path / MARKDOWN).read_text()
    assert "The runs of base in cell and dear in cell train for at most 4 epochs" in text
    assert "The runs of new in cell train for at most 4 epochs" in text


def test_cells_that_were_not_run_keep_what_is_recorded_of_them(monkeypatch, tmp_path):
    recorded = joined(finished({"base": BASE}, "cell"), finished({"base": BASE}, "other"))
    monkeypatch.setattr("flatrec.research.league.report.read_season", lambda *_: recorded)
    run = Finished((trial("base", 0, 0.7, "cell"),), (final("base", 1, 0.9, "cell"),), (("a run", "an error"),))
    both = with_other_cells(league(cells=("cell", "other")), run, tmp_path, ["cell"])
    assert [record.cell for record in both.finals] == ["cell", *["other"] * 5]
    assert [record.cell for record in both.trials] == ["cell", "other", "other"]
    assert both.failures == run.failures
    assert with_other_cells(league(), run, tmp_path, []) is run


def test_a_league_of_a_baseline_without_comparisons_is_reported(tmp_path):
    of = league(("popularity",), [], replication="splits")
    of = replace(of, methods=(Method("popularity", Plan({"model.name": "popularity"}), reason="nothing to tune"),))
    untrained = {"steps": 0, "gradients_per_step": 0.0, "epochs": 0, "seconds": 0.0, "curve": ()}
    finals = tuple(final("popularity", seed, 0.1 * seed, **untrained) for seed in SEEDS)
    write_reports(of, Finished((replace(trial("popularity", 0, 0.1), **untrained),), finals), tmp_path)
    tree = json.loads((tmp_path / JSON).read_text())
    assert tree["summary"] == [
        "cell: popularity has the best mean Recall@20 on the test split, 0.3000 ± 0.1581 (5 seeds)."
    ]
    assert (tree["verdicts"], tree["cells"][0]["methods"][0]["n_trials"]) == ([], 1)
    assert "the data are split again by each seed" in (tmp_path / PAGE).read_text()
