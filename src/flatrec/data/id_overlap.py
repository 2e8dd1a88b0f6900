"""Rows of tables and the items that they are of: which do not meet, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from flatrec.data.cleaning import TableCleaningReport
from flatrec.data.id_repair import likeness
from flatrec.utils.messages import quoted


@dataclass(frozen=True, eq=False)
class Meeting:
    """The items of a data set, and all that had a pair before the filter."""

    items: frozenset[str]
    paired: frozenset[str]

    def repairs(self, ids: Sequence[str], repairs: TableCleaningReport) -> TableCleaningReport:
        """Which rows of a table are of no item, and why."""
        unused = set(ids).difference(self.items)
        filtered = unused.intersection(self.paired)
        lacking = self.items.difference(ids)
        return replace(
            repairs,
            unused_rows=len(unused),
            filtered_rows=len(filtered),
            near=likeness(sorted(unused - filtered), sorted(lacking)),
        )


def unmet(name: str, ids: Sequence[str], items: Sequence[str]) -> str:
    """A message for a table that is about none of the items, with what would make ids meet."""
    near = likeness(ids, items)
    return (
        f"{name} has no row for any of the {len(items)} items; its ids look like {quoted(ids[:3])}, "
        f"those of the data set like {quoted(items[:3])}{'; ' + near if near else ''}; write ids alike in both"
    )
