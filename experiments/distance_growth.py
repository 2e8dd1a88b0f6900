"""What BSAM's distances do as a model grows: d and cos(eps, g1) over the number of parameters, as an image.

    OMP_NUM_THREADS=1 python experiments/distance_growth.py --out docs/distance.png

LightGCN of growing width on the built-in shop, five seeds; the values are means over the last of ten epochs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

from matplotlib.figure import Figure

from flatrec import Dataset, Regularization, Training, fit
from flatrec.data.shop import ShopSettings, generate
from flatrec.strategies.bsam import DISTANCES

WIDTHS = (2, 8, 32, 64, 128, 256, 512)
WATCHED = {"distance": "d", "cos(eps, g1)": "cos(eps, g1)"}


def watched(dataset: Dataset, distance: str, width: int, *, seed: int, epochs: int) -> tuple[int, list[float]]:
    """Number of parameters, and the last epoch's trace."""
    run = fit(
        dataset,
        "lightgcn",
        "bsam",
        model_settings={"embedding_dim": width},
        strategy_settings={"distance": distance},
        optimizer_settings={"lr": 0.005},
        regularization=Regularization(kind="default"),
        training=Training(epochs=epochs, evaluate_every=epochs, loggers=()),
        seed=seed,
    )
    return run.result["parameters"], [run.result["trace"][name][-1] for name in WATCHED]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, print a Markdown table, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    given = parser.parse_args(arguments)
    dataset = generate(ShopSettings()).dataset
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    panels = figure.subplots(1, 2)
    sys.stdout.write("| distance | parameters | d | cos(eps, g1) |\n|---|---|---|---|\n")
    for distance in DISTANCES:
        sizes, means, deviations = [], [], []
        for width in WIDTHS:
            runs = [watched(dataset, distance, width, seed=seed, epochs=given.epochs) for seed in range(given.seeds)]
            columns = list(zip(*(values for _, values in runs), strict=True))
            sizes.append(runs[0][0])
            means.append([fmean(column) for column in columns])
            deviations.append([stdev(column) for column in columns])
            cells = (f"{mean:.3g} ± {spread:.1g}" for mean, spread in zip(means[-1], deviations[-1], strict=True))
            sys.stdout.write(f"| {distance} | {sizes[-1]} | {' | '.join(cells)} |\n")
            sys.stdout.flush()
        for place, panel in enumerate(panels):
            middle, spread = ([one[place] for one in rows] for rows in (means, deviations))
            panel.errorbar(sizes, middle, yerr=spread, marker="o", markersize=3, label=distance)
    for panel, title in zip(panels, WATCHED.values(), strict=True):
        panel.set(xscale="log", xlabel="parameters", title=title)
    panels[0].set_yscale("log")
    panels[1].axhline(0, color="grey", linewidth=0.8)
    panels[1].legend(fontsize="small", loc="center left")
    figure.savefig(given.out, dpi=110)


if __name__ == "__main__":
    main()
