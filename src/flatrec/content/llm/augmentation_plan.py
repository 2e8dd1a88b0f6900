"""How many requests an augmentation takes, and what they would cost, before any is sent."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from flatrec.content.llm.augmentation_requests import AugmentationRequests
from flatrec.content.llm.chat_client import ChatClient
from flatrec.content.llm.response_cache import ResponseCache, default_path
from flatrec.content.llm.settings import Endpoint
from flatrec.data.tables.augmentation_update import Part

LETTERS_PER_TOKEN = 4  # of English text; other scripts take more tokens


@dataclass(frozen=True)
class AugmentationPlan:
    """The requests that an augmentation takes.

    Args:
        requests: number of different requests by part.
        cached: number of these that were answered earlier.
        prompt_tokens: tokens of the prompts that would be sent, estimated from their letters.
        completion_tokens: largest number of tokens in the responses to these.
        cost: largest cost of these, as far as prices are known; None without prices.
    """

    requests: dict[Part, int]
    cached: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None

    def sentence(self) -> str:
        """Say how many requests there are, and how many tokens and what cost they take."""
        parts = ", ".join(f"{number:,} for {part}" for part, number in self.requests.items())
        total = sum(self.requests.values())
        counts = f"{total:,} requests ({parts}), of which {self.cached:,} are answered already"
        if self.cached == total:
            return f"{counts}: nothing is sent"
        price = "" if self.cost is None else f", which cost at most about {self.cost:.4f}"
        return (
            f"{counts}: the others take about {self.prompt_tokens:,} prompt tokens and at most "
            f"{self.completion_tokens:,} completion tokens{price}"
        )


def plan_augmentation(
    requests: AugmentationRequests, endpoint: Endpoint, *, sample: int | None = None
) -> AugmentationPlan:
    """Count the requests of an augmentation and those that are in the cache; nothing is sent.

    Args:
        requests: the requests.
        endpoint: the language model that would be asked.
        sample: number of users and items that would be asked about; all if left out.

    Raises:
        ImportError: the extra ``llm`` is not installed.
        OSError: the cache cannot be read.
    """
    counts: dict[Part, int] = {}
    cached, letters = 0, 0
    keys: set[bytes] = set()
    with ChatClient(endpoint) as client, ResponseCache(default_path()) as cache:
        for part in requests.settings.parts:
            before = len(keys)
            for _, request in islice(requests.of(part), sample):
                key = client.cache_key(request)
                if key not in keys:
                    keys.add(key)
                    known = cache.get(key) is not None
                    cached += known
                    letters += 0 if known else len(request.prompt_without_image or "")
            counts[part] = len(keys) - before
    prompt_tokens = -(-letters // LETTERS_PER_TOKEN)
    completion_tokens = (len(keys) - cached) * endpoint.max_tokens
    prices = (endpoint.prompt_price, endpoint.completion_price)
    cost = None
    if prices != (None, None):
        cost = (prompt_tokens * (prices[0] or 0.0) + completion_tokens * (prices[1] or 0.0)) / 1e6
    return AugmentationPlan(counts, cached, prompt_tokens, completion_tokens, cost)
