"""The requests by which a language model is asked for profiles, attributes and suggested pairs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64
from numpy import ndarray

from flatrec.content.llm.histories import candidates, histories, without_empty
from flatrec.content.llm.prompts import ATTRIBUTES, PROFILE, SUGGESTION
from flatrec.content.llm.requests import Request
from flatrec.data.dataset import Dataset
from flatrec.data.tables.augmentation_update import PARTS, Part
from flatrec.evaluation.ranking import Scorer

NO_TEXT = "no text, so nothing was asked"
NO_HISTORY = "no training interaction with an item that has a text, so nothing was asked"
FEW_CANDIDATES = "fewer than two candidates, so nothing was asked"
ITEM_LETTERS, TEXT_LETTERS = 100, 2000  # of an item in a list, and of an item that is asked about
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class AugmentationSettings:
    """What is asked for, and how much of the data is shown.

    Args:
        parts: what is written: profiles of users, attributes of items, suggested pairs.
        attributes: names of the attributes; each becomes a file and a part of LLMRec.
        history: largest number of items of a user that are shown, the newest ones.
        candidates: number of items of which a liked and a disliked one are chosen.

    Raises:
        ValueError: nothing is asked for, a number is out of range, or an attribute cannot be part of a file name.
    """

    parts: tuple[Part, ...] = PARTS
    attributes: tuple[str, ...] = ("category", "style", "audience")
    history: int = 20
    candidates: int = 10

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError(f"at least one part must be written; name some of {', '.join(PARTS)}")
        if not 1 <= self.history <= 1000 or not 2 <= self.candidates <= 100:
            raise ValueError(
                f"--history must lie between 1 and 1000 and --candidates between 2 and 100, but they are "
                f"{self.history} and {self.candidates}"
            )
        if not self.attributes or len(set(self.attributes)) < len(self.attributes):
            raise ValueError("attributes must be one name or more, each once; name them with --attribute")
        for name in self.attributes:
            if name != Path(name).name or name.startswith(".") or not name.isprintable() or len(name) > 40:
                raise ValueError(f"attribute {name[:40]!r} cannot be part of a file name; choose a word such as style")


@dataclass(frozen=True, eq=False)
class AugmentationRequests:
    """All requests about a data set; nothing in them tells of validation or test interactions.

    Args:
        dataset: the data.
        texts: text by item id.
        settings: what is asked for.
        scorer: scores the candidates of users; item-kNN if left out.

    Raises:
        ValueError: no item of the data set has a text.
    """

    dataset: Dataset
    texts: Mapping[str, str | None]
    settings: AugmentationSettings
    scorer: Scorer | None = None

    def __post_init__(self) -> None:
        if not self.described.any():
            known = next(iter(self.texts), "")
            raise ValueError(
                f"no item of {self.dataset.name!r} has a text: it has ids like {self.dataset.items[0]!r}, the table of "
                f"items like {known!r}; name the column of ids with --id-column and of texts with --text-column"
            )

    @cached_property
    def lines(self) -> list[str]:
        """The text of each item of the data set on one line; empty if it has none."""
        return [" ".join((self.texts.get(item) or "").split()) for item in self.dataset.items]

    @cached_property
    def described(self) -> Bool[ndarray, "n_items"]:
        """Which items have a text."""
        return np.array([bool(line) for line in self.lines])

    @cached_property
    def histories(self) -> list[Int64[ndarray, "n_shown"]]:
        """The items of each user that are shown."""
        return histories(self.dataset, self.described, self.settings.history)

    @cached_property
    def candidates(self) -> list[list[int]]:
        """The candidates of each user in the order of their numbers."""
        rows = candidates(self.dataset, self.described, self.settings.candidates, self.scorer)
        return [without_empty(row) for row in rows]

    def text_of(self, item: str) -> str:
        """Return the text of an item by its id."""
        return self.lines[self.dataset.items.index_of(item)]

    def skipped(self, part: Part) -> dict[str, str]:
        """Return the users or items about which nothing is asked, and why."""
        reasons = ((name, self._reason(part, index)) for index, name in enumerate(self.ids(part)))
        return {name: reason for name, reason in reasons if reason is not None}

    def count(self, part: Part, sample: int | None = None) -> int:
        """Return the number of users or items that are asked about, at most ``sample``."""
        indices = range(self.dataset.n_items if part == "attributes" else self.dataset.n_users)
        count = sum(self._reason(part, index) is None for index in indices)
        return count if sample is None else min(count, sample)

    def of(self, part: Part) -> Iterator[tuple[str, Request]]:
        """Yield the requests of one part, each with the id of its user or item."""
        for index, name in enumerate(self.ids(part)):
            if self._reason(part, index) is None:
                yield name, Request("", None, self._prompt(part, index))

    def ids(self, part: Part) -> Iterator[str]:
        """Return the ids of the users or items that a part is about, in their order."""
        return iter(self.dataset.items if part == "attributes" else self.dataset.users)

    def _reason(self, part: Part, index: int) -> str | None:
        if part == "attributes":
            return None if self.described[index] else NO_TEXT
        if not len(self.histories[index]):
            return NO_HISTORY
        return FEW_CANDIDATES if part == "suggestions" and len(self.candidates[index]) < 2 else None

    def _prompt(self, part: Part, index: int) -> str:
        if part == "attributes":
            names = ", ".join(self.settings.attributes)
            return fill(ATTRIBUTES, text=self.lines[index][:TEXT_LETTERS], attributes=names)
        history = "\n".join(f"- {self._short(item)}" for item in self.histories[index].tolist())
        if part == "profiles":
            return fill(PROFILE, history=history)
        numbered = enumerate(self.candidates[index], start=1)
        listed = "\n".join(f"{number}. {self._short(item)}" for number, item in numbered)
        return fill(SUGGESTION, history=history, candidates=listed)

    def _short(self, item: int) -> str:
        line = self.lines[item]
        return line if len(line) <= ITEM_LETTERS else line[: ITEM_LETTERS - 1] + "…"


def fill(prompt: str, **words: str) -> str:
    """Return a prompt with words in the place of its placeholders; what looks like one in the words stays."""
    return _PLACEHOLDER.sub(lambda found: words.get(found[1], found[0]), prompt)
