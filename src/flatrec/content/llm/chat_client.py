"""Client of a language model behind an endpoint of OpenAI's chat protocol, as many services and local servers have it.

The package ``openai`` does the transport. Its own retries are off: they ignore the rate limit, sleep where nothing can
wake them, and know no limit for a whole reply.
"""

from __future__ import annotations

import os
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flatrec.content.encoders.texts import remove_control_characters
from flatrec.content.llm.rate_limiter import RateLimiter
from flatrec.content.llm.reply import TransientError, parse_reply
from flatrec.content.llm.requests import Message, Request, to_message
from flatrec.content.llm.response_cache import Response, response_key
from flatrec.content.llm.settings import URL_ADVICE, Endpoint
from flatrec.utils.optional import require_extra

if TYPE_CHECKING:
    import openai

NO_INPUT, REFUSED, NO_RESPONSE = "neither text nor image", "request refused", "no response"
MAX_PAUSE = 60.0  # seconds between two attempts
MAX_REPLY_SIZE = 10 * 2**20  # bytes
MAX_REASON_LENGTH = 160  # letters
_TRANSIENT = (408, 409, 425, 429)  # status codes, besides 500 and above, that may be different the next time
_REFUSAL = (400, 413, 415, 422)  # status codes of a request that cannot be answered, while another one may


class NoResponseError(ConnectionError):
    """A request failed in all its attempts; sending it again later may help.

    Args:
        reason: what went wrong.
        tokens: prompt and completion tokens that were spent all the same, such as for empty replies.
    """

    def __init__(self, reason: str, tokens: tuple[int, int] = (0, 0)) -> None:
        super().__init__(reason)
        self.tokens = tokens


class EndpointError(OSError):
    """No request can succeed: key, address or model are wrong."""


