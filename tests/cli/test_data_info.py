"""What ``flatrec data info`` shows of a log of events."""

import json

import pytest


@pytest.fixture
def log(tmp_path):
    (tmp_path / "log.csv").write_text("user,item,what\nu,a,buy\nu,a,buy\nu,b,wish\n,b,buy\nv,b,buy\n")
    (tmp_path / "items.csv").write_text("item,price\na,1.5\nb,\n")
    (tmp_path / "dataset.toml").write_text(
        'interactions = "log.csv"\nevent_column = "what"\nmissing_ids = "drop"\n[events]\nbuy = 1\n'
        '[items]\nfile = "items.csv"\ncolumns = ["price"]\n'
    )
    return tmp_path


def test_what_became_of_the_rows_is_shown_in_numbers_and_sentences(flatrec, log):
    shown = flatrec("data", "info", log).out
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if "│" in line]
    assert ["rows", "5"] in cells
    assert ["unnamed events", "1"] in cells
    assert ["without id", "1"] in cells
    assert ["summed", "1"] in cells
    assert ["returns", "0"] not in cells
    assert ["price", "numbers with a decimal point", "1", "1"] in cells
    assert "- 1 row without a user or item id left out" in shown


def test_the_numbers_come_as_json(flatrec, log):
    found = json.loads(flatrec("data", "info", log, "--json").out)
    assert {name: number for name, number in found["row_counts"].items() if number} == {
        "rows": 5,
        "without_id": 1,
        "unnamed_events": 1,
        "summed": 1,
        "interactions": 2,
    }
    assert found["cleaning_report"]["events"]["unnamed_event_names"] == ["wish"]
