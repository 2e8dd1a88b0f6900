"""Replies of the chat protocol, checked and turned into responses."""

from __future__ import annotations

from pydantic import BaseModel, Field, ValidationError

from flatrec.content.encoders.texts import remove_control_characters
from flatrec.content.llm.response_cache import Response

TRUNCATED, FILTERED = "response cut off", "response filtered"
MAX_TOKEN_COUNT = 2**50  # a larger number is no count


class TransientError(Exception):
    """A request that failed and may succeed the next time.

    Args:
        reason: what went wrong.
        wait: seconds that the server asks to wait.
        tokens: prompt and completion tokens that were spent all the same.
    """

    def __init__(self, reason: str, wait: float | None = None, tokens: tuple[int, int] = (0, 0)) -> None:
        super().__init__(reason)
        self.wait, self.tokens = wait, tokens


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
    choices: list[_Choice] = Field(default_factory=list)
    usage: _Usage | None = None
    error: _Error | None = None  # some services send it with status 200


def parse_reply(data: bytes, warnings: tuple[str, ...]) -> Response:
    """Return the response in the body of a reply.

    Args:
        data: the body.
        warnings: what had to be left out of the request.

    Raises:
        TransientError: the body is not what the protocol says, names an error, or holds an empty text.
    """
    try:
        reply = _Reply.model_validate_json(data)
    except ValidationError as error:
        raise TransientError(f"its reply is not what the protocol says: {error.errors()[0]['msg']}") from None
    if not reply.choices:
        raise TransientError(reply.error.message if reply.error else "its reply holds no choice")
    choice, usage = reply.choices[0], reply.usage or _Usage()
    tokens = (_count(usage.prompt_tokens), _count(usage.completion_tokens))
    content = choice.message.content or ""
    words = content if isinstance(content, str) else " ".join(part.text for part in content)
    text = " ".join(remove_control_characters(words).split())
    if choice.finish_reason == "length":
        return Response(None, (*warnings, TRUNCATED), *tokens)
    if choice.finish_reason == "content_filter" or choice.message.refusal:
        return Response(None, (*warnings, FILTERED), *tokens)
    if not text:
        raise TransientError("its reply is empty", tokens=(tokens[0] or 0, tokens[1] or 0))
    return Response(text, warnings, *tokens)


def _count(tokens: int | None) -> int | None:
    return tokens if tokens is not None and 0 <= tokens < MAX_TOKEN_COUNT else None
