"""Connections that never finish the head of a request are closed, which uvicorn by itself does not do."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEAD_SECONDS = 10.0  # a connection without a whole head is closed after one to two times as long


class ImpatientProtocol(AutoHTTPProtocol):  # type: ignore[valid-type, misc]
    """uvicorn's protocol, with a look at each connection from time to time.

    A connection works on a request, or waits for the next one and is closed by the time for keeping it alive, or is in
    neither state: then a head is on its way. One that is in that state twice, with no request in between, is closed.
    """

    cycle: Any
    timeout_keep_alive_task: asyncio.TimerHandle | None
    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to look at a connection."""
        super().connection_made(transport)
        self._look_later(waited_after=None)

    def _look_later(self, waited_after: object) -> None:
        self.loop.call_later(HEAD_SECONDS, self._look, waited_after)

    def _look(self, waited_after: object) -> None:
        if self.transport.is_closing():
            return
        busy = self.cycle is not None and not self.cycle.response_complete
        if busy or self.timeout_keep_alive_task is not None:
            self._look_later(waited_after=None)
            return
        state = self.cycle or self
        if waited_after is state:
            self.transport.close()
        else:
            self._look_later(waited_after=state)
