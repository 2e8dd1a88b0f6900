"""The service as an app of ASGI, put together of its parts by plain arguments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from threading import BoundedSemaphore

from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp

from flatrec.serve.access_log import AccessLog
from flatrec.serve.encoding import ItemEncoder, RecipeEncoder
from flatrec.serve.endpoint import Endpoint
from flatrec.serve.gate import Gate
from flatrec.serve.metrics import Metrics
from flatrec.serve.operations import AnyOperation, EventLog, NoEvents, Service
from flatrec.serve.plain_routes import OPEN_PATHS, plain_routes
from flatrec.serve.reload import ServedModel
from flatrec.serve.routes import OPERATIONS, USERS
from flatrec.serve.settings import ServeSettings
from flatrec.serve.tokens import Tokens
from flatrec.serve.work import Work

COMPARE = "/compare"  # what precedes the paths of a second recommender


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
    access_log: AccessLog = AccessLog(),  # noqa: B008
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
        compare: a second recommender, which answers the operations of a recommender under ``/compare``.
        access_log: gets a line of each request.
    """
    limits, metrics = settings.limits, Metrics()
    encodings = BoundedSemaphore(limits.encodings)
    service = Service(
        limits, events or NoEvents(), encoder or RecipeEncoder(), encodings, count_events=metrics.counted_events
    )
    work = Work(limits.threads, limits.waiting, limits.seconds)
    models = {"": served} if compare is None else {"": served, COMPARE: compare}
    own = [one for one in OPERATIONS if settings.user_search or one.path != USERS]
    routes: list[BaseRoute] = []  # the most frequent ones first, as they are tried in this order
    for prefix, model in models.items():
        of_model = replace(service, prefix=prefix)
        for operation in own if prefix else (*own, *operations):
            endpoint = Endpoint(operation, model, of_model, work, metrics.answered)
            routes.append(Route(prefix + operation.path, endpoint, methods=[operation.method]))
    routes += [*pages, *plain_routes((*own, *operations), models, limits, work=work, metrics=metrics)]
    router = Router(
        routes,
        redirect_slashes=False,
        lifespan=partial(_running, models, metrics, settings, partial(_stop, work, service)),
    )
    open_paths = {*OPEN_PATHS, *(page.path for page in pages)}
    gate = Gate(router, Tokens(tokens), settings.hosts, open_paths, metrics, access_log, settings.log_users)
    if not settings.cors_origins:
        return gate
    headers = ("authorization", "content-type")
    return CORSMiddleware(gate, settings.cors_origins, allow_methods=("GET", "POST"), allow_headers=headers)


@asynccontextmanager
async def _running(
    models: Mapping[str, ServedModel],
    metrics: Metrics,
    settings: ServeSettings,
    stop: Callable[[], None],
    _app: object,
) -> AsyncIterator[None]:
    """Watch the folders of the recommenders as long as the app runs."""
    first = models[""]
    metrics.loaded(first.current, new=True)
    first.on_reload = lambda found, new: metrics.loaded(found, new=new)
    watchers = [asyncio.create_task(_watch(model, settings.reload_seconds)) for model in models.values()]
    try:
        yield
    finally:
        for watcher in watchers:
            watcher.cancel()
        stop()


def _stop(work: Work, service: Service) -> None:
    work.stop()
    service.events.close()


async def _watch(model: ServedModel, seconds: float) -> None:
    """Look for a new recommender, again and again, in a thread."""
    while True:
        await asyncio.sleep(seconds)
        await asyncio.to_thread(model.refresh)
