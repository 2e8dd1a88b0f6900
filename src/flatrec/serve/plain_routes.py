"""Routes that answer something else than a struct: health, metrics, images, and the document of the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from flatrec.serve.decoding import percent_decoded
from flatrec.serve.errors import Refused
from flatrec.serve.http_answer import HttpAnswer
from flatrec.serve.images import PATH, item_image
from flatrec.serve.metrics import CONTENT_TYPE, Metrics
from flatrec.serve.openapi import document
from flatrec.serve.operations import AnyOperation
from flatrec.serve.reload import ServedModel
from flatrec.serve.settings import Limits
from flatrec.serve.work import Work

OPEN_PATHS = ("/health/live", "/health/ready")
HEALTHY = b'{"status":"ok"}'
IMAGE_HEADERS = ((b"content-security-policy", b"default-src 'none'; sandbox"),)


def plain_routes(
    operations: Sequence[AnyOperation],
    models: Mapping[str, ServedModel],
    limits: Limits,
    *,
    work: Work,
    metrics: Metrics,
) -> list[Route]:
    """Return the routes."""
    images = [
        Route(prefix + PATH + "{item:path}", Images(model, limits, work, prefix + PATH), methods=["GET"])
        for prefix, model in models.items()
    ]
    return [
        Route("/health/live", Fixed(HttpAnswer(HEALTHY)), methods=["GET"]),
        Route("/health/ready", Fixed(HttpAnswer(HEALTHY)), methods=["GET"]),
        Route("/openapi.json", Fixed(HttpAnswer(document(operations))), methods=["GET"]),
        Route("/metrics", MetricsText(metrics, work), methods=["GET"]),
        *images,
    ]


@dataclass(frozen=True, eq=False)
class Fixed:
    """An endpoint that always answers the same."""

    answer: HttpAnswer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        del scope, receive
        await self.answer.send(send)


@dataclass(frozen=True, eq=False)
class MetricsText:
    """The endpoint that Prometheus scrapes."""

    metrics: Metrics
    work: Work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        del scope, receive
        await HttpAnswer(await self.work.run(self.metrics.text), CONTENT_TYPE).send(send)


@dataclass(frozen=True, eq=False)
class Images:
    """The endpoint of the images of items."""

    served: ServedModel
    limits: Limits
    work: Work
    path: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer.

        Raises:
            Refused: there is no such image.
        """
        del receive
        raw = scope["raw_path"]
        if not raw.startswith(self.path.encode()):
            raise Refused(404, f"a path must begin with {self.path}, unencoded; write it so")
        item = percent_decoded(raw[len(self.path) :])
        image = await self.work.run(item_image, item, self.served.current, self.limits)
        await HttpAnswer(image.content, image.content_type, headers=IMAGE_HEADERS).send(send)
