"""Records are read as they were written, or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flatrec.research.league import League, Method, Plan
from flatrec.research.league.records import RecordFiles, Wanted, by_run, decisive_settings, line_of
from flatrec.research.league.season import read_season, run_league
from flatrec.research.league.settings import experiment_of
from flatrec.research.league.spec import Rules
from tests.research.heard import Heard
from tests.research.league.conftest import SETTINGS


def edit(path, change):
    """Change the first line of a file."""
    lines = path.read_text().splitlines(keepends=True)
    lines[0] = change(lines[0])
    path.write_text("".join(lines))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda line: line.replace('"seed": 0', '"seed": 7', 1), "does not fit"),
        (lambda line: line[: len(line) // 2] + "\n", "it is not JSON"),
        (lambda _: "[]\n", "it holds no JSON object"),
        (lambda _: "\n", "it is not JSON"),
    ],
)
def test_a_line_that_was_damaged_or_edited_is_refused_by_its_number(league, done, tmp_path, change, reason):
    path = tmp_path / "done" / "trials.jsonl"
    before = path.read_text()
    edit(path, change)
    with pytest.raises(ValueError, match=rf"trials.jsonl, line 1, .*{reason}.*remove the line"):
        run_league(league, tmp_path / "done")
    path.write_text(before)
    assert read_season(league, tmp_path / "done") == done


def test_a_line_of_another_program_is_refused(league, done, tmp_path):
    edit(tmp_path / "done" / "finals.jsonl", lambda _: line_of(replace(done.finals[0], number=-1)))
    assert len(read_season(league, tmp_path / "done").finals) == 4  # the number follows from the seed
    path = tmp_path / "done" / "finals.jsonl"
    edit(path, lambda line: line.replace('"epochs"', '"epoch"', 1))
    with pytest.raises(ValueError, match="line 1, is damaged"):
        read_season(league, tmp_path / "done")


def test_a_line_that_was_removed_is_made_again(league, done, tmp_path):
    path = tmp_path / "done" / "finals.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[1:]))
    heard = Heard()
    again = run_league(league, tmp_path / "done", callback=heard)
    assert len(heard.names) == 1
    assert heard.plans == [(1, 7)]
    assert [record.test for record in again.finals] == [record.test for record in done.finals]


def test_an_incomplete_last_line_is_removed_and_its_run_made_again(done, tmp_path):
    path = tmp_path / "done" / "trials.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    files = RecordFiles(tmp_path / "done")
    files.repair()
    assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:-1])
    assert len(files.records["trial"]) == len(done.trials) - 1


def test_a_record_is_written_as_it_is_read(done, tmp_path):
    files = RecordFiles(tmp_path / "done")
    lines = (tmp_path / "done" / "finals.jsonl").read_text().splitlines(keepends=True)
    assert [line_of(record) for record in files.records["final"]] == lines
    assert sorted(files.records["final"], key=lambda record: (record.method, record.seed)) == list(done.finals)


def test_records_that_no_run_asks_for_are_counted(league, done, tmp_path, caplog):
    only = replace(league, methods=league.methods[:1])
    run_league(only, tmp_path / "done")
    assert "4 records in" in caplog.text
    assert len(done.trials) + len(done.finals) == 8


@pytest.fixture
def wanted(league, cell, done):
    """The record of a trial, and what is looked up for it."""
    record = done.trials[0]
    experiment = experiment_of(league, cell, league.methods[0], record.point, seed=0)
    names = frozenset({"optimizer.lr", "regularization.weight", "model.name"})
    return record, Wanted("trial", decisive_settings(experiment), names, frozenset({"blocks"}), record.fingerprint)


def test_a_record_fits_what_it_is_of(wanted):
    record, asked = wanted
    assert asked.fits(record)
    other = frozenset({"other"})
    assert replace(asked, cells=other).fits(record)
    assert replace(asked, fingerprint=None).fits(record)
    assert not replace(asked, fingerprint=None, cells=other).fits(record)
    assert replace(asked, fingerprint=None, cells=other | {"blocks"}).fits(record)
    by_time = replace(record, settings={**record.settings, "split.method": "time"})
    assert not replace(asked, fingerprint=None).fits(by_time)
    assert not replace(asked, fingerprint="other").fits(record)
    assert not replace(asked, kind="final").fits(record)
    assert not replace(asked, settings={**asked.settings, "seed": 1}).fits(record)
    assert not replace(asked, settings={**asked.settings, "training.epochs": 4}).fits(record)


def test_a_record_from_before_a_setting_existed_fits_unless_the_league_states_it(wanted):
    record, asked = wanted
    new = {**asked.settings, "training.new": 0}
    assert replace(asked, settings=new).fits(record)
    assert not replace(asked, settings=new, stated=asked.stated | {"training.new"}).fits(record)


def test_settings_that_change_no_score_decide_nothing(league, cell, wanted):
    record, asked = wanted
    other = replace(league, settings={**league.settings, "device": "cpu", "training.loggers": ["tensorboard"]})
    experiment = experiment_of(other, replace(cell, data="elsewhere"), other.methods[0], record.point, seed=0)
    assert decisive_settings(experiment) == asked.settings


def test_records_are_grouped_in_the_order_of_their_numbers(done):
    groups = by_run(reversed(done.trials))
    assert groups.keys() == {("blocks", "plain"), ("blocks", "sam")}
    assert all([record.number for record in group] == [0, 1] for group in groups.values())


def test_cells_of_the_same_data_share_finals_but_not_trials_on_other_splits(cell, tmp_path):
    rules = Rules(n_trials=1, final_seeds=(1, 2), replication="splits")
    fixed = {name: value for name, value in SETTINGS.items() if not name.startswith("model.")}
    again = replace(cell, name="random", settings={"split.method": "random"})
    methods = (Method("popular", Plan({"model.name": "popularity"}, {}), reason="there is nothing to tune"),)
    both = League(rules, fixed, (cell, again), methods)
    done = run_league(both, tmp_path)
    assert [len((tmp_path / name).read_text().splitlines()) for name in ("trials.jsonl", "finals.jsonl")] == [2, 2]
    assert [(one.cell, one.seed) for one in done.finals] == [("blocks", 1), ("blocks", 2), ("random", 1), ("random", 2)]
    assert len({one.fingerprint for one in done.trials}) == 2
    assert read_season(both, tmp_path) == done
