"""Send one request per item, several at a time, and none twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field, fields

from flatrec.content.encoders.images import suppress_pillow_warnings
from flatrec.content.llm.chat_client import NO_INPUT, REFUSED, ChatClient, EndpointError, NoResponseError
from flatrec.content.llm.requests import Request
from flatrec.content.llm.response_cache import Response, ResponseCache
from flatrec.utils.threads import Threads, wait_for

MAX_CONSECUTIVE_FAILURES = 10  # requests that fail one after the other, before the batch is given up
GRACE_SECONDS = 0.3  # how long an interruption waits for requests under way


@dataclass
class Usage:
    """Counts of requests and tokens.

    Args:
        requests: requests that the endpoint answered now.
        cached_requests: requests whose responses were in the cache.
        prompt_tokens: prompt tokens of now, as far as the endpoint reports them, unusable responses included.
        completion_tokens: completion tokens of now, counted alike.
        uncounted: responses of now whose tokens the endpoint does not report.
        cached_prompt_tokens: prompt tokens of the cached responses.
        cached_completion_tokens: completion tokens of the cached responses.
    """

    requests: int = 0
    cached_requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0
    cached_prompt_tokens: int = 0
    cached_completion_tokens: int = 0

    def add(self, response: Response) -> None:
        """Count a response that came now."""
        self.requests += 1
        self.prompt_tokens += response.prompt_tokens or 0
        self.completion_tokens += response.completion_tokens or 0
        self.uncounted += response.prompt_tokens is None or response.completion_tokens is None

    def add_cached(self, response: Response) -> None:
        """Count a response from the cache."""
        self.cached_requests += 1
        self.cached_prompt_tokens += response.prompt_tokens or 0
        self.cached_completion_tokens += response.completion_tokens or 0

    def add_wasted(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Count tokens of a request that failed."""
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens

    def plus(self, other: Usage) -> Usage:
        """Return the sum of two usages."""
        return Usage(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Usage)))

    def cost(self, prompt_price: float | None, completion_price: float | None) -> float | None:
        """Return the cost of the requests of now, from prices for a million tokens; None if there is no price."""
        if prompt_price is None and completion_price is None:
            return None
        return (self.prompt_tokens * (prompt_price or 0.0) + self.completion_tokens * (completion_price or 0.0)) / 1e6

    def sentence(self, cost: float | None) -> str:
        """Say how many requests, tokens and, if it is known, what cost there were."""
        tokens = f"{self.prompt_tokens:,} prompt tokens, {self.completion_tokens:,} completion tokens"
        total = self.cached_prompt_tokens + self.cached_completion_tokens
        earlier = f"; {total:,} tokens were paid for earlier" if total else ""
        uncounted = f" ({self.uncounted} responses came without a count)" if self.uncounted else ""
        price = "" if cost is None else f", which cost {cost:.4f}"
        return f"{self.requests} requests sent, {self.cached_requests} cached: {tokens}{uncounted}{price}{earlier}"


@dataclass
class BatchResult:
    """Outcome of a batch of requests.

    Args:
        responses: by item; the text of a response is None if the request has no answer.
        missing: why there is no response yet, by item.
        usage: requests and tokens.
    """

    responses: dict[str, Response] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)

    @property
    def texts(self) -> dict[str, str]:
        """The texts of all items whose response has one."""
        return {item: response.text for item, response in self.responses.items() if response.text}


