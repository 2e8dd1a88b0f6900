"""The options of a language model, which two commands share: one per field of its settings."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import typer

from flatrec.cli.groups import Command, Group, with_groups
from flatrec.content.llm.settings import Endpoint


class _Option(NamedTuple):
    flag: str
    type: Any
    help: str


_OPTIONS = {
    "url": _Option("--endpoint", str, "Base address of the endpoint, such as http://localhost:8000/v1."),
    "model": _Option("--model", str, "Name of the model at the endpoint."),
    "api_key_env": _Option("--api-key-env", str, "Environment variable that holds the API key."),
    "concurrency": _Option("--concurrency", int, "Number of requests at the same time."),
    "requests_per_minute": _Option(
        "--requests-per-minute", float, "Largest number of requests per minute; no limit if left out."
    ),
    "max_tokens": _Option("--max-tokens", int, "Largest number of tokens in a response."),
    "temperature": _Option("--temperature", float, "Sampling temperature; the model's own if left out."),
    "timeout": _Option("--timeout", float, "Seconds to wait for a response."),
    "max_retries": _Option("--max-retries", int, "Attempts after the first one, before a request counts as failed."),
    "prompt_price": _Option("--prompt-price", float, "Price of a million prompt tokens."),
    "completion_price": _Option("--completion-price", float, "Price of a million completion tokens."),
}


def with_endpoint(command: Command) -> Command:
    """Give a command the options of a language model in the place of its parameter ``endpoint``.

    If that parameter has a default, the model may be left out, and the command gets None.

    Raises:
        ValueError: only one of ``--endpoint`` and ``--model`` is given, or a value is out of range.
    """
    optional = inspect.signature(command).parameters["endpoint"].default is None
    options = [_parameter(field, optional=optional) for field in _OPTIONS]
    return with_groups(command, {"endpoint": Group(options, _endpoint)})


def _parameter(field: str, *, optional: bool) -> inspect.Parameter:
    """Return the parameter of one option; the options of the model may be left out together."""
    option, default = _OPTIONS[field], Endpoint.model_fields[field].get_default()
    required = Endpoint.model_fields[field].is_required()
    return inspect.Parameter(
        field,
        inspect.Parameter.KEYWORD_ONLY,
        default=typer.Option(
            ... if required and not optional else None if required else default,
            option.flag,
            help=option.help,
            show_default=not required and default is not None,
        ),
        annotation=option.type if default is not None or (required and not optional) else option.type | None,
    )


def _endpoint(**settings: object) -> Endpoint | None:
    if settings["url"] is None and settings["model"] is None:
        return None
    if settings["url"] is None or settings["model"] is None:
        raise ValueError("a language model needs both --endpoint and --model; give both")
    given: dict[str, Any] = settings
    return Endpoint(**given)
