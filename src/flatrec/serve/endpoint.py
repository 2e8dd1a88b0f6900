"""An operation as an endpoint of ASGI: bytes in, the struct, a thread, the struct, bytes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from starlette.types import Receive, Scope, Send

from flatrec.serve.decoding import decode_body, decode_query, read_body
from flatrec.serve.errors import Refused
from flatrec.serve.http_answer import HttpAnswer
from flatrec.serve.operations import AnyOperation, Service
from flatrec.serve.reload import ServedModel
from flatrec.serve.served import Served
from flatrec.serve.work import Work


@dataclass(frozen=True, eq=False)
class Endpoint:
    """One operation of one recommender.

    Args:
        operation: the operation.
        served: the recommender that answers now; it is taken once per request.
        service: what operations share.
        work: the threads.
        prefix: what precedes the path of the operation.
        on_answer: hears of each answer.
    """

    operation: AnyOperation
    served: ServedModel
    service: Service
    work: Work
    prefix: str = ""
    on_answer: Callable[[msgspec.Struct], None] = lambda _answer: None
    lists: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        fields = msgspec.structs.fields(self.operation.query)
        object.__setattr__(self, "lists", tuple(one.name for one in fields if one.default == ()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises:
            Refused: it is malformed, or its answer takes too long.
        """
        if self.operation.method == "GET":
            query = decode_query(scope, self._path_values(scope), self.operation.query, self.lists)
            answer = await self.work.run(self._answer, query)
        else:
            limits = self.service.limits
            most = self.operation.body_bytes(limits) if self.operation.body_bytes else limits.body_bytes
            body = await read_body(scope, receive, most, limits.body_seconds)
            answer = await self.work.run(self._answer, body)
        await HttpAnswer(answer).send(send)

    def _answer(self, given: msgspec.Struct | bytes) -> bytes:
        """Return the JSON of the answer by the recommender that is served when the work begins."""
        served: Served = self.served.current
        query = decode_body(given, self.operation.query) if isinstance(given, bytes) else given
        answer = self.operation.function(query, served, self.service)
        self.on_answer(answer)
        return msgspec.json.encode(answer)

    def _path_values(self, scope: Scope) -> dict[str, bytes]:
        """Return the value of the path as it was sent, percent-encoded."""
        start, brace, name = self.operation.path.partition("{")
        if not brace:
            return {}
        raw, before = scope["raw_path"], (self.prefix + start).encode()
        if not raw.startswith(before):
            raise Refused(404, f"a path must begin with {before.decode()}, unencoded; write it so")
        return {name.rstrip("}").partition(":")[0]: raw[len(before) :]}
