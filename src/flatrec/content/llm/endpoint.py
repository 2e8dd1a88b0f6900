"""A language model behind an endpoint that speaks OpenAI's chat protocol, as many services and local servers do."""

from __future__ import annotations

import os
import random
import re
import time
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, Field, ValidationError

from flatrec.content.encoders.base import require_extra
from flatrec.content.encoders.texts import without_controls
from flatrec.content.llm.rate_limiter import Pace
from flatrec.content.llm.requests import Question, Wording, worded
from flatrec.content.llm.response_cache import Answer, key_of

if TYPE_CHECKING:
    import openai

NOTHING_TO_ASK, CUT, FILTERED, REFUSED = "nothing to go by", "answer cut off", "answer filtered", "question refused"
NO_ANSWER = "no answer"
_NO_ADDRESS = "the endpoint must be an address such as http://localhost:8000/v1"
LONGEST_PAUSE = 60.0  # seconds between two tries
LARGEST_REPLY = 10 * 2**20  # bytes
LONGEST_ADDRESS, LONGEST_NAME, LONGEST_SAID = 2000, 200, 160  # letters: of an address, of a model, of what is said
MOST_TOKENS = 2**50  # a count beyond is none
_PASSING = (408, 409, 425, 429)  # besides 500 and above: it may be different the next time
_ITEM = (400, 413, 415, 422)  # this question cannot be answered, another may


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Which model, and how to ask it.

    Args:
        url: the base address of the interface, such as ``https://api.openai.com/v1``.
        model: as the endpoint calls it.
        key_variable: the environment variable that holds the key; where it is not set, ``none`` is sent.
        max_tokens: most tokens of an answer.
        temperature: of the sampling; None for the model's own.
        timeout: seconds that an answer may take.
        tries: of one question, before it counts as unanswered.

    Raises:
        ValueError: the address is none, or holds a password or a query; a number is out of range; the name of the
            variable is none.
    """

    url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    max_tokens: int = 512
    temperature: float | None = None
    timeout: float = 120.0
    tries: int = 6

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.key_variable):
            raise ValueError("the key's variable must be the name of an environment variable, such as OPENAI_API_KEY")
        parts = _parts(self.url)
        if parts is None:
            raise ValueError(_NO_ADDRESS)
        if not 0 < len(self.model) <= LONGEST_NAME or not self.model.isprintable():
            raise ValueError(f"the model must be a name of up to {LONGEST_NAME} letters, but is {self.model[:40]!r}")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(
                f"the endpoint's address must hold no password and no query; put the key into {self.key_variable}"
            )
        if self.temperature is not None and not 0 <= self.temperature < float("inf"):
            raise ValueError(f"a temperature must be at least 0, but is {self.temperature}")
        if self.max_tokens < 1 or self.tries < 1 or not self.timeout > 0:
            raise ValueError(
                f"max-tokens and tries must be at least 1 and timeout above 0, but are {self.max_tokens}, "
                f"{self.tries} and {self.timeout}"
            )


class UnansweredError(ConnectionError):
    """A question had no answer, in the end; asking again later may help.

    Args:
        said: why.
        spent: tokens asked and answered all the same, such as for empty answers.
    """

    def __init__(self, said: str, spent: tuple[int, int] = (0, 0)) -> None:
        super().__init__(said)
        self.spent = spent


class UnusableError(OSError):
    """No question will have an answer: key, address or model are wrong."""


class Chat:
    """Asks an endpoint; may be used from many threads.

    Args:
        endpoint: whom.
        pace: how fast.
        first_pause: seconds before a second try; twice as many before each further one, up to LONGEST_PAUSE. A server
            that says how long to wait is obeyed, by all threads.

    Raises:
        ImportError: the extra ``augment`` is not installed.
        ValueError: the variable holds something that cannot be a key.
    """

    def __init__(self, endpoint: Endpoint, pace: Pace | None = None, first_pause: float = 1.0) -> None:
        module = require_extra("openai", "augment")
        self.endpoint, self.pace, self.first_pause = endpoint, pace or Pace(), first_pause
        self._key = os.environ.get(endpoint.key_variable, "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise ValueError(f"{endpoint.key_variable} holds letters that no key has; set it again")
        network = module.DefaultHttpxClient(follow_redirects=False)  # what is asked goes nowhere else
        try:
            self._client: openai.OpenAI = module.OpenAI(
                base_url=endpoint.url,
                api_key=self._key or "none",  # which servers without keys ignore
                timeout=endpoint.timeout,
                max_retries=0,
                http_client=network,
            )
        except Exception as error:  # its network library has an error of its own for an address that is none
            if isinstance(error, (ImportError, OSError)):
                raise
            raise ValueError(_NO_ADDRESS) from None
        self._status_error: type[openai.APIStatusError] = module.APIStatusError
        self._connection_error: type[openai.APIConnectionError] = module.APIConnectionError
        self._limit_name = "max_tokens"

    def __enter__(self) -> Chat:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def key_of(self, question: Question) -> bytes:
        """The key of the answer: equal for equal questions to one model at one address with the same settings."""
        one = self.endpoint
        settings = (one.url, one.model, str(one.max_tokens), str(one.temperature))
        words = (part.encode() for part in (*settings, question.prompt, question.without or ""))
        return key_of(*words, question.image or b"")

    def ask(self, question: Question) -> Answer:
        """The model's answer, or why there is none for this question.

        Raises:
            UnansweredError: the server failed as often as it is tried, or the pace was stopped.
            UnusableError: key, address or model are wrong.
        """
        wording = worded(question)
        if wording is None:
            return Answer(None, (NOTHING_TO_ASK,))
        said, spent = "stopped", (0, 0)
        for attempt in range(self.endpoint.tries):
            if not self.pace.turn():
                break
            try:
                return _with(self._once(wording), spent)
            except _PassingError as error:
                said, spent = str(error), (spent[0] + error.spent[0], spent[1] + error.spent[1])
                pause = min(self.first_pause * 2**attempt, LONGEST_PAUSE) * random.uniform(0.75, 1.25)  # noqa: S311
                if error.wait is not None:
                    self.pace.put_off(error.wait)
                if attempt + 1 < self.endpoint.tries and not self.pace.rest(error.wait or pause):
                    break
        raise UnansweredError(f"no answer from {self._address} ({said})", spent)

    def _once(self, wording: Wording) -> Answer:
        limit = self._limit_name
        try:
            data = self._reply(self._request(wording, limit))
        except self._connection_error as error:  # timeouts too
            raise _PassingError(self._shown(error.__cause__ or error)) from None
        except self._status_error as error:
            if error.status_code == 400 and "max_completion_tokens" in error.message and limit == "max_tokens":
                self._limit_name = "max_completion_tokens"  # newer models of OpenAI's know no other name
                return self._once(wording)
            return self._judged(error)
        try:
            reply = _Reply.model_validate_json(data)
        except ValidationError as error:
            raise _PassingError(f"its answer is not what the protocol says: {error.errors()[0]['msg']}") from None
        if not reply.choices:
            raise _PassingError(self._shown(reply.error.message if reply.error else "its answer holds no choice"))
        return _answer(reply, wording.remarks)

    def _reply(self, request: dict[str, Any]) -> bytes:
        """The body of the answer, which must be there in time: the client's own limit is that of each pause in it."""
        end = time.monotonic() + self.endpoint.timeout
        with self._client.chat.completions.with_streaming_response.create(**request) as reply:
            data = bytearray()
            pieces = reply.iter_bytes()
            while True:
                try:
                    piece = next(pieces, b"")
                except Exception as error:  # whatever the client's network library raises in the middle of a body
                    raise _PassingError(self._shown(error)) from None
                data += piece
                if not piece:
                    return bytes(data)
                if time.monotonic() > end or len(data) > LARGEST_REPLY:
                    raise _PassingError(f"its answer took longer than {self.endpoint.timeout:g} s, or is too large")

    def _request(self, wording: Wording, limit: str) -> dict[str, Any]:
        content: list[dict[str, object]] = [{"type": "text", "text": wording.prompt}]
        if wording.image is not None:
            content.insert(0, {"type": "image_url", "image_url": {"url": wording.image}})
        # Plain words where there is no image: some servers know no other form.
        message = {"role": "user", "content": content if wording.image is not None else wording.prompt}
        warmth = {} if self.endpoint.temperature is None else {"temperature": self.endpoint.temperature}
        return {"model": self.endpoint.model, "messages": [message], limit: self.endpoint.max_tokens, **warmth}

    def _judged(self, error: openai.APIStatusError) -> Answer:
        code, said = error.status_code, self._shown(error)
        if code in _PASSING or code >= 500:
            raise _PassingError(said, _seconds(error.response.headers.get("retry-after")))
        if code in _ITEM:
            return Answer(None, (f"{REFUSED}: {said}",))
        raise UnusableError(
            f"{self._address} refuses ({said}); check the address, --model {self.endpoint.model[:60]}, and the key in "
            f"{self.endpoint.key_variable[:60]}{'' if self._key else ', which is not set'}"
        ) from None

    @property
    def _address(self) -> str:
        return self._shown(self.endpoint.url)[:100]

    def _shown(self, said: BaseException | str) -> str:
        """What a server or the network said, in a line, without the key, which some servers repeat."""
        words = str(said).replace(self._key, "***") if self._key else str(said)
        return " ".join(without_controls(words).split())[:LONGEST_SAID] or type(said).__name__


