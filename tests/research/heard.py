"""What a callback of jobs has heard."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Heard:
    plans: list[tuple[int, int]] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    done: list[tuple[str, str | None]] = field(default_factory=list)

    def on_plan(self, n_left, n_reused):
        self.plans.append((n_left, n_reused))

    def on_begin(self, name):
        self.begun.append(name)

    def on_done(self, name, error):
        self.done.append((name, error))

    @property
    def names(self):
        return [name for name, _ in self.done]
