from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flatrec.data.items import ItemTable
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.catalog import Catalog
from flatrec.inference.item_details import details_of

KNOWN = Catalog(
    ids=Vocabulary("item", ["mug"]),
    popularity=np.ones(1),
    new=np.zeros(1, dtype=np.bool_),
    titles=("A mug",),
    columns=pl.DataFrame({"price": [5.0], "in_stock": [True], "launched": [date(2024, 1, 2)]}),
)


def table(**columns):
    frame = pl.DataFrame({"item": ["hat", "cap", "lid"], **columns})
    return ItemTable(frame, ("hat", "cap", "lid"), Path("new.csv"), "item")


def test_a_table_gives_titles_and_the_columns_of_the_known_items_in_their_types_and_order():
    rows = table(title=["Hat", "Cap", None], price=[9, 7, 8], launched=["2024-03-01"] * 3, weight=[1, 2, 3])
    details = details_of(rows, ["lid", "hat"], KNOWN)
    assert details.titles == [None, "Hat"]
    assert details.columns.to_dict(as_series=False) == {"price": [8.0, 9.0], "launched": [date(2024, 3, 1)] * 2}
    assert details.columns.schema == {"price": pl.Float64, "launched": pl.Date}


def test_a_table_without_such_columns_gives_nothing():
    details = details_of(table(weight=[1, 2, 3]), ["hat"], replace(KNOWN, titles=None))
    assert (details.titles, details.columns) == (None, None)


def test_a_value_of_another_type_is_one_line():
    with pytest.raises(ValueError, match=r"^column 'price' of new.csv holds String, but .* Float64; write"):
        details_of(table(price=["9", "cheap", "8"]), ["hat", "cap"], KNOWN)
