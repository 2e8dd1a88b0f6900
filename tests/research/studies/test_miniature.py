"""Every study, in miniature: all that it promises is there, and finite."""

from __future__ import annotations

import json
import math

import pytest
from PIL import Image

from flatrec.research.reporting import study_result
from flatrec.research.studies import STUDIES, run_study

# Settings that make a study quick, and the figures that it promises.
SMALL = {
    "overall": ({}, {"overall"}),
    "noise": ({"variances": (0.0, 0.01), "draws": 2}, {"noise"}),
    "adjustment": ({"fractions": (0.1, 0.5), "draws": 2}, {"adjustment"}),
    "generalization": ({}, {"generalization"}),
    "competitors": ({}, {"competitors"}),
    "optimizers": ({"names": ("adam", "adagrad")}, {"optimizers"}),
    "combinations": ({}, {"combinations"}),
    "batch-size": ({"sizes": (128, 256)}, {"batch-size"}),
    "convergence": (
        {},
        {f"convergence-{what}-{by}" for what in ("loss", "validation") for by in ("epoch", "gradient", "second")},
    ),
    "landscape": ({"points": 5, "batches": 1}, {"landscape-normalized", "landscape-raw"}),
    "parameters": ({"rho": (0.1, 0.2), "lam": (), "kappa": (0.4,), "distance": ("cosine",)}, {"parameters"}),
    "interval": ({"intervals": (1, 2)}, {"interval"}),
    "theory": (
        {"samples": 64, "dim": 4, "steps": 50, "learning_rates": (0.1, 0.01), "horizons": (64, 128)},
        {"theory-tracking", "theory-convergence"},
    ),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All studies share their runs."""
    return tmp_path_factory.mktemp("runs")


def test_none_is_left_out():
    assert SMALL.keys() == STUDIES.keys()


@pytest.mark.parametrize("name", SMALL)
def test_every_figure_and_cell_is_there_and_finite(name, request_for, runs, tmp_path):
    settings, figures = SMALL[name]
    study = STUDIES[name](**settings)
    strategies = ("bsam", "bsam+") if name == "parameters" else ("plain", "bsam", "bsam+")
    found = run_study(study, tmp_path, request_for(strategies=strategies), runs=runs)
    assert found == study_result.read_study_result(tmp_path)
    assert found.failures == ()
    assert found.findings
    assert {image.name for image in found.images} == figures
    for image in found.images:
        with Image.open(tmp_path / "figures" / f"{image.name}.png") as drawn:
            assert min(drawn.size) > 300
            assert len(drawn.convert("RGB").getcolors(2**24)) > 10  # something is drawn
        assert "<svg" in (tmp_path / "figures" / f"{image.name}.svg").read_text(encoding="utf-8")
    assert found.tables
    for table in found.tables:
        assert table.rows
        assert (tmp_path / "tables" / f"{table.name}.csv").read_text(encoding="utf-8").count("\n") > len(table.rows)
        json.loads((tmp_path / "tables" / f"{table.name}.json").read_text(encoding="utf-8"))
        for row in table.rows:
            for cell, column in zip(row, table.columns, strict=True):
                if column.kind == "text":
                    assert isinstance(cell, str | None)
                else:
                    assert cell is None or math.isfinite(cell)
        for place, column in enumerate(table.columns):
            if column.kind == "number" and not column.name.startswith("reported"):
                assert any(row[place] is not None for row in table.rows), (table.name, column.name)