@dataclass(frozen=True)
class BatchRunner:
    """Sends requests, several at a time.

    Args:
        client: client of the language model.
        cache: earlier responses; new ones are stored at once.
        allow_missing: whether to continue after ten consecutive failures, if any request succeeded before.
        on_items: is called with the number of items that are done.
    """

    client: ChatClient
    cache: ResponseCache
    allow_missing: bool = False
    on_items: Callable[[int], None] = lambda _count: None

    def run(self, requests: Iterable[tuple[str, Request]]) -> BatchResult:
        """Send one request per item; equal requests are sent once.

        Responses are stored as they come, so that after a kill only requests under way are sent again. An error waits
        for requests under way, an interruption for less than a second. Refusals are not stored: such a request is sent
        again the next time.

        Raises:
            EndpointError: key, address or model are wrong, or the first ten requests were all refused.
            NoResponseError: ten consecutive requests had no response, and missing ones are not allowed.
            OSError: the cache cannot be written to.
        """
        batch = _Batch(self)
        concurrency = self.client.endpoint.concurrency
        try:
            with suppress_pillow_warnings(), Threads(concurrency) as threads:
                for item, request in requests:
                    batch.submit(item, request, threads)
                    while len(batch.pending) >= 2 * concurrency:
                        batch.collect()
                while batch.pending:
                    batch.collect()
        except BaseException as error:
            self.client.rate_limiter.stop()
            batch.save(self.client.endpoint.timeout if isinstance(error, Exception) else GRACE_SECONDS)
            raise
        return batch.result


class _Batch:
    def __init__(self, runner: BatchRunner) -> None:
        self.runner, self.result = runner, BatchResult()
        self.pending: dict[Future[Response], bytes] = {}
        self.waiting: dict[bytes, list[str]] = {}  # items by the key of a request that is under way
        self.done: set[bytes] = set()  # keys of requests that have a response
        self.failures = 0

    def submit(self, item: str, request: Request, threads: Threads) -> None:
        key = self.runner.client.cache_key(request)
        if key in self.waiting:
            self.waiting[key].append(item)
            return
        cached = self.runner.cache.get(key)
        if cached is not None:
            if key not in self.done:
                self.result.usage.add_cached(cached)
            self.done.add(key)
            self._assign([item], cached)
            return
        self.waiting[key] = [item]
        self.pending[threads.submit(self.runner.client.send, request)] = key

    def collect(self) -> None:
        """Take in all responses that have arrived, waiting for one at least."""
        for future in wait_for(self.pending, first=True):
            key = self.pending[future]
            try:
                response = future.result()
            except NoResponseError as error:
                self.result.usage.add_wasted(*error.tokens)
                self.result.missing.update(dict.fromkeys(self.waiting[key], str(error)))
                self._forget(future, key)
                self._count_failure(str(error))
                continue
            self._store(key, response)
            self._assign(self.waiting[key], response)
            self._forget(future, key)
            if refusal := _refusal(response):
                self._count_failure(refusal)

    def save(self, patience: float) -> None:
        """Wait some seconds for requests under way, which are paid for, and store their responses.

        Requests that no thread has started are not waited for: nothing would ever report that they were canceled.
        """
        under_way = {future for future in self.pending if not future.cancel()}
        for future in wait_for(under_way, seconds=patience):
            if future.exception() is None:
                self._store(self.pending[future], future.result())

    def _forget(self, future: Future[Response], key: bytes) -> None:
        """Forget a request whose response is stored; an interruption before that leaves it to :meth:`save`."""
        del self.pending[future], self.waiting[key]

    def _store(self, key: bytes, response: Response) -> None:
        if NO_INPUT in response.warnings or _refusal(response) is not None:
            return
        self.failures = 0
        self.done.add(key)
        self.result.usage.add(response)
        self.runner.cache.put(key, response)

    def _assign(self, items: list[str], response: Response) -> None:
        self.result.responses.update(dict.fromkeys(items, response))
        self.runner.on_items(len(items))

    def _count_failure(self, reason: str) -> None:
        self.failures += 1
        refused = reason.startswith(REFUSED)
        if self.failures < MAX_CONSECUTIVE_FAILURES or (self.done and (refused or self.runner.allow_missing)):
            return
        if refused:
            raise EndpointError(
                f"the first {MAX_CONSECUTIVE_FAILURES} requests were all refused; check --model and what it accepts "
                f"(images? so many tokens?): {reason}"
            )
        raise NoResponseError(
            f"{MAX_CONSECUTIVE_FAILURES} consecutive requests had no response: {reason}; the same command continues "
            "later"
        )


def _refusal(response: Response) -> str | None:
    return next((warning for warning in response.warnings if warning.startswith(REFUSED)), None)
