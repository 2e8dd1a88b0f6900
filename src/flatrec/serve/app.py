"""The service as an app of ASGI, put together of its parts by plain arguments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from threading import BoundedSemaphore

from msgspec import Struct
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp

from flatrec.serve.encoding import ItemEncoder, RecipeEncoder
from flatrec.serve.endpoint import Endpoint
from flatrec.serve.gate import Gate
from flatrec.serve.metrics import Metrics
from flatrec.serve.operations import AnyOperation, EventLog, NoEvents, Service
from flatrec.serve.plain_routes import OPEN_PATHS, plain_routes
from flatrec.serve.reload import ServedModel
from flatrec.serve.routes import OPERATIONS
from flatrec.serve.settings import ServeSettings
from flatrec.serve.tokens import Tokens
from flatrec.serve.work import Work


def make_app(
    served: ServedModel,
    settings: ServeSettings,
    *,
    tokens: Sequence[str] = (),
    events: EventLog | None = None,
    encoder: ItemEncoder | None = None,
    operations: Sequence[AnyOperation] = (),
    pages: Sequence[Route] = (),
    compare: ServedModel | None = None,
) -> ASGIApp:
    """Return the service.

    Args:
        served: the recommender that answers.
        settings: how it is run.
        tokens: bearer tokens; without any, everybody may ask.
        events: what happened since training.
        encoder: encodes new items; by default by the recipe of the run.
        operations: further operations beside those of a recommender, such as one that appends to the log.
        pages: routes that need no token, as they hold nothing of anybody, such as a page and its style.
        compare: a second recommender, which answers the same operations under ``/compare``.
    """
    limits = settings.limits
    slots = BoundedSemaphore(limits.encodings)
    service = Service(limits, events or NoEvents(), encoder or RecipeEncoder(), slots)
    work = Work(limits.threads, limits.waiting, limits.seconds)
    metrics = Metrics()
    all_operations = (*OPERATIONS, *operations)
    if not settings.user_search:
        all_operations = tuple(one for one in all_operations if one.path != "/v1/users")
    models = {"": served} if compare is None else {"": served, "/compare": compare}
    routes: list[BaseRoute] = []  # the most frequent ones first, as they are tried in this order
    for prefix, model in models.items():
        of_model = replace(service, prefix=prefix)
        for operation in all_operations:
            endpoint = Endpoint(operation, model, of_model, work, partial(_count, metrics))
            routes.append(Route(prefix + operation.path, endpoint, methods=[operation.method]))
    routes += [*pages, *plain_routes(all_operations, models, limits, work=work, metrics=metrics)]

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        metrics.loaded(served.current, new=True)
        served.on_reload = lambda found, new: metrics.loaded(found, new=new)
        watchers = [asyncio.create_task(_watch(model, settings.reload_seconds)) for model in models.values()]
        try:
            yield
        finally:
            for watcher in watchers:
                watcher.cancel()
            work.stop()

    router = Router(routes, redirect_slashes=False, lifespan=lifespan)
    open_paths = {*OPEN_PATHS, *(page.path for page in pages)}
    gate = Gate(router, Tokens(tokens), settings.hosts, open_paths, metrics, settings.log_users)
    if not settings.cors_origins:
        return gate
    headers = ("authorization", "content-type")
    return CORSMiddleware(gate, settings.cors_origins, allow_methods=("GET", "POST"), allow_headers=headers)


async def _watch(model: ServedModel, seconds: float) -> None:
    """Look for a new recommender, again and again, in a thread."""
    while True:
        await asyncio.sleep(seconds)
        await asyncio.to_thread(model.refresh)


def _count(metrics: Metrics, answer: Struct) -> None:
    """Count the lists of an answer by their paths."""
    for one in getattr(answer, "lists", (answer,)):
        path = getattr(one, "path", None)
        if path is not None:
            metrics.answered(path)