class ChatClient:
    """Sends requests to an endpoint; many threads may use it at once.

    Args:
        endpoint: the language model and how requests are sent to it.

    Raises:
        ImportError: the extra ``llm`` is not installed.
        ValueError: the environment variable holds something that cannot be a key.
    """

    # Seconds before the second attempt; twice as many before each further one, up to MAX_PAUSE.
    first_pause = 1.0

    def __init__(self, endpoint: Endpoint) -> None:
        library = require_extra("openai", "llm")
        self.endpoint, self.rate_limiter = endpoint, RateLimiter(endpoint.requests_per_minute)
        self._key = os.environ.get(endpoint.api_key_env, "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise ValueError(f"{endpoint.api_key_env} holds letters that no key has; set it again")
        transport = library.DefaultHttpxClient(follow_redirects=False)  # requests go to no other address
        try:
            self._client: openai.OpenAI = library.OpenAI(
                base_url=endpoint.url,
                api_key=self._key or "none",  # which servers without keys ignore
                timeout=endpoint.timeout,
                max_retries=0,
                http_client=transport,
            )
        except Exception as error:  # the transport has an error class of its own for an impossible address
            if isinstance(error, (ImportError, OSError)):
                raise
            raise ValueError(URL_ADVICE) from None
        self._status_error: type[openai.APIStatusError] = library.APIStatusError
        self._connection_error: type[openai.APIConnectionError] = library.APIConnectionError
        self._token_limit = "max_tokens"

    def __enter__(self) -> ChatClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def cache_key(self, request: Request) -> bytes:
        """Return a key that is equal for equal requests to one model at one address with the same settings."""
        endpoint = self.endpoint
        settings = (endpoint.url, endpoint.model, str(endpoint.max_tokens), str(endpoint.temperature))
        words = (part.encode() for part in (*settings, request.prompt, request.prompt_without_image or ""))
        return response_key(*words, request.image or b"")

    def send(self, request: Request) -> Response:
        """Return the model's response, or the reason why there is none for this request.

        Raises:
            NoResponseError: all attempts failed, or the rate limiter was stopped.
            EndpointError: key, address or model are wrong.
        """
        message = to_message(request)
        if message is None:
            return Response(None, (NO_INPUT,))
        reason, tokens = "stopped", (0, 0)
        for attempt in range(self.endpoint.max_retries + 1):
            if not self.rate_limiter.acquire():
                break
            try:
                return _add_tokens(self._send_once(message), tokens)
            except TransientError as error:
                reason = self._printable(error)
                tokens = (tokens[0] + error.tokens[0], tokens[1] + error.tokens[1])
                pause = min(self.first_pause * 2**attempt, MAX_PAUSE) * random.uniform(0.75, 1.25)
                if error.wait is not None:  # the server says how long to wait, and all threads obey
                    self.rate_limiter.postpone(error.wait)
                if attempt < self.endpoint.max_retries and not self.rate_limiter.sleep(error.wait or pause):
                    break
        raise NoResponseError(f"{NO_RESPONSE} from {self._address} ({reason})", tokens)

    def _send_once(self, message: Message) -> Response:
        limit = self._token_limit
        try:
            data = self._read_reply(self._body(message, limit))
        except self._connection_error as error:  # timeouts too
            raise TransientError(self._printable(error.__cause__ or error)) from None
        except self._status_error as error:
            if error.status_code == 400 and error.param == limit == "max_tokens":
                self._token_limit = "max_completion_tokens"  # newer models of OpenAI's know no other name
                return self._send_once(message)
            return self._judge(error)
        return parse_reply(data, message.warnings)

    def _read_reply(self, body: dict[str, Any]) -> bytes:
        """Read a whole reply within the time limit; the library's own limit is for each pause in it."""
        end = time.monotonic() + self.endpoint.timeout
        with self._client.chat.completions.with_streaming_response.create(**body) as reply:
            data = bytearray()
            pieces = reply.iter_bytes()
            while True:
                try:
                    piece = next(pieces, b"")
                except Exception as error:  # whatever the transport raises in the middle of a reply
                    raise TransientError(self._printable(error)) from None
                data += piece
                if not piece:
                    return bytes(data)
                if time.monotonic() > end or len(data) > MAX_REPLY_SIZE:
                    raise TransientError(f"its reply took longer than {self.endpoint.timeout:g} s, or is too large")

    def _body(self, message: Message, limit: str) -> dict[str, Any]:
        content: list[dict[str, object]] = [{"type": "text", "text": message.prompt}]
        if message.image_url is not None:
            content.insert(0, {"type": "image_url", "image_url": {"url": message.image_url}})
        # Plain words where there is no image: some servers know no other form.
        words = {"role": "user", "content": content if message.image_url is not None else message.prompt}
        sampling = {} if self.endpoint.temperature is None else {"temperature": self.endpoint.temperature}
        return {"model": self.endpoint.model, "messages": [words], limit: self.endpoint.max_tokens, **sampling}

    def _judge(self, error: openai.APIStatusError) -> Response:
        code, reason = error.status_code, self._printable(error)
        if code in _TRANSIENT or code >= 500:
            raise TransientError(reason, _seconds(error.response.headers.get("retry-after")))
        if code in _REFUSAL:
            return Response(None, (f"{REFUSED}: {reason}",))
        raise EndpointError(
            f"{self._address} refuses ({reason}); check the address, --model {self.endpoint.model[:60]}, and the key "
            f"in {self.endpoint.api_key_env[:60]}{'' if self._key else ', which is not set'}"
        ) from None

    @property
    def _address(self) -> str:
        return self._printable(self.endpoint.url)[:100]

    def _printable(self, reason: BaseException | str) -> str:
        """Return what a server or the network said in one line, without the key, which some servers repeat."""
        words = str(reason).replace(self._key, "***") if self._key else str(reason)
        return " ".join(remove_control_characters(words).split())[:MAX_REASON_LENGTH] or type(reason).__name__


def _add_tokens(response: Response, tokens: tuple[int, int]) -> Response:
    """Return the response with the tokens of earlier attempts added."""
    if tokens == (0, 0):
        return response
    prompt, completion = response.prompt_tokens or 0, response.completion_tokens or 0
    return replace(response, prompt_tokens=prompt + tokens[0], completion_tokens=completion + tokens[1])


def _seconds(text: str | None) -> float | None:
    """Return the seconds of a Retry-After header, within bounds; None if it is absent or a date."""
    try:
        return min(max(float(text or ""), 0.0), MAX_PAUSE)
    except ValueError:
        return None
