"""Options of the commands that ask a language model."""

from __future__ import annotations

from typing import Annotated

import typer

from flatrec.cli.printing import print_text
from flatrec.rewriting.asking import Usage

_URL = typer.Option("--endpoint", help="Base address, e.g. http://localhost:8000/v1.", show_default=False)
_MODEL = typer.Option("--model", help="As the endpoint calls it.", show_default=False)
Url = Annotated[str, _URL]
Model = Annotated[str, _MODEL]
PerhapsUrl = Annotated[str | None, _URL]
PerhapsModel = Annotated[str | None, _MODEL]
KeyVariable = Annotated[str, typer.Option(help="The environment variable that holds the key.")]
Concurrency = Annotated[int, typer.Option(help="Questions under way at once.")]
Rate = Annotated[float | None, typer.Option(help="Most questions a minute.", show_default=False)]
MaxTokens = Annotated[int, typer.Option(help="Most tokens of an answer.")]
Temperature = Annotated[float | None, typer.Option(help="The model's own if left out.", show_default=False)]
Timeout = Annotated[float, typer.Option(help="Seconds that an answer may take.")]
Tries = Annotated[int, typer.Option(help="Of a question, before it counts as unanswered.")]
PromptPrice = Annotated[float | None, typer.Option(help="Of a million tokens asked.", show_default=False)]
CompletionPrice = Annotated[float | None, typer.Option(help="Of a million tokens answered.", show_default=False)]


def cost_of(usage: Usage, prompt_price: float | None, completion_price: float | None) -> float | None:
    """What the questions of this time cost; None where no price is given."""
    if prompt_price is None and completion_price is None:
        return None
    return usage.cost(prompt_price or 0.0, completion_price or 0.0)


def print_usage(usage: Usage, cost: float | None) -> None:
    """Questions, tokens and, where it is known, their cost."""
    counted = f"{usage.prompt_tokens:,} tokens asked, {usage.completion_tokens:,} answered"
    unsaid = f" ({usage.uncounted} answers came without a count)" if usage.uncounted else ""
    price = "" if cost is None else f", which cost {cost:.4f}"
    print_text(f"{usage.asked} questions asked now, {usage.known} known from earlier: {counted}{unsaid}{price}")
