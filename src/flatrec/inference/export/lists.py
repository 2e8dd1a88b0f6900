"""Exports of lists: recommendations for users, and similar items, into a file or a table of a database."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from flatrec.inference.export.blocks import Blocks, RecommendationBlocks, SimilarBlocks
from flatrec.inference.export.generation import generation_of
from flatrec.inference.export.options import ExportOptions
from flatrec.inference.export.report import ExportReport
from flatrec.inference.export.targets import DatabaseTable, ListExport
from flatrec.inference.recommender import Recommender
from flatrec.utils.messages import count, quoted


def export_recommendations(
    recommender: Recommender, target: Path | str | DatabaseTable, options: ExportOptions | None = None
) -> ExportReport:
    """Write the recommendations for all users, or for some, one row per recommended item.

    The columns are ``user_id`` (text), ``rank`` (32-bit integer, from 1), ``item_id`` (text), ``score`` (32-bit float)
    and ``path`` (text, how the list came about, see :class:`flatrec.inference.answers.ItemList`). Users come in the
    order of the recommender, then those of whom it has only a history; or in that of ``options.users``, of whom those
    that are not known get the most popular items. A user for whom the filters leave no item has no row.

    Memory does not depend on the number of users. A file, or the shard of one, that is there already with the same
    rows is left as it is.

    Args:
        recommender: what recommends.
        target: a file, whose ending says its format, or a table of a database.
        options: of whom, how long the lists are, filters, shard and format.

    Raises:
        ValueError: a filter is malformed, the format is unknown, or all users were left out of the recommender.
        FileExistsError: the file is there and is of another export or of other origin.
        OSError: the file cannot be written.

    Example:
        >>> import tempfile, flatrec
        >>> from flatrec.testing import block_dataset
        >>> recommender = flatrec.fit(block_dataset(), "item-knn").recommender
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report = export_recommendations(recommender, Path(folder) / "recs.parquet", ExportOptions(k=2))
        >>> report.rows, dict(report.paths)
        (60, {'known': 30})
    """
    options = options or ExportOptions()
    users = _all_users(recommender) if options.users is None else options.users
    blocks = RecommendationBlocks(recommender, options.k, options.filters, users, options.rerank)
    return _prepared("recommendations", recommender, blocks, options).into(
        Path(target) if isinstance(target, str) else target
    )


def export_similar(
    recommender: Recommender, target: Path | str | DatabaseTable, options: ExportOptions | None = None
) -> ExportReport:
    """Write the items that are most similar to each item, one row per similar item.

    The columns are ``item_id`` (text), ``rank`` (32-bit integer, from 1), ``similar_item_id`` (text) and ``score``
    (32-bit float). Filters are about the similar items; those that are about users are refused.

    Args:
        recommender: what knows the items.
        target: a file, whose ending says its format, or a table of a database.
        options: how long the lists are, filters, shard and format.

    Raises:
        ValueError: an option is about users, a filter is malformed, or the format is unknown.
        FileExistsError: the file is there and is of another export or of other origin.
        OSError: the file cannot be written.
    """
    options = options or ExportOptions()
    by_user = isinstance(options.filters.exclude, Mapping)
    if options.users is not None or by_user or options.filters.filter_seen is not None or options.rerank is not None:
        raise ValueError(
            "similar items are the same for every user; leave out users, items to exclude by user, whether seen items "
            "are left out, and re-ranking"
        )
    blocks = SimilarBlocks(recommender, options.k, options.filters)
    return _prepared("similar", recommender, blocks, options).into(Path(target) if isinstance(target, str) else target)


def _all_users(recommender: Recommender) -> list[str]:
    """Return the users who were trained on, in their order, then those of whom only a history is known, sorted.

    Raises:
        ValueError: there is nobody, as all users were left out.
    """
    others = sorted(user for user in recommender.histories if user not in recommender.users)
    if not others and not len(recommender.users):
        raise ValueError(
            "the users were left out of this recommender, so that there is nobody to export lists for; export similar "
            "items, or name newer data whose users have histories (--data)"
        )
    return [*recommender.users, *others]


def _prepared(what: str, recommender: Recommender, blocks: Blocks, options: ExportOptions) -> ListExport:
    generation = generation_of(recommender, what, options)
    return ListExport(what, blocks, options, generation, _notes(recommender, options))


def _notes(recommender: Recommender, options: ExportOptions) -> tuple[str, ...]:
    """Return what a reader should know before the first row is made."""
    notes = []
    known = (recommender.users, recommender.histories)
    unknown = [user for user in options.users or () if not any(user in users for users in known)]
    if unknown:
        notes.append(
            f"{len(unknown)} of {count(len(options.users or ()), 'user')} are not known to the recommender and get the "
            f"most popular items: {quoted(unknown)}"
        )
    filters = options.filters
    listed = {"allowed": filters.items, "excluded": None if isinstance(filters.exclude, Mapping) else filters.exclude}
    for name, ids in listed.items():
        foreign = [item for item in ids or () if item not in recommender.items]
        if foreign:
            notes.append(
                f"{len(foreign)} of {count(len(ids or ()), f'{name} item')} are not known to the recommender and are "
                f"left out: {quoted(foreign)}"
            )
    mask = filters.allowed(recommender.catalog)
    if mask is not None and not mask.any():
        notes.append(f"the filters leave none of {count(len(recommender.items), 'item')}, so that no list has an item")
    return tuple(notes)
