"""flatrec augment."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import options
from flatrec.cli.augmentation import DatasetOptions, augment_data, dataset_options
from flatrec.cli.endpoint import with_endpoint
from flatrec.cli.groups import Command, group_of, with_groups
from flatrec.cli.items import with_items
from flatrec.cli.printing import print_json, print_text, print_warnings
from flatrec.content.llm.prompts import AUGMENT, AUGMENT_TEXT
from flatrec.content.llm.settings import Endpoint
from flatrec.content.report import count_warnings

if TYPE_CHECKING:
    from flatrec.content.item_source import ItemSource
    from flatrec.content.llm.augment import AugmentPrompts, AugmentResult, Destination

NEW_COLUMN = "augmented_text"


def _with_dataset(command: Command) -> Command:
    return with_groups(command, {"augmentation": group_of(dataset_options)})


@_with_dataset
@with_endpoint
@with_items
def augment(
    *,
    out: Annotated[
        Path | None, typer.Option(help="The table of new texts: .csv, .tsv or .parquet.", show_default=False)
    ] = None,
    augmentation: DatasetOptions,
    endpoint: Endpoint,
    source: ItemSource,
    new_column: Annotated[str, typer.Option(help="Column of the new texts.")] = NEW_COLUMN,
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
    """Have a language model rewrite item texts, or write what LLMRec takes: profiles, attributes and suggestions.

    With --out, the table is written with new texts. With --data, a profile of each user, attributes of each item, and a
    liked and a disliked item of each user are written beside the data set, where `flatrec train --model llmrec` finds
    them; number and cost of the requests are said before any is sent.

    Responses are cached, so that none is paid for twice: if the command was stopped, the same command continues.

    Example: `flatrec augment items.csv --text-column text --image-dir posters --endpoint http://localhost:8000/v1
    --model qwen2-vl --out items2.csv`
    """
    from flatrec.content.llm.augment import AugmentPrompts, Destination

    if (out is None) == (augmentation.data is None):
        raise ValueError(
            "give --out FILE for a table with new texts, or --data PATH for the profiles, attributes and suggestions "
            "of a data set"
        )
    if augmentation.data is not None:
        _refuse_table_options(new_column=new_column, prompt=prompt, text_prompt=text_prompt)
        augment_data(
            augmentation,
            source,
            endpoint,
            sample=sample,
            allow_missing=allow_missing,
            overwrite=overwrite,
            json=json,
        )
        return
    augmentation.check_unused()
    assert out is not None
    _rewrite_texts(
        source,
        Destination(out, new_column, overwrite),
        endpoint,
        prompts=AugmentPrompts(prompt, text_prompt),
        sample=sample,
        allow_missing=allow_missing,
        json=json,
    )


def _rewrite_texts(
    source: ItemSource,
    destination: Destination,
    endpoint: Endpoint,
    *,
    prompts: AugmentPrompts,
    sample: int | None,
    allow_missing: bool,
    json: bool,
) -> None:
    from flatrec.cli.progress import counting
    from flatrec.content.llm.augment import augment_items

    result = augment_items(
        source,
        destination,
        endpoint,
        prompts=prompts,
        sample=sample,
        allow_missing=allow_missing,
        progress=counting,
    )
    if sample is not None:
        _print_sample(result, json=json)
        return
    path, column = destination.path, destination.column
    if json:
        print_json({"path": str(path), **result.facts})
        return
    print_text(f"{path}: {len(result.texts)} items, {len(result.batch.texts)} with a new text in column {column}")
    print_warnings(result.warnings, destination.details)
    print_text(result.usage.sentence(result.cost))


def _refuse_table_options(**given: str) -> None:
    defaults = {"new_column": NEW_COLUMN, "prompt": AUGMENT, "text_prompt": AUGMENT_TEXT}
    for name, value in given.items():
        if value != defaults[name]:
            option = name.replace("_", "-")
            raise ValueError(f"--{option} is for a table with new texts; name the table with --out, or leave it out")


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
