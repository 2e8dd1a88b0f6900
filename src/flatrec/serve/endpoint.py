"""An operation as an endpoint of ASGI: bytes in, the struct, a thread, the struct, bytes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
from starlette.types import Receive, Scope, Send

from flatrec.serve.batches import Batches
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
        on_answer: hears of each answer.
    """

    operation: AnyOperation
    served: ServedModel
    service: Service
    work: Work
    on_answer: Callable[[msgspec.Struct], None] = lambda _answer: None
    lists: tuple[str, ...] = field(init=False)
    batches: Batches[msgspec.Struct] = field(init=False)

    def __post_init__(self) -> None:
        fields = msgspec.structs.fields(self.operation.query)
        object.__setattr__(self, "lists", tuple(one.name for one in fields if one.default == ()))
        object.__setattr__(self, "batches", Batches(self._answers, self.work))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises:
            Refused: it is malformed, or its answer takes too long.
        """
        if self.operation.method == "GET":
            content = await self._answer_query(scope)
        else:
            limits = self.service.limits
            most = self.operation.body_bytes(limits) if self.operation.body_bytes else limits.body_bytes
            body = await read_body(scope, receive, most, limits.body_seconds)
            content = await self.work.run(self._answer_body, body, self.served.current)
        await HttpAnswer(content).send(send)

    async def _answer_query(self, scope: Scope) -> bytes:
        query = decode_query(scope, self._path_values(scope), self.operation.query, self.lists)
        served, together = self.served.current, self.operation.together
        key = None if together is None else together.key(query, self.service)
        if together is None or key is None:
            return await self.work.run(self._answer, query, served)
        is_quick = together.is_quick(served, self.service)
        return await self.batches.answer(query, served, key, is_quick=is_quick)

    def _answer_body(self, body: bytes, served: Served) -> bytes:
        return self._answer(decode_body(body, self.operation.query), served)

    def _answer(self, query: msgspec.Struct, served: Served) -> bytes:
        """Return the JSON of the answer by one recommender."""
        return self._encoded(self.operation.function(query, served, self.service))

    def _answers(self, queries: Sequence[msgspec.Struct], served: Served) -> list[bytes | Refused]:
        """Return the JSON of the answers to queries that came at the same time, by one recommender."""
        together = self.operation.together
        assert together is not None
        answers = together.function(queries, served, self.service)
        return [answer if isinstance(answer, Refused) else self._encoded(answer) for answer in answers]

    def _encoded(self, answer: msgspec.Struct) -> bytes:
        self.on_answer(answer)
        return msgspec.json.encode(answer)

    def _path_values(self, scope: Scope) -> dict[str, bytes]:
        """Return the value of the path as it was sent, percent-encoded."""
        start, brace, name = self.operation.path.partition("{")
        if not brace:
            return {}
        raw, before = scope["raw_path"], (self.service.prefix + start).encode()
        if not raw.startswith(before):
            raise Refused(404, f"a path must begin with {before.decode()}, unencoded; write it so")
        return {name.rstrip("}").partition(":")[0]: raw[len(before) :]}
