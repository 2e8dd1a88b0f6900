"""What a data set says of its split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from flatrec.config.split import SplitSettings
from flatrec.utils.messages import count


@dataclass(frozen=True)
class SplitReport:
    """How interactions were split, and what was left out or summed on the way.

    Args:
        settings: the settings by which they were split, with the defaults of the method.
        resolved: the same with what followed from the data, such as the dates of a split by time.
        requested: the settings if they were asked for in the place of those that the data give; else empty.
        given: whether the source gives a split.
        summed: number of events that joined an earlier one of the same user, item and split.
        weighted: whether their weights were added up; else they count once.
        repeats: number of validation and test interactions with an item that the user has in an earlier split.
        repeats_stay: whether these stay; else they were dropped.
        late: number of events after the end of the test split, which were left out.
        canceled: number of purchases that were returned as a whole.
        unmatched_returns: number of returns without a purchase before them that they could cancel.
    """

    settings: SplitSettings = field(default_factory=SplitSettings)
    resolved: SplitSettings = field(default_factory=SplitSettings)
    requested: SplitSettings = field(default_factory=SplitSettings)
    given: bool = False
    summed: int = 0
    weighted: bool = False
    repeats: int = 0
    repeats_stay: bool = False
    late: int = 0
    canceled: int = 0
    unmatched_returns: int = 0

    def sentences(self) -> Iterator[str]:
        """Yield what a user should know, one sentence each."""
        if self.summed:
            effect = "their weights are added up" if self.weighted else "each counts once"
            yield f"{count(self.summed, 'repeated interaction')}; {effect}"
        if self.canceled:
            yield f"{count(self.canceled, 'purchase')} canceled by a return"
        if self.unmatched_returns:
            yield f"{count(self.unmatched_returns, 'return')} without a purchase before it that it could cancel"
        if self.repeats and not self.repeats_stay:
            yield (
                f"{count(self.repeats, 'validation or test interaction')} dropped, since the user has the item in an "
                "earlier split; repeat = true keeps such interactions"
            )
        if self.late:
            yield f"{count(self.late, 'event')} after split.test_until left out"
