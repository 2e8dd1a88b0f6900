"""Where the batches of a step that needs several come from."""

from __future__ import annotations

from typing import Literal, TypeAlias

# Each from a shuffled pass of its own, or successive ones of one pass.
Pairing: TypeAlias = Literal["passes", "halves"]
