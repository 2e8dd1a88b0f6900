"""The gate that every request passes: who may ask, errors as one JSON, the metrics, and the access log."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flatrec.serve.access_log import AccessLine, AccessLog, now
from flatrec.serve.decoding import ClientGoneError
from flatrec.serve.errors import Refused, error_body
from flatrec.serve.http_answer import HttpAnswer
from flatrec.serve.metrics import Metrics
from flatrec.serve.tokens import Tokens
from flatrec.utils.messages import clipped

CLIENT_GONE = 499
BEARER = ((b"www-authenticate", b"Bearer"),)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Gate:
    """An app of ASGI around the routes.

    Args:
        routes: what answers those who may ask.
        tokens: the tokens of those who may ask.
        hosts: names by which the service may be called; empty for any.
        open_paths: paths that need no token.
        metrics: counts requests.
        access_log: gets a line of each request.
        log_users: whether addresses are logged as they were sent.
    """

    routes: ASGIApp
    tokens: Tokens
    hosts: Collection[str]
    open_paths: Collection[str]
    metrics: Metrics
    access_log: AccessLog
    log_users: bool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, whatever happens."""
        if scope["type"] != "http":
            await self.routes(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def counted(event: Message) -> None:
            nonlocal status
            status = event.get("status", status)
            await send(event)

        try:
            scope["app"] = self  # so that Starlette raises what is not found
            self._admit(scope)
            await self.routes(scope, receive, counted)
        except ClientGoneError:
            status = CLIENT_GONE
        except Exception as error:
            if status:  # the answer has begun
                raise
            refused = _as_refused(error, scope)
            answer = HttpAnswer(error_body(refused), status=refused.status, headers=refused.headers)
            await answer.send(counted)
        finally:
            self._record(scope, status, time.perf_counter() - started)

    def _admit(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        if self.hosts and host_name(headers.get(b"host", b"")) not in self.hosts:
            host = clipped(headers.get(b"host", b"").decode("latin-1"))
            raise Refused(421, f"the host must be one of {', '.join(self.hosts)}, but is {host!r}; see --allowed-host")
        if scope["path"] not in self.open_paths and not self.tokens.admit(headers.get(b"authorization", b"")):
            raise Refused(401, "a bearer token is needed, but there is none or another; send Authorization", BEARER)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        path = scope["route"].path.replace(":path}", "}") if "route" in scope else ""
        self.metrics.observe(path, status, seconds)
        address = ""
        if self.log_users:
            address = (scope["raw_path"] + b"?" + scope["query_string"]).decode("latin-1").rstrip("?")
        self.access_log.write(AccessLine(now(), scope["method"], path, status, round(1000 * seconds, 2), address))


def host_name(header: bytes) -> str:
    """Return the name in a header ``Host``, without the port.

    Example:
        >>> host_name(b"LOCALHOST:8000"), host_name(b"[::1]:8000")
        ('localhost', '::1')
    """
    text = header.decode("latin-1").strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]


def _as_refused(error: Exception, scope: Scope) -> Refused:
    if isinstance(error, Refused):
        return error
    path = clipped(scope["path"], 60)
    if isinstance(error, HTTPException) and error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        said = f"{path!r} is asked by {allowed}, but was by {clipped(scope['method'])!r}; see /openapi.json"
        return Refused(405, said, ((b"allow", allowed.encode()),))
    if isinstance(error, HTTPException):
        return Refused(404, f"a path must be one of /openapi.json, but is {path!r}; look there")
    logger.error("request failed", exc_info=error)
    return Refused(500, "the service failed at this request, through no fault of it; its log says why")
