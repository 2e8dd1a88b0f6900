"""Settings of a language model behind an endpoint."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import model_validator

from flatrec.config.base import Config
from flatrec.utils.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Range

URL_ADVICE = "the endpoint must be an address such as http://localhost:8000/v1"
MAX_URL_LENGTH, MAX_MODEL_LENGTH = 2000, 200
Price = Annotated[float, Range(ge=0, le=1e12)]  # for a million tokens; beyond, costs are no useful numbers


class Endpoint(Config):
    """A language model, and how requests are sent to it.

    Args:
        url: base address of the interface, such as ``https://api.openai.com/v1``.
        model: name of the model at the endpoint.
        api_key_env: environment variable that holds the API key; if it is not set, ``none`` is sent as the key.
        max_tokens: most tokens of a response.
        temperature: temperature of the sampling; the model's own if left out.
        timeout: seconds that a response may take.
        max_retries: attempts after the first one, before a request counts as failed.
        requests_per_minute: most requests per minute; unlimited if left out.
        concurrency: requests under way at once.
        prompt_price: price of a million prompt tokens.
        completion_price: price of a million completion tokens.

    Raises:
        ValueError: the address is none, or holds a password or a query; a number is out of range; the name of the
            environment variable is none.
    """

    url: str
    model: str
    api_key_env: str = "OPENAI_API_KEY"
    max_tokens: PositiveInt = 512
    temperature: NonNegativeFloat | None = None
    timeout: PositiveFloat = 120.0
    max_retries: NonNegativeInt = 5
    requests_per_minute: PositiveFloat | None = None
    concurrency: PositiveInt = 4
    prompt_price: Price | None = None
    completion_price: Price | None = None

    @model_validator(mode="after")
    def _check_names(self) -> Endpoint:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.api_key_env):
            raise ValueError("api_key_env must be the name of an environment variable, such as OPENAI_API_KEY")
        parts = _parse_url(self.url)
        if parts is None:
            raise ValueError(URL_ADVICE)
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(
                f"the endpoint's address must hold no password and no query; put the key into {self.api_key_env}"
            )
        if not 0 < len(self.model) <= MAX_MODEL_LENGTH or not self.model.isprintable():
            raise ValueError(
                f"the model must be a name of up to {MAX_MODEL_LENGTH} letters, but is {self.model[:40]!r}"
            )
        return self


def _parse_url(url: str) -> SplitResult | None:
    """Return the parts of an address that can be reached; None for anything else.

    The parser silently removes some characters, such as line breaks, on which others stumble.
    """
    if len(url) > MAX_URL_LENGTH or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")  # as it is looked up
    except ValueError:  # an impossible port, half an IPv6 address, a name that nobody can have
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname and port != 0 else None
