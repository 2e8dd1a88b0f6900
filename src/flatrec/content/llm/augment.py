"""Item texts rewritten by a language model that sees text and image (RQ7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from flatrec.content.encoders.images import read_image
from flatrec.content.item_source import ItemSource, Progress, no_progress
from flatrec.content.llm.batch_runner import BatchResult, BatchRunner, Usage
from flatrec.content.llm.chat_client import NO_INPUT, NO_RESPONSE, ChatClient, NoResponseError
from flatrec.content.llm.prompts import AUGMENT, AUGMENT_TEXT, TEXT
from flatrec.content.llm.requests import Request, augment_request
from flatrec.content.llm.response_cache import ResponseCache, default_path
from flatrec.content.llm.settings import Endpoint
from flatrec.content.llm.writing import endpoint_facts, missing_advice, write_report
from flatrec.content.report import count_warnings
from flatrec.data.items import ItemTable
from flatrec.utils.atomic_write import sweep
from flatrec.utils.csv_cells import no_formula

KEPT = "text kept"


@dataclass(frozen=True)
class AugmentPrompts:
    """Prompts for better texts; ``{text}`` stands for the item's text.

    Args:
        with_image: prompt for an item with an image; by default the paper's.
        text_only: prompt for an item without an image.

    Raises:
        ValueError: a prompt lacks ``{text}``.
    """

    with_image: str = AUGMENT
    text_only: str = AUGMENT_TEXT

    def __post_init__(self) -> None:
        for prompt in (self.with_image, self.text_only):
            if TEXT not in prompt:
                raise ValueError(f"a prompt must hold {TEXT}, where the item's text goes, but is {prompt!r}")


@dataclass(frozen=True)
class Destination:
    """Where augmented items go.

    Args:
        path: the new table: ``.csv``, ``.tsv`` or ``.parquet``.
        column: column of the new texts.
        overwrite: whether to replace a table that exists.
    """

    path: Path
    column: str = "augmented_text"
    overwrite: bool = False

    @property
    def details(self) -> Path:
        """CSV file of the warnings."""
        return self.path.with_name(f"{self.path.stem}_report.csv")

    def check(self, table: ItemTable) -> None:
        """Make sure that the new table can be written, before anything is paid for.

        Raises:
            FileExistsError: the table exists, and ``overwrite`` is False.
            ValueError: the ending is wrong, or the table is the one that is read.
            OSError: the folder cannot be written to.
        """
        for path in (self.path, self.details):
            table.check_writable(path)
        if self.path.exists() and not self.overwrite:
            raise FileExistsError(f"{self.path} exists; replace it (--overwrite) or choose another file")


@dataclass(frozen=True)
class AugmentResult:
    """Outcome of an augmentation.

    Args:
        old_texts: text of each item before.
        texts: text of each item; the old one where there is no new one.
        batch: responses of the language model.
        warnings: warnings of each item that has any, such as why its text is the old one.
        cost: cost of the requests of now; None without prices.
        facts: contents of the report; empty for a sample.
    """

    old_texts: Mapping[str, str | None]
    texts: Mapping[str, str | None]
    batch: BatchResult
    warnings: Mapping[str, tuple[str, ...]]
    cost: float | None = None
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def usage(self) -> Usage:
        """Requests and tokens."""
        return self.batch.usage


def augment_items(
    source: ItemSource,
    out: Destination,
    endpoint: Endpoint,
    *,
    prompts: AugmentPrompts | None = None,
    sample: int | None = None,
    allow_missing: bool = False,
    progress: Progress = no_progress,
) -> AugmentResult:
    """Have a language model rewrite the text of every item, and write the table with a column of new texts.

    Responses are cached, so that nothing is paid for twice: after a kill the same call continues.

    Args:
        source: table and images of the items; the text column is ``text`` if none is named.
        out: the new table.
        endpoint: the language model.
        prompts: prompts; by default the paper's.
        sample: number of items to augment without writing anything; all items are augmented and written if left out.
        allow_missing: whether to write old texts where there is no response.
        progress: opens a progress display.

    Raises:
        ImportError: the extra ``llm`` is not installed.
        EndpointError: key, address or model are wrong.
        NoResponseError: an item has no response in the end, and ``allow_missing`` is False.
        ValueError: the table is malformed, lacks a column, or has the new column already.
        OSError: a file cannot be read or written.
    """
    items = replace(source, text_columns=source.text_columns or ("text",)).read()
    table, texts = items.table, dict(items.texts or {})
    if sample is None:
        out.check(table)
    if out.column in table.frame.columns:
        raise ValueError(f"{source.path} has a column {out.column!r} already; name another with --new-column")
    sweep(out.path.parent)
    prompts = prompts or AugmentPrompts()
    texts = dict(islice(texts.items(), sample))
    with ChatClient(endpoint) as client, ResponseCache(default_path()) as cache:
        with progress("items", len(texts)) as on_items:
            runner = BatchRunner(client, cache, allow_missing, on_items)
            result = augment_texts(texts, items.images or {}, runner, prompts)
    result = replace(result, cost=result.usage.cost(endpoint.prompt_price, endpoint.completion_price))
    if sample is not None:
        return result
    if result.batch.missing and not allow_missing:
        raise _missing_error(result)
    facts = {
        "column": out.column,
        "prompt": prompts.with_image,
        "text_prompt": prompts.text_only,
        "items": len(texts),
        "cost": result.cost,
        "warnings": count_warnings(result.warnings),
        **endpoint_facts(endpoint, result.usage),
    }
    result = replace(result, facts=facts)
    _write(result, table, out)
    return result


def augment_texts(
    texts: Mapping[str, str | None],
    images: Mapping[str, Path | None],
    runner: BatchRunner,
    prompts: AugmentPrompts | None = None,
) -> AugmentResult:
    """Have a language model rewrite texts.

    An item with an image and no text gets a caption; one with neither stays without a text.

    Args:
        texts: texts by item.
        images: image files by item; empty if none are to be shown.
        runner: sends the requests.
        prompts: prompts; by default the paper's.

    Raises:
        EndpointError: key, address or model are wrong.
        NoResponseError: ten consecutive requests had no response.
        OSError: an image or the cache cannot be read or written.
    """
    prompts = prompts or AugmentPrompts()
    warnings: dict[str, tuple[str, ...]] = {}

    def requests() -> Iterator[tuple[str, Request]]:
        for item, text in texts.items():
            image = read_image(images.get(item)) if images else None
            warnings[item] = image.warnings if image else ()
            data = image.value if image else None
            stripped = (text or "").strip()
            if stripped or data is not None:
                yield item, augment_request(stripped, data, prompts.with_image, prompts.text_only)
            else:
                warnings[item] += (NO_INPUT,)
                runner.on_items(1)

    batch = runner.run(requests())
    new_texts = dict(texts)
    for item, response in batch.responses.items():
        warnings[item] += response.warnings
        new_texts[item] = response.text or texts[item]
        warnings[item] += () if response.text else (KEPT,)
    for item in batch.missing:
        warnings[item] += (NO_RESPONSE, KEPT)
    return AugmentResult(
        texts, new_texts, batch, {item: item_warnings for item, item_warnings in warnings.items() if item_warnings}
    )


def protect_new_texts(new: Mapping[str, str | None], old: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return texts for a file that spreadsheets open: no response is a formula there; kept texts stay as they were."""
    return {item: text if text is None or text == old.get(item) else no_formula(text) for item, text in new.items()}


def _write(result: AugmentResult, table: ItemTable, out: Destination) -> None:
    is_parquet = out.path.suffix.lower() == ".parquet"
    texts = result.texts if is_parquet else protect_new_texts(result.texts, result.old_texts)
    table.with_column(out.column, texts).write(out.path)
    write_report(out.details, result.warnings, result.facts)


def _missing_error(result: AugmentResult) -> NoResponseError:
    missing = result.batch.missing
    names = ", ".join(item[:20] for item in list(missing)[:5]) + (", ..." if len(missing) > 5 else "")
    return NoResponseError(
        f"{len(missing)} of {len(result.texts)} items ({names}) have no response ({next(iter(missing.values()))}); "
        f"{missing_advice()}; --allow-missing writes their old texts ({result.usage.sentence(result.cost)})"
    )
