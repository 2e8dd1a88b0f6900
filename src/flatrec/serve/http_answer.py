"""A whole answer as HTTP has it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import Send

from flatrec.serve.errors import Headers

JSON = "application/json"


@dataclass(frozen=True)
class HttpAnswer:
    """An answer that is sent in one piece.

    Args:
        content: its bytes.
        content_type: what they are.
        status: its status.
        headers: further headers.
    """

    content: bytes
    content_type: str = JSON
    status: int = 200
    headers: Headers = ()

    async def send(self, send: Send) -> None:
        """Send it."""
        headers = [
            (b"content-type", self.content_type.encode()),
            (b"content-length", str(len(self.content)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.content})
