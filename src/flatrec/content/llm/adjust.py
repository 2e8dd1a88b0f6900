"""Items whose texts and images are edited after training (RQ3, risk 2).

Each item is adjusted with a probability: a caption of its image becomes its text, and a summary of the caption is
printed on its image. The paper does not say how words get into an image; see
:mod:`flatrec.content.llm.text_overlay`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from flatrec.content.item_source import ItemSource, Progress, no_progress
from flatrec.content.llm.batch_runner import BatchRunner, Usage
from flatrec.content.llm.captions import CaptionResult, generate_captions, read_captions
from flatrec.content.llm.chat_client import ChatClient, NoResponseError
from flatrec.content.llm.item_editor import DETAILS, ItemEditor, adjusted_table_path
from flatrec.content.llm.response_cache import ResponseCache, default_path
from flatrec.content.llm.settings import Endpoint
from flatrec.content.llm.text_overlay import TextOverlay, default_font
from flatrec.content.llm.writing import endpoint_facts, missing_advice, write_report
from flatrec.content.report import count_warnings
from flatrec.utils import seeding
from flatrec.utils.atomic_write import sweep


@dataclass(frozen=True)
class CaptionColumns:
    """Columns of a table that hold captions.

    Args:
        caption: column of the captions.
        summary: column of the words to print; the first words of the caption if left out.
    """

    caption: str
    summary: str | None = None


@dataclass(frozen=True)
class AdjustResult:
    """Outcome of an adjustment.

    Args:
        table: path of the new table.
        details: CSV file of the warnings.
        items: ids of the adjusted items.
        warnings: warnings of each selected item.
        usage: requests and tokens of the language model.
        cost: cost of the requests of now; None without prices.
        facts: contents of ``adjustment.json``.
    """

    table: Path
    details: Path
    items: tuple[str, ...]
    warnings: Mapping[str, tuple[str, ...]]
    usage: Usage
    cost: float | None
    facts: Mapping[str, object]


def adjust_items(
    source: ItemSource,
    out: Path,
    captions: Endpoint | CaptionColumns,
    *,
    probability: float,
    seed: int = 0,
    font: Path | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> AdjustResult:
    """Edit texts and images of some items, and write the table with the columns of the edited ones.

    Args:
        source: table and images of the items; the text column is ``text`` if none is named.
        out: folder of the new table and images.
        captions: the language model that captions the images, or the columns of captions.
        probability: probability that an item is adjusted.
        seed: decides which items are adjusted.
        font: a ``.ttf`` or ``.otf`` file; DejaVu Sans if left out.
        overwrite: whether to replace adjusted items in the folder.
        progress: opens a progress display.

    Raises:
        ImportError: the extra ``llm`` is not installed.
        EndpointError: key, address or model are wrong.
        NoResponseError: an item has no caption in the end.
        ValueError: the table is malformed or lacks a column, there are no images to caption, or the probability lies
            outside of [0, 1].
        OSError: a file cannot be read, or the folder not be written to.
    """
    items = replace(source, text_columns=source.text_columns or ("text",)).read()
    table, images = items.table, items.images or {}
    editor = ItemEditor(table, items.texts or {}, images)
    editor.check(out, overwrite=overwrite)
    sweep(out)
    overlay = TextOverlay(font or default_font())
    selected = draw_items(table.ids, probability, seed)
    cost = None
    if isinstance(captions, Endpoint):
        if not images:
            raise ValueError("there is nothing to caption; give --image-dir or --image-column")
        result = _request_captions(selected, images, captions, progress)
        cost = result.usage.cost(captions.prompt_price, captions.completion_price)
    else:
        summaries = table.column(captions.summary) if captions.summary else None
        result = read_captions(selected, table.column(captions.caption), summaries)
    written = editor.write(out, result.captions, overlay)
    warnings = {item: result.warnings.get(item, ()) + written.get(item, ()) for item in selected}
    facts = {
        "probability": probability,
        "seed": seed,
        "items": list(result.captions),
        "selected": len(selected),
        "of": len(table.ids),
        "cost": cost,
        "warnings": count_warnings(warnings),
        **endpoint_facts(captions if isinstance(captions, Endpoint) else None, result.usage),
    }
    write_report(out / DETAILS, warnings, facts)
    path = adjusted_table_path(out, table.path)
    return AdjustResult(path, out / DETAILS, tuple(result.captions), warnings, result.usage, cost, facts)


def draw_items(items: Sequence[str], probability: float, seed: int) -> list[str]:
    """Draw the items to be adjusted, each independently.

    With one seed, the items of a lower probability are among those of a higher one.

    Raises:
        ValueError: the probability lies outside of [0, 1].
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"a probability must lie in [0, 1], but is {probability}")
    numbers = torch.rand(len(items), generator=seeding.generator(seed, "adjusted items"), dtype=torch.float64)
    return [item for item, number in zip(items, numbers.tolist(), strict=True) if number < probability]


def _request_captions(
    items: Sequence[str], images: Mapping[str, Path | None], endpoint: Endpoint, progress: Progress
) -> CaptionResult:
    with ChatClient(endpoint) as client, ResponseCache(default_path()) as cache:
        with progress("captions and summaries", 2 * len(items)) as on_items:
            result = generate_captions(items, images, BatchRunner(client, cache, on_items=on_items))
    if result.missing:
        raise NoResponseError(
            f"{len(result.missing)} of {len(items)} items have no caption yet "
            f"({next(iter(result.missing.values()))}); {missing_advice()} ({result.usage.sentence(None)})"
        )
    return result
