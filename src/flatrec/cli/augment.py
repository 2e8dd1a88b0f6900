"""flatrec augment."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import options
from flatrec.cli.endpoint import with_endpoint
from flatrec.cli.items import with_items
from flatrec.cli.printing import print_json, print_text, print_warnings
from flatrec.content.llm.prompts import AUGMENT, AUGMENT_TEXT
from flatrec.content.llm.settings import Endpoint
from flatrec.content.report import count_warnings

if TYPE_CHECKING:
    from flatrec.content.item_source import ItemSource
    from flatrec.content.llm.augment import AugmentResult


@with_endpoint
@with_items
def augment(
    *,
    out: Annotated[Path, typer.Option(help="The new table: .csv, .tsv or .parquet.", show_default=False)],
    endpoint: Endpoint,
    source: ItemSource,
    new_column: Annotated[str, typer.Option(help="Column of the new texts.")] = "augmented_text",
    prompt: Annotated[
        str, typer.Option(help="Prompt for an item with an image; {text} stands for the item's text.")
    ] = AUGMENT,
    text_prompt: Annotated[str, typer.Option(help="Prompt for an item without an image.")] = AUGMENT_TEXT,
    sample: Annotated[
        int | None,
        typer.Option(min=1, help="Number of items to augment and show without writing anything.", show_default=False),
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Write the old texts of items without a response.")
    ] = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Rewrite item texts with a language model that sees text and image.

    Responses are cached, so that none is paid for twice: if the command was stopped, the same command continues.

    Example: `flatrec augment items.csv --text-column text --image-dir posters --endpoint http://localhost:8000/v1
    --model qwen2-vl --out items2.csv`
    """
    from flatrec.cli.progress import counting
    from flatrec.content.llm.augment import AugmentPrompts, Destination, augment_items

    destination = Destination(out, new_column, overwrite)
    result = augment_items(
        source,
        destination,
        endpoint,
        prompts=AugmentPrompts(prompt, text_prompt),
        sample=sample,
        allow_missing=allow_missing,
        progress=counting,
    )
    if sample is not None:
        _print_sample(result, json=json)
        return
    if json:
        print_json({"path": str(out), **result.facts})
        return
    print_text(f"{out}: {len(result.texts)} items, {len(result.batch.texts)} with a new text in column {new_column}")
    print_warnings(result.warnings, destination.details)
    print_text(result.usage.sentence(result.cost))


def _print_sample(result: AugmentResult, *, json: bool) -> None:
    if json:
        rows = [{"item": item, "old": old, "new": result.texts[item]} for item, old in result.old_texts.items()]
        counts = count_warnings(result.warnings)
        print_json({"sample": rows, "warnings": counts, "usage": asdict(result.usage), "cost": result.cost})
        return
    for item, old in result.old_texts.items():
        print_text(f"{item}\n  old: {old or '-'}\n  new: {result.texts[item] or '-'}")
        for warning in result.warnings.get(item, ()):
            print_text(f"  ({warning})")
    print_text(result.usage.sentence(result.cost))
