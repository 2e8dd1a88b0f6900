"""flatrec augment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import endpoint as asked
from flatrec.cli import options
from flatrec.cli.items import IdColumn, ImageColumn, ImageDir, Items, TextColumn, images_of
from flatrec.cli.printing import print_json, print_remarks, print_text
from flatrec.content.llm.prompts import AUGMENT, AUGMENT_TEXT

if TYPE_CHECKING:
    from flatrec.content.llm.augment import Augmented, Prompts
    from flatrec.content.llm.endpoint import Chat, UnansweredError
    from flatrec.data.items import ItemTable


def augment_items(
    items: Items,
    out: Annotated[Path, typer.Option(help="The new table: .csv, .tsv or .parquet.", show_default=False)],
    url: asked.Url,
    model: asked.Model,
    id_column: IdColumn = None,
    text_column: TextColumn = None,
    image_dir: ImageDir = None,
    image_column: ImageColumn = None,
    new_column: Annotated[str, typer.Option(help="Column of the new texts.")] = "augmented_text",
    prompt: Annotated[str, typer.Option(help="With an image; {text} is the item's text.")] = AUGMENT,
    text_prompt: Annotated[str, typer.Option(help="Without an image.")] = AUGMENT_TEXT,
    sample: Annotated[
        int | None,
        typer.Option(min=1, help="Ask for so many items, show old and new, write nothing.", show_default=False),
    ] = None,
    keep_unanswered: Annotated[
        bool, typer.Option("--keep-unanswered", help="Write old texts where there is no answer.")
    ] = False,
    key_variable: asked.KeyVariable = "OPENAI_API_KEY",
    concurrency: asked.Concurrency = 4,
    rate: asked.Rate = None,
    max_tokens: asked.MaxTokens = 512,
    temperature: asked.Temperature = None,
    timeout: asked.Timeout = 120.0,
    tries: asked.Tries = 6,
    prompt_price: asked.PromptPrice = None,
    completion_price: asked.CompletionPrice = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Have item texts written again by a language model that sees text and image.

    Answers are kept, so that nothing is asked and paid for twice: after a kill the same command goes on.

    Example: `flatrec augment items.csv --text-column text --image-dir posters --endpoint http://localhost:8000/v1
    --model qwen2-vl --out items2.csv`
    """
    from flatrec.content.llm.augment import Prompts
    from flatrec.content.llm.endpoint import Chat, Endpoint
    from flatrec.content.llm.rate_limiter import Pace
    from flatrec.content.llm.report import counted, shown, summary, write_report
    from flatrec.data.items import read_items
    from flatrec.utils.atomic_write import sweep

    endpoint = Endpoint(
        url=url,
        model=model,
        key_variable=key_variable,
        max_tokens=max_tokens,
        temperature=temperature,
        timeout=timeout,
        tries=tries,
    )
    asked.check_prices(prompt_price, completion_price)
    table = read_items(items, id_column)
    details = out.with_name(f"{out.stem}_report.csv")
    if sample is None:
        _check_place(table, out, details, overwrite=overwrite)
    if new_column in table.frame.columns:
        raise ValueError(f"{items} has a column {new_column!r} already; name another with --new-column")
    texts = table.join_columns(text_column or ["text"])
    images = images_of(table, image_dir, image_column) or {}
    sweep(out.parent)
    if sample is not None:
        texts = dict(islice(texts.items(), sample))
    prompts = Prompts(prompt, text_prompt)
    chat = Chat(endpoint, Pace(rate))
    made = _asked(texts, images, prompts, chat, concurrency, persistent=keep_unanswered)
    cost = asked.cost_of(made.answers.usage, prompt_price, completion_price)
    if sample is not None:
        _show(texts, made, cost, json=json)
        return
    if made.answers.unanswered and not keep_unanswered:
        raise _unanswered(made, len(texts), asked.usage_words(made.answers.usage, cost))
    answered = made.texts if out.suffix.lower() == ".parquet" else shown(made.texts, texts)
    table.with_column(new_column, answered).write(out)
    facts = summary(
        {"column": new_column, "prompt": prompt, "text_prompt": text_prompt, "items": len(texts), "cost": cost},
        made.remarks,
        made.answers.usage,
        endpoint,
    )
    write_report(details, made.remarks, facts)
    if json:
        print_json({"path": str(out), **facts})
        return
    new = sum(one.text is not None for one in made.answers.by_item.values())
    print_text(f"{out}: {len(texts)} items, {new} of them with a new text in column {new_column}")
    print_remarks(counted(made.remarks), details)
    print_text(asked.usage_words(made.answers.usage, cost))


def _asked(
    texts: Mapping[str, str | None],
    images: Mapping[str, Path | None],
    prompts: Prompts,
    chat: Chat,
    concurrency: int,
    *,
    persistent: bool,
) -> Augmented:
    from flatrec.cli.progress import counting
    from flatrec.content.llm.augment import augment
    from flatrec.content.llm.batch_runner import Asking
    from flatrec.content.llm.response_cache import AnswerStore, default_path

    with chat, AnswerStore(default_path()) as store:
        with counting("items", len(texts)) as done:
            return augment(
                texts, images, Asking(chat, store, concurrency, persistent=persistent, on_items=done), prompts
            )


def _check_place(table: ItemTable, out: Path, details: Path, *, overwrite: bool) -> None:
    for path in (out, details):
        table.check_writable(path)
    if out.exists() and not overwrite:
        raise FileExistsError(f"{out} is there already; replace it (--overwrite) or choose another file")


def _unanswered(made: Augmented, items: int, usage: str) -> UnansweredError:
    from flatrec.content.llm.endpoint import UnansweredError

    unanswered = made.answers.unanswered
    named = ", ".join(item[:20] for item in list(unanswered)[:5]) + (", ..." if len(unanswered) > 5 else "")
    return UnansweredError(
        f"{len(unanswered)} of {items} items ({named}) have no answer ({next(iter(unanswered.values()))}); "
        f"{asked.kept()}; --keep-unanswered writes their old texts ({usage})"
    )


def _show(texts: Mapping[str, str | None], made: Augmented, cost: float | None, *, json: bool) -> None:
    from flatrec.content.llm.report import counted

    usage = made.answers.usage
    if json:
        rows = [{"item": item, "old": old, "new": made.texts[item]} for item, old in texts.items()]
        print_json({"sample": rows, "remarks": counted(made.remarks), "usage": asdict(usage), "cost": cost})
        return
    for item, old in texts.items():
        print_text(f"{item}\n  old: {old or '-'}\n  new: {made.texts[item] or '-'}")
        for remark in made.remarks.get(item, ()):
            print_text(f"  ({remark})")
    print_text(asked.usage_words(usage, cost))
