"""The users who want an item most, be it known or new."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from flatrec.data.builder import IndexedFeatures
from flatrec.data.encoded_items import EncodedItems
from flatrec.inference.who_wants import InterestedUser, who_wants_vector
from flatrec.serve.answers import InterestedUserAnswer, WhoWantsAnswer
from flatrec.serve.checks import check_length, item_index
from flatrec.serve.errors import Refused, invalid_values
from flatrec.serve.operations import NoEvents, Service
from flatrec.serve.requests import NewItem, WhoWantsRequest
from flatrec.serve.served import Served
from flatrec.serve.settings import Limits
from flatrec.serve.signals import hides_seen, signals_of
from flatrec.serve.work import RETRY
from flatrec.utils.messages import clipped

NEW = "the new item"  # its id, which is no item's


def who_wants(request: WhoWantsRequest, served: Served, service: Service) -> WhoWantsAnswer:
    """Return the users for whom an item has the highest score."""
    check_length("k", request.k, service.limits.k)
    if (request.item is None) == (request.new_item is None):
        raise Refused(422, "either item or new_item must be given, and not both; item is the id of a known item")
    users: Sequence[InterestedUser]
    warnings: tuple[str, ...] = ()
    if request.new_item is not None:
        users, new = _of_new(request.new_item, request.k, served, service), True
    else:
        index = item_index(served, str(request.item), service.limits)
        new = bool(served.recommender.catalog.new[index])
        users, warnings = _of_known(request, served, service)
    if not users:
        warnings = ("no user is left: none has a training interaction, or all have the item", *warnings)
    return WhoWantsAnswer(
        item=request.item,
        path="cold-item" if new else "known",
        users=tuple(InterestedUserAnswer(user.user, user.score) for user in users),
        model=served.model,
        generated_at=datetime.now(UTC),
        warnings=warnings,
    )


def body_bytes(limits: Limits) -> int:
    """Return the longest body: the image in base64 comes on top of the rest."""
    return limits.body_bytes + limits.image_bytes * 4 // 3


def _of_known(
    request: WhoWantsRequest, served: Served, service: Service
) -> tuple[Sequence[InterestedUser], tuple[str, ...]]:
    """Return the users who want a known item, without those who have it by the log, and what is to be known of them."""
    item, hides, k = str(request.item), hides_seen(request.include_seen, served), request.k
    reads = hides and not isinstance(service.events, NoEvents)
    while True:
        k = 2 * k if reads else k  # as some of them may have it
        with invalid_values():
            users = served.recommender.who_wants(item, k, filter_seen=hides)
        if not reads:
            return users, ()
        signals, warnings = signals_of([user.user for user in users], served, service)
        left = [user for user in users if user.user not in signals or item not in signals[user.user].masked]
        if len(left) >= request.k or len(users) < k or warnings:
            return left[: request.k], warnings


def _of_new(item: NewItem, k: int, served: Served, service: Service) -> list[InterestedUser]:
    if item.text is None and item.image is None and not item.features:
        raise Refused(422, "new_item must have a text, an image or features, but has none of them; give one")
    if item.image is not None and len(item.image) > service.limits.image_bytes:
        most = service.limits.image_bytes
        raise Refused(413, f"the image of new_item may have {most} bytes, but has {len(item.image)}; make it smaller")
    with _encoding_slot(service), invalid_values():
        vector = served.embedder.vectors(_encoded(item, served, service), NEW)[0]
        return who_wants_vector(served.recommender, vector, k)


@contextmanager
def _encoding_slot(service: Service) -> Iterator[None]:
    if not service.encodings.acquire(blocking=False):
        most = service.limits.encodings
        raise Refused(429, f"at most {most} new items at the same time are encoded; try again later", RETRY)
    try:
        yield
    finally:
        service.encodings.release()


def _encoded(item: NewItem, served: Served, service: Service) -> EncodedItems:
    vectors = {name: _checked(name, values, served, service.limits) for name, values in item.features.items()}
    for name, given in (("text", item.text), ("image", item.image)):
        if given is not None and name in vectors:
            raise Refused(422, f"new_item has a {name} and features of it; give one of both")
    if item.text is not None:
        vectors["text"] = service.encoder.text(item.text, served)
    if item.image is not None:
        vectors["image"] = service.encoder.image(item.image, served, service.limits.image_pixels)
    rows = {name: IndexedFeatures([NEW], vector[None], f"the {name} of {NEW}") for name, vector in vectors.items()}
    return EncodedItems((NEW,), rows)


def _checked(name: str, values: tuple[float, ...], served: Served, limits: Limits) -> Float32[ndarray, "dim"]:
    known = served.recommender.catalog.features
    if name not in known:
        raise Refused(
            422, f"features may be of {', '.join(known) or 'nothing'}, but there are some of {clipped(name)!r}"
        )
    if len(values) != known[name].width or len(values) > limits.dimensions:
        raise Refused(422, f"features of {name} must have {known[name].width} values, but have {len(values)}")
    with np.errstate(over="ignore"):
        vector = np.array(values, dtype=np.float32)
    if not np.isfinite(vector).all():
        raise Refused(422, f"features of {name} must be finite numbers of 32 bits, but one is not")
    return vector
