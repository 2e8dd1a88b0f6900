"""One part of an augmentation: its requests are sent, and what the answers say is taken in."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

from flatrec.content.llm.augmentation_replies import (
    Suggestion,
    UnusableReplyError,
    no_value,
    read_attributes,
    read_profile,
    read_suggestion,
)
from flatrec.content.llm.augmentation_requests import AugmentationRequests
from flatrec.content.llm.batch_runner import BatchRunner, Usage
from flatrec.content.llm.chat_client import NO_RESPONSE
from flatrec.data.tables.augmentation_update import Part

Warnings = dict[str, tuple[str, ...]]


@dataclass
class AugmentationReplies:
    """What the language model answered, as far as it can be used.

    Args:
        profiles: words about users, by id.
        attributes: values of the attributes of items, by attribute and id.
        suggestions: a liked and a disliked item of users, by id.
        warnings: by part and id, why something is missing.
        missing: why there is no response yet, by part and id.
        usage: requests and tokens.
    """

    profiles: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    suggestions: dict[str, Suggestion] = field(default_factory=dict)
    warnings: dict[Part, Warnings] = field(default_factory=dict)
    missing: dict[Part, dict[str, str]] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)

    def take(self, requests: AugmentationRequests, part: Part, name: str, text: str) -> tuple[str, ...]:
        """Take in one answer, and return what it lacks."""
        try:
            if part == "profiles":
                self.profiles[name] = read_profile(text)
            elif part == "suggestions":
                candidates = requests.candidates[requests.dataset.users.index_of(name)]
                self.suggestions[name] = read_suggestion(text, candidates)
            else:
                values = read_attributes(text, requests.settings.attributes)
                for attribute, value in values.items():
                    self.attributes.setdefault(attribute, {})[name] = value
                return tuple(no_value(one) for one in requests.settings.attributes if one not in values)
        except UnusableReplyError as error:
            return (str(error),)
        return ()


def ask(
    requests: AugmentationRequests, part: Part, runner: BatchRunner, *, replies: AugmentationReplies, sample: int | None
) -> None:
    """Send the requests of one part, and take in what the answers say.

    Args:
        requests: the requests.
        part: which of them are sent.
        runner: sends them.
        replies: where the answers go.
        sample: number of users or items that are asked about; all if left out.

    Raises:
        EndpointError: key, address or model are wrong.
        NoResponseError: ten consecutive requests had no response.
        OSError: the cache cannot be read or written.
    """
    warnings: Warnings = (
        {} if sample is not None else {name: (reason,) for name, reason in requests.skipped(part).items()}
    )
    batch = runner.run(islice(requests.of(part), sample))
    for name in filter(batch.responses.__contains__, requests.ids(part)):  # responses come in any order
        response = batch.responses[name]
        reasons = response.warnings
        if response.text:
            reasons += replies.take(requests, part, name, response.text)
        if reasons:
            warnings[name] = reasons
    warnings |= dict.fromkeys(batch.missing, (NO_RESPONSE,))
    replies.warnings[part], replies.missing[part] = warnings, batch.missing
    replies.usage = replies.usage.plus(batch.usage)
