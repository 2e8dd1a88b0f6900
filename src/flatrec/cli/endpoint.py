"""Options of the commands that ask a language model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.utils.cache_dir import VARIABLE

if TYPE_CHECKING:
    from flatrec.content.llm.batch_runner import Usage

HIGHEST_PRICE = 1e12  # beyond which costs are no numbers any more
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


def check_prices(*prices: float | None) -> None:
    """Make sure that something can be reckoned with prices.

    Raises:
        ValueError: one is below 0 or no number.
    """
    for price in prices:
        if price is not None and not 0 <= price <= HIGHEST_PRICE:
            raise ValueError(f"a price must be at least 0 and at most {HIGHEST_PRICE:g}, but is {price}")


def kept() -> str:
    """What becomes of the answers that came, where others did not."""
    from flatrec.content.llm.response_cache import default_path

    if default_path() is None:
        return f"nothing is kept, as {VARIABLE} is off"
    return "those of the others are kept: the same command asks for the rest"


def cost_of(usage: Usage, prompt_price: float | None, completion_price: float | None) -> float | None:
    """What the questions of this time cost; None where no price is given."""
    if prompt_price is None and completion_price is None:
        return None
    return usage.cost(prompt_price or 0.0, completion_price or 0.0)


def usage_words(usage: Usage, cost: float | None) -> str:
    """Questions, tokens and, where it is known, their cost."""
    counted = f"{usage.prompt_tokens:,} tokens asked, {usage.completion_tokens:,} answered"
    total = usage.known_prompt_tokens + usage.known_completion_tokens
    earlier = f"; {total:,} tokens were paid for earlier" if total else ""
    unsaid = f" ({usage.uncounted} answers came without a count)" if usage.uncounted else ""
    price = "" if cost is None else f", which cost {cost:.4f}"
    return f"{usage.asked} questions asked now, {usage.known} known from earlier: {counted}{unsaid}{price}{earlier}"
