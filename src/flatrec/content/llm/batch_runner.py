"""Ask one question an item, several at a time, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field

from flatrec.content.encoders.images import unwarned
from flatrec.content.llm.endpoint import NOTHING_TO_ASK, REFUSED, Chat, UnansweredError, UnusableError
from flatrec.content.llm.requests import Question
from flatrec.content.llm.response_cache import Answer, AnswerStore
from flatrec.utils.threads import Threads, wait_for

IN_A_ROW = 10  # questions that come to nothing, one after the other, before it is given up
GRACE = 0.3  # seconds that an interruption waits for what is under way


@dataclass
class Usage:
    """What was asked, and what it took.

    Args:
        asked: questions that the endpoint answered now.
        known: questions whose answers were known from earlier.
        prompt_tokens: asked now, as far as the endpoint says, those of answers that could not be used included.
        completion_tokens: answered now.
        uncounted: answers of now whose tokens the endpoint does not say.
        known_prompt_tokens: of the answers known from earlier.
        known_completion_tokens: of these answers.
    """

    asked: int = 0
    known: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0
    known_prompt_tokens: int = 0
    known_completion_tokens: int = 0

    def add(self, answer: Answer) -> None:
        """Count an answer that came now."""
        self.asked += 1
        self.prompt_tokens += answer.prompt_tokens or 0
        self.completion_tokens += answer.completion_tokens or 0
        self.uncounted += answer.prompt_tokens is None or answer.completion_tokens is None

    def add_known(self, answer: Answer) -> None:
        """Count an answer that was known."""
        self.known += 1
        self.known_prompt_tokens += answer.prompt_tokens or 0
        self.known_completion_tokens += answer.completion_tokens or 0

    def add_spent(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Count tokens that came to nothing."""
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens

    def cost(self, prompt_price: float, completion_price: float) -> float:
        """In the currency of the prices, which are those of a million tokens."""
        return (self.prompt_tokens * prompt_price + self.completion_tokens * completion_price) / 1e6


@dataclass
class Answers:
    """What came of the questions.

    Args:
        by_item: an answer an item; its text is None where the question cannot be answered.
        unanswered: why there is no answer yet, by item.
        usage: what it took.
    """

    by_item: dict[str, Answer] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class Asking:
    """How questions are asked.

    Args:
        chat: whom.
        store: answers known from earlier, which gets new ones as soon as they are there.
        concurrency: questions under way at once.
        persistent: whether to go on where ten questions in a row come to nothing, once any was answered.
        on_items: hears how many items are done.

    Raises:
        ValueError: a concurrency below 1.
    """

    chat: Chat
    store: AnswerStore
    concurrency: int = 4
    persistent: bool = False
    on_items: Callable[[int], None] = lambda _count: None

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, but is {self.concurrency}")

    def ask(self, questions: Iterable[tuple[str, Question]]) -> Answers:
        """Ask a question an item; equal questions are asked once.

        Answers are kept as they come, so that after a kill only those under way are asked again; an error waits for
        these, an interruption for less than a second. What the endpoint refuses to answer is not kept, and asked again
        the next time.

        Raises:
            UnusableError: key, address or model are wrong, or the first ten questions were all refused.
            UnansweredError: ten questions in a row had no answer, and it is not persistent.
            OSError: the store cannot be written to.
        """
        run = _Run(self)
        try:
            with unwarned(), Threads(self.concurrency) as threads:
                for item, question in questions:
                    run.begin(item, question, threads)
                    while len(run.pending) >= 2 * self.concurrency:
                        run.collect()
                while run.pending:
                    run.collect()
        except BaseException as error:
            self.chat.pace.stop()
            run.save(self.chat.endpoint.timeout if isinstance(error, Exception) else GRACE)
            raise
        return run.answers


class _Run:
    def __init__(self, asking: Asking) -> None:
        self.asking, self.answers = asking, Answers()
        self.pending: dict[Future[Answer], bytes] = {}
        self.waiting: dict[bytes, list[str]] = {}  # items by the key of a question that is under way
        self.seen: set[bytes] = set()  # questions that are answered
        self.in_vain = 0

    def begin(self, item: str, question: Question, threads: Threads) -> None:
        key = self.asking.chat.key_of(question)
        if key in self.waiting:
            self.waiting[key].append(item)
            return
        known = self.asking.store.get(key)
        if known is not None:
            if key not in self.seen:
                self.answers.usage.add_known(known)
            self.seen.add(key)
            self._settle([item], known)
            return
        self.waiting[key] = [item]
        self.pending[threads.submit(self.asking.chat.ask, question)] = key

    def collect(self) -> None:
        """Take the answers that are there, waiting for one at least."""
        for future in wait_for(self.pending, first=True):
            key = self.pending[future]
            try:
                answer = future.result()
            except UnansweredError as error:
                self.answers.usage.add_spent(*error.spent)
                self.answers.unanswered.update(dict.fromkeys(self.waiting[key], str(error)))
                self._done(future, key)
                self._count_in_vain(str(error))
                continue
            self._keep(key, answer)
            self._settle(self.waiting[key], answer)
            self._done(future, key)
            if said := _refusal(answer):
                self._count_in_vain(said)

    def save(self, patience: float) -> None:
        """Wait some seconds for what is under way and paid for, and keep what comes of it.

        What no thread took up is not waited for: nothing would ever tell that it was canceled.
        """
        under_way = {future for future in self.pending if not future.cancel()}
        for future in wait_for(under_way, seconds=patience):
            if future.exception() is None:
                self._keep(self.pending[future], future.result())

    def _done(self, future: Future[Answer], key: bytes) -> None:
        """Forget a question, now that its answer is kept: what is interrupted before is kept by :meth:`save`."""
        del self.pending[future], self.waiting[key]

    def _keep(self, key: bytes, answer: Answer) -> None:
        if NOTHING_TO_ASK in answer.remarks or _refusal(answer) is not None:
            return
        self.in_vain = 0
        self.seen.add(key)
        self.answers.usage.add(answer)
        self.asking.store.put(key, answer)

    def _settle(self, items: list[str], answer: Answer) -> None:
        self.answers.by_item.update(dict.fromkeys(items, answer))
        self.asking.on_items(len(items))

    def _count_in_vain(self, said: str) -> None:
        self.in_vain += 1
        refused = said.startswith(REFUSED)
        if self.in_vain < IN_A_ROW or (self.seen and (refused or self.asking.persistent)):
            return
        if refused:
            raise UnusableError(
                f"the first {IN_A_ROW} questions were all refused; check --model and what it takes (images? so many "
                f"tokens?): {said}"
            )
        raise UnansweredError(f"{IN_A_ROW} questions in a row had no answer: {said}; the same command goes on later")


def _refusal(answer: Answer) -> str | None:
    return next((one for one in answer.remarks if one.startswith(REFUSED)), None)
