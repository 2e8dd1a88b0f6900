"""The robustness card of a run, as the model card shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

FOLDER, FILE = "robustness", "robustness.json"  # where flatrec robustness writes, in the folder of a run
FORMAT = "flatrec robustness"
PREFERRED = ("ndcg@10", "ndcg@20", "recall@10", "recall@20")


class Disturbed(NamedTuple):
    """The score under one disturbance.

    Args:
        kind: the name of the disturbance.
        level: how strong it is, as a fraction.
        mean: the mean score over the draws.
        drop: the relative drop; None where there was nothing to lose.
    """

    kind: str
    level: float
    mean: float
    drop: float | None


class Robustness(NamedTuple):
    """What a run loses under disturbances, by one metric.

    Args:
        metric: the metric.
        split: the split that was scored.
        undisturbed: the score without any.
        rows: the scores with one.
    """

    metric: str
    split: str
    undisturbed: float
    rows: tuple[Disturbed, ...]


def read_robustness(run: Path, fingerprint: str) -> Robustness | None:
    """Return the robustness card in the folder of a run; None if there is none, or it is of other data.

    Raises:
        ValueError: the file is damaged.
    """
    path = run / FOLDER / FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT or content["data"]["fingerprint"] != fingerprint:
            return None
        undisturbed: Mapping[str, float] = content["undisturbed"]
        metric = next((name for name in PREFERRED if name in undisturbed), next(iter(undisturbed)))
        rows = [_row(one, metric) for one in content["levels"] if metric in one["metrics"]]
        return Robustness(metric, str(content["data"]["split"]), float(undisturbed[metric]), tuple(rows))
    except (KeyError, TypeError, ValueError, StopIteration) as error:
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}); measure again (flatrec robustness), or delete it"
        ) from None


def _row(level: Mapping[str, Any], metric: str) -> Disturbed:
    found = level["metrics"][metric]
    drop = found["drop"]
    return Disturbed(
        str(level["kind"]), float(level["level"]), float(found["mean"]), None if drop is None else float(drop)
    )