def _parts(url: str) -> SplitResult | None:
    """The parts of an address that can be asked; None where it is none.

    What the parser removes in silence, such as line breaks, others stumble over.
    """
    if len(url) > LONGEST_ADDRESS or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")  # as it is looked up
    except ValueError:  # a port that is none, half an IPv6 address, a name that nobody can have
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname and port != 0 else None


class _PassingError(Exception):
    """It may be different the next time, perhaps after some seconds; tokens may have been spent."""

    def __init__(self, said: str, wait: float | None = None, spent: tuple[int, int] = (0, 0)) -> None:
        super().__init__(said)
        self.wait, self.spent = wait, spent


class _Part(BaseModel):
    text: str = ""


class _Message(BaseModel):
    content: str | list[_Part] | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Error(BaseModel):
    message: str = "it names an error"


class _Reply(BaseModel):
    """As much of a reply as is read."""

    choices: list[_Choice] = Field(default_factory=list)
    usage: _Usage | None = None
    error: _Error | None = None  # some services send it with status 200


def _answer(reply: _Reply, remarks: tuple[str, ...]) -> Answer:
    choice, usage = reply.choices[0], reply.usage or _Usage()
    tokens = (_count(usage.prompt_tokens), _count(usage.completion_tokens))
    content = choice.message.content or ""
    said = content if isinstance(content, str) else " ".join(part.text for part in content)
    text = " ".join(without_controls(said).split())
    if choice.finish_reason == "length":
        return Answer(None, (*remarks, CUT), *tokens)
    if choice.finish_reason == "content_filter" or choice.message.refusal:
        return Answer(None, (*remarks, FILTERED), *tokens)
    if not text:
        raise _PassingError("its answer is empty", spent=(tokens[0] or 0, tokens[1] or 0))
    return Answer(text, remarks, *tokens)


def _with(answer: Answer, spent: tuple[int, int]) -> Answer:
    """The answer with what was spent on tries before it."""
    if spent == (0, 0):
        return answer
    asked, answered = answer.prompt_tokens or 0, answer.completion_tokens or 0
    return replace(answer, prompt_tokens=asked + spent[0], completion_tokens=answered + spent[1])


def _count(tokens: int | None) -> int | None:
    return tokens if tokens is not None and 0 <= tokens < MOST_TOKENS else None


def _seconds(text: str | None) -> float | None:
    """What a Retry-After header says, within bounds; None where it says nothing or a date."""
    try:
        return min(max(float(text or ""), 0.0), LONGEST_PAUSE)
    except ValueError:
        return None
