"""The exports of a new recommender."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flatrec.refresh.work import Work


def export_all(work: Work) -> tuple[Mapping[str, Any], ...]:
    """Write the exports that the settings name, and return what each holds."""
    del work
    return ()
