"""The table of studies: a row each, by the name that the command line knows."""

from __future__ import annotations

from flatrec.entries import Entry

PAPER, THEORY = "paper", "theory"  # families: experiments on data, and what needs none

ENTRIES: dict[str, Entry] = {
    "overall": Entry(
        "flatrec.studies.overall:Overall",
        PAPER,
        "Do BSAM and BSAM+ improve models with and without modalities (RQ1, RQ2)?",
    ),
    "noise": Entry(
        "flatrec.studies.noise:Noise", PAPER, "Do models trained into flat minima lose less under Gaussian noise (RQ3)?"
    ),
    "adjustment": Entry(
        "flatrec.studies.adjustment:Adjustment",
        PAPER,
        "Do models trained into flat minima lose less when item information is edited (RQ3)?",
    ),
    "generalization": Entry(
        "flatrec.studies.generalization:Generalization",
        PAPER,
        "Do the strategies gain on other splits, and do their scores spread less (RQ4)?",
    ),
    "rivals": Entry(
        "flatrec.studies.rivals:Rivals",
        PAPER,
        "How do BSAM and BSAM+ compare with other flat-minima strategies, plain and mixed (RQ5, RQ9)?",
    ),
    "optimizers": Entry(
        "flatrec.studies.optimizers:Optimizers", PAPER, "Do the strategies help under other base optimizers (RQ6)?"
    ),
    "partners": Entry(
        "flatrec.studies.partners:Partners", PAPER, "Does BSAM+ go together with AMR and with augmented texts (RQ7)?"
    ),
    "batch-size": Entry(
        "flatrec.studies.batch_size:BatchSize", PAPER, "Do the strategies help at other batch sizes (RQ8)?"
    ),
    "convergence": Entry(
        "flatrec.studies.convergence:Convergence",
        PAPER,
        "How soon do the strategies reach what plain training reaches (RQ10)?",
    ),
    "landscape": Entry("flatrec.studies.landscape:Landscape", PAPER, "Are the minima flatter (RQ11)?"),
    "parameters": Entry(
        "flatrec.studies.parameters:Parameters",
        PAPER,
        "How sensitive are BSAM and BSAM+ to rho, lambda, kappa and the distance (RQ12)?",
    ),
    "interval": Entry(
        "flatrec.studies.interval:Interval", PAPER, "Is a perturbation at every step the best choice (Figures 1 and 2)?"
    ),
    "theory": Entry(
        "flatrec.studies.theory:Theory",
        THEORY,
        "Does BSAM's mean follow the gradient of all data, and do gradients fall at the rates that are proved?",
    ),
}
