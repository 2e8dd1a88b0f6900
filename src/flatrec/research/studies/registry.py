"""Table of studies: one row per study, by the name that the command line knows."""

from __future__ import annotations

from flatrec.utils.lazy_registry import Entry

PAPER, THEORY = "paper", "theory"  # families: experiments on data, and what needs no data

_HOME = "flatrec.research.studies"

ENTRIES: dict[str, Entry] = {
    "overall": Entry(
        f"{_HOME}.scores:OverallStudy",
        PAPER,
        "Do BSAM and BSAM+ improve models with and without modalities (RQ1, RQ2)?",
    ),
    "noise": Entry(
        f"{_HOME}.noise:NoiseStudy", PAPER, "Do models trained into flat minima lose less under Gaussian noise (RQ3)?"
    ),
    "adjustment": Entry(
        f"{_HOME}.adjustment:AdjustmentStudy",
        PAPER,
        "Do models trained into flat minima lose less when item information is edited (RQ3)?",
    ),
    "generalization": Entry(
        f"{_HOME}.generalization:GeneralizationStudy",
        PAPER,
        "Do the strategies gain on other splits, and do their scores spread less (RQ4)?",
    ),
    "competitors": Entry(
        f"{_HOME}.scores:CompetitorsStudy",
        PAPER,
        "How do BSAM and BSAM+ compare with other flat-minima strategies, plain and mixed (RQ5, RQ9)?",
    ),
    "optimizers": Entry(
        f"{_HOME}.scores:OptimizersStudy", PAPER, "Do the strategies help under other base optimizers (RQ6)?"
    ),
    "combinations": Entry(
        f"{_HOME}.scores:CombinationsStudy", PAPER, "Does BSAM+ go together with AMR and with augmented texts (RQ7)?"
    ),
    "batch-size": Entry(f"{_HOME}.scores:BatchSizeStudy", PAPER, "Do the strategies help at other batch sizes (RQ8)?"),
    "convergence": Entry(
        f"{_HOME}.convergence:ConvergenceStudy",
        PAPER,
        "How soon do the strategies reach what plain training reaches (RQ10)?",
    ),
    "landscape": Entry(f"{_HOME}.landscape:LandscapeStudy", PAPER, "Are the minima flatter (RQ11)?"),
    "parameters": Entry(
        f"{_HOME}.scores:ParametersStudy",
        PAPER,
        "How sensitive are BSAM and BSAM+ to rho, lambda, kappa and the distance (RQ12)?",
    ),
    "interval": Entry(
        f"{_HOME}.scores:IntervalStudy", PAPER, "Is a perturbation at every step the best choice (Figures 1 and 2)?"
    ),
    "theory": Entry(
        f"{_HOME}.theory:TheoryStudy",
        THEORY,
        "Does BSAM's mean follow the gradient of all data, and do gradients fall at the rates that are proved?",
    ),
}
