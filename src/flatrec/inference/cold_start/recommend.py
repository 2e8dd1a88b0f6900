"""New items join the recommender of a run by the method of its model."""

from __future__ import annotations

from flatrec.data.encoded_items import EncodedItems
from flatrec.inference.cold_start.embeddings import check_supported, embedder
from flatrec.inference.joining import ItemDetails, JoinedItems, is_content_matrix, join, join_similar
from flatrec.inference.known_items import KnownItems
from flatrec.inference.new_items import NewItems, read_new_items
from flatrec.inference.run import Run


def join_new_items(
    run: Run,
    encoded: EncodedItems,
    details: ItemDetails = ItemDetails(),  # noqa: B008
    *,
    source: str = "the encoded items",
    n_neighbors: int = 10,
    method: str | None = None,
) -> JoinedItems:
    """Return the recommender of a run with new items, whose embeddings are made by the method of its model.

    :meth:`flatrec.inference.recommender.Recommender.with_items` needs no model, and always uses the method ``nearest``.

    Args:
        run: a trained model and its data.
        encoded: ids and features of the items, from ``flatrec.content.encode_new_items`` or
            ``flatrec.data.encoded_items.read_encoded``.
        details: titles, images and item columns, one per id of ``encoded``.
        source: how messages call the items, such as their folder.
        n_neighbors: number of known items per modality that a new item is compared with, at least 1.
        method: ``features`` or ``nearest``; None for the method of the model's class.

    Raises:
        ValueError: the items do not fit the data set, none of them is new, the model cannot embed new items or not by
            this method, or n_neighbors is below 1.
    """
    check_supported(run, method=method, n_neighbors=n_neighbors)
    items = read_new_items(encoded, KnownItems.of(run.dataset), source)
    details.check(len(encoded.ids))
    return joined_to_run(run, items, details, n_neighbors=n_neighbors, method=method)


def joined_to_run(
    run: Run,
    items: NewItems,
    details: ItemDetails = ItemDetails(),  # noqa: B008
    *,
    n_neighbors: int = 10,
    method: str | None = None,
) -> JoinedItems:
    """Return the recommender of a run with new items; see :func:`join_new_items`."""
    recommender = run.recommender
    if is_content_matrix(recommender.scoring):
        check_supported(run, method=method, n_neighbors=n_neighbors)
        return join_similar(recommender, items, details)
    chosen, embed = embedder(run, n_neighbors=n_neighbors, method=method)
    return join(recommender, items, chosen, embed, details=details)
