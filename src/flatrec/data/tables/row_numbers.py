"""Columns that number the rows of a table, as pandas adds them by itself."""

from __future__ import annotations

import re

# A column without a name, or one that pandas gave a name to.
ROW_NUMBERS = re.compile(
    r"\s*|_duplicated_[0-9]+|Unnamed: [0-9]+(\.[0-9]+)*(_level_[0-9]+)?|__index_level_[0-9]+__|__null_dask_index__"
)
