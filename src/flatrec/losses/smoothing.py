"""Label smoothing: the type of the setting that several losses have."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from flatrec.utils.ranges import Range

LabelSmoothing: TypeAlias = Annotated[float, Range(ge=0, lt=1)]
