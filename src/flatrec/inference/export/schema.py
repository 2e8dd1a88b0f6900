"""The names and types of columns, as annotations have them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

if TYPE_CHECKING:
    Schema: TypeAlias = pl.Schema
else:
    Schema = OrderedDict  # of which pl.Schema is a subclass; the tests' checks of types cannot read the class itself
