"""Which rows of a table belong to an item of the data set, and why the others do not."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from flatrec.data.cleaning import TableCleaningReport
from flatrec.utils.messages import quoted

# Differences that two forms of one id may have: the name in messages, and the function that removes the difference.
_DIFFERENCES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("case", str.casefold),
    ("Unicode form (é as one character or as two)", lambda text: unicodedata.normalize("NFKC", text)),
    ("leading zeros", lambda text: text.lstrip("0")),
    ("blanks and punctuation", lambda text: "".join(filter(str.isalnum, text))),
)
_COMPARED = 20_000  # ids that are compared at most


@dataclass(frozen=True, eq=False)
class IdOverlap:
    """The item ids of a data set, to which the ids of other tables are compared."""

    items: frozenset[str]  # the items of the data set
    before_filter: frozenset[str]  # all items that had an interaction before the k-core filter

    def add_unused_rows(self, ids: Sequence[str], report: TableCleaningReport) -> TableCleaningReport:
        """Return the report of a table with the counts of its rows that belong to no item."""
        unused = set(ids).difference(self.items)
        filtered = unused.intersection(self.before_filter)
        without_row = self.items.difference(ids)
        return replace(
            report,
            unused_rows=len(unused),
            filtered_rows=len(filtered),
            near_misses=near_misses(sorted(unused - filtered), sorted(without_row)),
        )


def no_overlap_message(name: str, ids: Sequence[str], items: Sequence[str]) -> str:
    """Return the error message for a table that has a row for none of the items."""
    difference = near_misses(ids, items)
    return (
        f"{name} has no row for any of the {len(items)} items; its ids look like {quoted(ids[:3])}, "
        f"those of the data set like {quoted(items[:3])}{'; ' + difference if difference else ''}; "
        "write ids alike in both"
    )


def near_misses(ids: Collection[str], items: Collection[str]) -> str:
    """Describe a simple difference, such as case, because of which no id is that of an item; empty if there is none."""
    compared = list(ids)[:_COMPARED]
    for name, normalize in _DIFFERENCES:
        item_of_form = {normalize(item): item for item in list(items)[:_COMPARED]}
        forms = ((text, normalize(text)) for text in compared)
        matches = [(text, item_of_form[form]) for text, form in forms if form and form in item_of_form]
        if matches:
            text, item = matches[0]
            return f"{len(matches)} would match but for {name}, such as {text[:30]!a} and {item[:30]!a}"
    return ""
