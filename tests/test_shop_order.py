"""The built-in shop rewards better models, and features that belong to their items."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "experiments" / "shop_order.py"
ORDER = ("popularity", "bpr", "lightgcn", "freedom")


@pytest.mark.slow
def test_over_five_seeds_models_rank_as_they_should_and_shuffled_features_cost_freedom_its_lead():
    printed = subprocess.run([sys.executable, SCRIPT, "--seeds", "5"], check=True, capture_output=True, text=True)
    found = {line["model"]: line for line in map(json.loads, printed.stdout.splitlines())}
    for worse, better in zip(ORDER, ORDER[1:], strict=False):
        gap = found[better]["mean"] - found[worse]["mean"]
        assert gap > found[better]["deviation"] + found[worse]["deviation"], (worse, better)
    assert found["freedom, features shuffled"]["mean"] < found["lightgcn"]["mean"] + found["lightgcn"]["deviation"]
