"""flatrec adjust."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import endpoint as asked
from flatrec.cli import options
from flatrec.cli.items import IdColumn, ImageColumn, ImageDir, Items, TextColumn, images_of
from flatrec.cli.printing import print_json, print_remarks, print_text

if TYPE_CHECKING:
    from flatrec.content.llm.adjust import Captioned
    from flatrec.content.llm.endpoint import Chat


def adjust(
    items: Items,
    out: Annotated[Path, typer.Option(help="Folder for the new table and images.", show_default=False)],
    probability: Annotated[float, typer.Option(help="Of each item.", show_default=False)],
    seed: Annotated[int, typer.Option(help="Decides which items.")] = 0,
    id_column: IdColumn = None,
    text_column: TextColumn = None,
    image_dir: ImageDir = None,
    image_column: ImageColumn = None,
    caption_column: Annotated[
        str | None, typer.Option(help="Column of captions, instead of an endpoint.", show_default=False)
    ] = None,
    summary_column: Annotated[
        str | None, typer.Option(help="Column of words to print; the caption's first if left out.", show_default=False)
    ] = None,
    font: Annotated[
        Path | None, typer.Option(help="A .ttf or .otf file. Default DejaVu Sans.", show_default=False)
    ] = None,
    url: asked.PerhapsUrl = None,
    model: asked.PerhapsModel = None,
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
    """Edit the texts and images of some items, to see how a trained model bears it.

    A caption of its image becomes an item's text, and a summary of the caption is printed on its image. Encode the
    new table into the same folder, and `flatrec study adjustment --set study.features='["FOLDER"]'` scores on it.

    Example: `flatrec adjust items.csv --text-column text --image-dir posters --probability 0.03
    --caption-column caption --out adjusted`
    """
    from flatrec.content.llm import adjust
    from flatrec.content.llm.endpoint import Chat, Endpoint
    from flatrec.content.llm.rate_limiter import Pace
    from flatrec.content.llm.report import summary, write_report
    from flatrec.content.llm.text_overlay import Printer, default_font
    from flatrec.data.items import read_items
    from flatrec.utils.atomic_write import sweep

    by_model = url is not None or model is not None
    if by_model == (caption_column is not None) or (by_model and not (url and model)):
        raise ValueError("give --caption-column, or --endpoint and --model, which caption the images")
    asked.check_prices(prompt_price, completion_price)
    table = read_items(items, id_column)
    images = images_of(table, image_dir, image_column) or {}
    edition = adjust.Edition(table, table.join_columns(text_column or ["text"]), images)
    edition.check(out, overwrite=overwrite)
    sweep(out)
    printer = Printer(font or default_font())
    chosen = adjust.drawn(table.ids, probability, seed)
    endpoint = None
    if url and model:
        if not images:
            raise ValueError("there is nothing to caption; give --image-dir or --image-column")
        endpoint = Endpoint(
            url=url,
            model=model,
            key_variable=key_variable,
            max_tokens=max_tokens,
            temperature=temperature,
            timeout=timeout,
            tries=tries,
        )
        captioned = _asked(chosen, images, Chat(endpoint, Pace(rate)), concurrency)
    else:
        short = table.column(summary_column) if summary_column else None
        captioned = adjust.captions_given(chosen, table.column(caption_column or ""), short)
    cost = asked.cost_of(captioned.usage, prompt_price, completion_price)
    printed = edition.write(out, captioned.captions, printer)
    remarks = {item: captioned.remarks.get(item, ()) + printed.get(item, ()) for item in chosen}
    facts = {
        "probability": probability,
        "seed": seed,
        "items": list(captioned.captions),
        **summary({"drawn": len(chosen), "of": len(table.ids), "cost": cost}, remarks, captioned.usage, endpoint),
    }
    write_report(out / adjust.DETAILS, remarks, facts)
    if json:
        print_json({"path": str(out), **facts})
        return
    _print(out, adjust.table_of(out, items), facts, remarks)
    _print_next(adjust.table_of(out, items), id_column, with_images=bool(images))
    if endpoint:
        print_text(asked.usage_words(captioned.usage, cost))


def _asked(items: Sequence[str], images: Mapping[str, Path | None], chat: Chat, concurrency: int) -> Captioned:
    from flatrec.cli.progress import counting
    from flatrec.content.llm.adjust import captions_asked
    from flatrec.content.llm.batch_runner import Asking
    from flatrec.content.llm.endpoint import UnansweredError
    from flatrec.content.llm.response_cache import AnswerStore, default_path

    with chat, AnswerStore(default_path()) as store:
        with counting("captions and summaries", 2 * len(items)) as done:
            captioned = captions_asked(items, images, Asking(chat, store, concurrency, on_items=done))
    if captioned.unanswered:
        raise UnansweredError(
            f"{len(captioned.unanswered)} of {len(items)} items have no caption yet "
            f"({next(iter(captioned.unanswered.values()))}); {asked.kept()} "
            f"({asked.usage_words(captioned.usage, None)})"
        )
    return captioned


def _print(out: Path, table: Path, facts: Mapping[str, object], remarks: Mapping[str, tuple[str, ...]]) -> None:
    from flatrec.content.llm.adjust import DETAILS
    from flatrec.content.llm.report import counted

    adjusted = facts["items"]
    assert isinstance(adjusted, list)
    print_text(f"{table}: {len(adjusted)} of {facts['of']} items adjusted, {facts['drawn']} drawn")
    print_remarks(counted(remarks), out / DETAILS)


def _print_next(table: Path, id_column: str | None, *, with_images: bool) -> None:
    """The command that encodes the new table."""
    from flatrec.content.llm.adjust import IMAGE_COLUMN, TEXT_COLUMN

    which = ("--id-column", id_column) if id_column else ()
    seen = ("--image-column", IMAGE_COLUMN) if with_images else ()
    words = (str(table), *which, "--text-column", TEXT_COLUMN, *seen, "--out", str(table.parent))
    print_text(f"encode them: {shlex.join(('flatrec', 'encode', *words))}")
