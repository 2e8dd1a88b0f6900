"""The table of studies: a row each, by the name that the command line knows."""

from __future__ import annotations

from flatrec.utils.lazy_registry import Entry

PAPER, THEORY = "paper", "theory"  # families: experiments on data, and what needs none

ENTRIES: dict[str, Entry] = {
    "overall": Entry(
        "flatrec.research.studies.overall:Overall",
        PAPER,
        "Do BSAM and BSAM+ improve models with and without modalities (RQ1, RQ2)?",
    ),
    "noise": Entry(
        "flatrec.research.studies.noise:Noise",
        PAPER,
        "Do models trained into flat minima lose less under Gaussian noise (RQ3)?",
    ),
    "adjustment": Entry(
        "flatrec.research.studies.adjustment:Adjustment",
        PAPER,
        "Do models trained into flat minima lose less when item information is edited (RQ3)?",
    ),
    "generalization": Entry(
        "flatrec.research.studies.generalization:Generalization",
        PAPER,
        "Do the strategies gain on other splits, and do their scores spread less (RQ4)?",
    ),
    "rivals": Entry(
        "flatrec.research.studies.competitors:Rivals",
        PAPER,
        "How do BSAM and BSAM+ compare with other flat-minima strategies, plain and mixed (RQ5, RQ9)?",
    ),
    "optimizers": Entry(
        "flatrec.research.studies.optimizers:Optimizers",
        PAPER,
        "Do the strategies help under other base optimizers (RQ6)?",
    ),
    "partners": Entry(
        "flatrec.research.studies.combinations:Partners",
        PAPER,
        "Does BSAM+ go together with AMR and with augmented texts (RQ7)?",
    ),
    "batch-size": Entry(
        "flatrec.research.studies.batch_size:BatchSize", PAPER, "Do the strategies help at other batch sizes (RQ8)?"
    ),
    "convergence": Entry(
        "flatrec.research.studies.convergence:Convergence",
        PAPER,
        "How soon do the strategies reach what plain training reaches (RQ10)?",
    ),
    "landscape": Entry("flatrec.research.studies.landscape:Landscape", PAPER, "Are the minima flatter (RQ11)?"),
    "parameters": Entry(
        "flatrec.research.studies.parameters:Parameters",
        PAPER,
        "How sensitive are BSAM and BSAM+ to rho, lambda, kappa and the distance (RQ12)?",
    ),
    "interval": Entry(
        "flatrec.research.studies.interval:Interval",
        PAPER,
        "Is a perturbation at every step the best choice (Figures 1 and 2)?",
    ),
    "theory": Entry(
        "flatrec.research.studies.theory:Theory",
        THEORY,
        "Does BSAM's mean follow the gradient of all data, and do gradients fall at the rates that are proved?",
    ),
}
