"""What the two commands that use a language model write and say alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from flatrec.content.llm.batch_runner import Usage
from flatrec.content.llm.response_cache import default_path
from flatrec.content.llm.settings import Endpoint
from flatrec.content.report import write_warnings
from flatrec.utils.atomic_write import write_text
from flatrec.utils.cache_dir import VARIABLE
from flatrec.utils.integrity import seal


def endpoint_facts(endpoint: Endpoint | None, usage: Usage) -> dict[str, object]:
    """Return settings of the endpoint, which hold no key, and the usage; nothing if there was no endpoint."""
    return {"endpoint": endpoint.model_dump(), "usage": asdict(usage)} if endpoint else {}


def write_report(details: Path, warnings: Mapping[str, tuple[str, ...]], facts: Mapping[str, object]) -> None:
    """Write a ``.csv`` file with one row per item and warning, and the facts beside it as ``.json``.

    Raises:
        OSError: a file cannot be written.
    """
    rows = ((item, warning) for item, item_warnings in warnings.items() for warning in item_warnings)
    write_warnings(details, ("item", "warning"), rows)
    write_text(details.with_suffix(".json"), seal(facts) + "\n")


def missing_advice() -> str:
    """Say what becomes of the responses that came, if others did not."""
    if default_path() is None:
        return f"nothing is cached, as {VARIABLE} is off"
    return "the other responses are cached: the same command requests the rest"
