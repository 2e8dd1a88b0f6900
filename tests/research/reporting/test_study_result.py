"""A study is read back as it was written, and a file that is no study is one line."""

from __future__ import annotations

import json

import pytest

from flatrec.research.reporting.study_result import (
    Column,
    Failure,
    Image,
    StudyResult,
    Table,
    read_study_result,
    write_study_result,
)

TABLE = Table("scores", "Scores", (Column("a"), Column("b", "number", 2)), (("x", 1.0), (None, 2)), "As it is.")
WHOLE = StudyResult(
    "overall", "Overall", "Which?", (TABLE,), (Image("p", "P", "c"),), ("One.",), (Failure("run", "why"),), {"a": "b"}
)


def damaged(tmp_path, *keys, value):
    """What is said of a study with one value put in the place of another."""
    write_study_result(tmp_path, WHOLE)
    tree = json.loads((tmp_path / "study.json").read_text(encoding="utf-8"))
    one = tree
    for key in keys[:-1]:
        one = one[key]
    one[keys[-1]] = value
    return said(tmp_path, json.dumps(tree))


def said(tmp_path, text):
    (tmp_path / "study.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="study.json is damaged") as error:
        read_study_result(tmp_path)
    message = str(error.value)
    assert message.startswith(f"{tmp_path / 'study.json'} is damaged (")
    assert message.endswith("); run the study again")
    assert len(message.removeprefix(str(tmp_path))) < 200
    assert len(message.splitlines()) == 1
    return message


def test_an_outcome_is_read_as_it_was_written(tmp_path):
    write_study_result(tmp_path, WHOLE)
    found = read_study_result(tmp_path)
    assert found == WHOLE
    assert [[type(cell) for cell in row] for row in found.tables[0].rows] == [[str, float], [type(None), int]]


@pytest.mark.parametrize(
    ("keys", "value", "place"),
    [
        (("title",), 5, "title: "),
        (("title",), None, "title: "),
        (("tables", 0, "rows", 0, 0), [1], "tables.0.rows.0.0: input should be text, a number or null"),
        (("tables", 0, "rows", 1, 1), {}, "tables.0.rows.1.1: input should be text, a number or null"),
        (("tables", 0, "rows", 0, 1), True, "tables.0.rows.0.1: "),
        (("tables", 0, "name"), 5, "tables.0.name: "),
        (("tables", 0, "columns", 1, "name"), 7, "tables.0.columns.1.name: "),
        (("tables", 0, "columns", 1, "kind"), "odd", "tables.0.columns.1.kind: "),
        (("tables", 0, "columns", 1, "digits"), 10**9, "digits must be 0 to 17, but is 1000000000"),
        (("tables", 0, "columns", 1, "digits"), -1, "digits must be 0 to 17, but is -1"),
        (("tables", 0, "rows", 0), ["x"], "needs 2 cells, but has 1"),
        (("tables", 0, "rows", 0, 1), 10**400, "table 'scores' has a number that is not finite"),
        (("tables", 0, "rows", 0, 1), float("inf"), "table 'scores' has a number that is not finite"),
        (("tables", 0, "rows", 0, 1), float("nan"), "table 'scores' has a number that is not finite"),
        (("tables", 0), 5, "tables.0: "),
        (("tables",), {}, "tables: "),
        (("tables", 0, "columns"), "ab", "tables.0.columns: "),
        (("images", 0, "name"), 5, "images.0.name: "),
        (("findings",), "One.", "findings: "),
        (("failures", 0), [], "failures.0: "),
        (("settings",), [], "settings: "),
        (("settings", "a"), 1, "settings.a: "),
        (("fingerprints",), [], "fingerprints: "),
        (("fingerprints",), {"toys": 5}, "fingerprints.toys: "),
        (("unheard",), "of", "unheard: "),
        (("tables", 0, "unheard"), "of", "tables.0.unheard: "),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_its_place(tmp_path, keys, value, place):
    assert place in damaged(tmp_path, *keys, value=value)


@pytest.mark.parametrize("text", ["", "{", "nope", "[" * 100_000, '{"title":' * 100_000, '{"title": "\\ud800"}'])
def test_what_is_not_json_or_too_deep_is_one_line(tmp_path, text):
    assert "not JSON" in said(tmp_path, text)


@pytest.mark.parametrize("text", ["[]", "5", "null"])
def test_json_of_something_else_is_one_line(tmp_path, text):
    assert "all of it: input should be an object" in said(tmp_path, text)


@pytest.mark.parametrize("name", ["tables", "images", "findings", "failures", "question"])
def test_what_is_missing_is_named(tmp_path, name):
    write_study_result(tmp_path, WHOLE)
    tree = json.loads((tmp_path / "study.json").read_text(encoding="utf-8"))
    del tree[name]
    assert name in said(tmp_path, json.dumps(tree))


def test_a_column_has_no_more_digits_than_a_number():
    with pytest.raises(ValueError, match="digits must be 0 to 17, but is 18"):
        Column("a", "number", 18)
