"""Metadata of items: from hostile lines to a table."""

from __future__ import annotations

import json

from flatrec.data.amazon import metadata
from flatrec.data.amazon.metadata import read_products
from tests.data.amazon.files import write_lines


def test_items_are_rows_in_the_order_of_the_file_and_the_first_of_repeated_ones_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "ROWS_PER_FRAME", 2)
    records = [{"asin": f"B{n}", "title": f"t{n}", "category": ["c", f"c{n}"]} for n in (3, 1, 9, 2, 1, 0)]
    path = write_lines(tmp_path / "m.json", [*map(json.dumps, records), '{"asin": "B1", "title": "again"}'])
    products, skipped = read_products(path, {f"B{n}": n for n in range(5)})
    assert products["itemID"].to_list() == [3, 1, 2, 0]
    assert products["title"].to_list() == ["t3", "t1", "t2", "t0"]
    assert products["categories"].to_list() == ["c > c3", "c > c1", "c > c2", "c > c0"]
    assert products["text"].to_list() == ["t3 c c3", "t1 c c1", "t2 c c2", "t0 c c0"]
    assert not skipped


def test_half_a_character_becomes_a_question_mark(tmp_path):
    path = write_lines(tmp_path / "m.json", ['{"asin": "B1", "title": "A\\ud83dB Ё", "imUrl": "x\\udc00"}'])
    row = read_products(path, {"B1": 0})[0].row(0, named=True)
    assert (row["title"], row["image_address"]) == ("A?B Ё", "x?")
