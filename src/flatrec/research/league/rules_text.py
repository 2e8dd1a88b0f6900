"""The rules of a season in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator

from flatrec.config import Training
from flatrec.models import BASELINES
from flatrec.research.league.job import window_of
from flatrec.research.league.runs import listed
from flatrec.research.league.settings import experiment_of, model_name
from flatrec.research.league.spec import League
from flatrec.research.reporting.formats import metric_name

SAMPLERS = {
    "common": "drawn beforehand, with the same values of a setting in the same trials of all methods of a cell",
    "random": "drawn at random beforehand",
    "tpe": "proposed by TPE from the scores of earlier trials of the same method and cell, the first half at random",
}
REPLICATION = {
    "seeds": "everything random in a run follows from its seed",
    "splits": "the data are split again by each seed",
}


def rules_text(league: League) -> tuple[str, ...]:
    """Say how trials and finals are made, and when they stop."""
    rules = league.rules
    return (
        f"Every method gets {rules.n_trials} trials in every cell, all with seed {rules.trial_seed}; their settings "
        f"are {SAMPLERS[rules.sampler]}.",
        "The trial with the best validation score chooses the settings of the finals; no trial is scored on the test "
        "split.",
        f"Finals have the fresh seeds {listed(rules.final_seeds)}; {REPLICATION[rules.replication]}. The test split is "
        "scored once, at their end.",
        *_stopping(league),
        *_disturbances(league),
    )


def _stopping(league: League) -> Iterator[str]:
    """Say when runs stop, once for all methods and cells that share the rule."""
    groups: dict[str, list[str]] = {}
    for cell in league.cells:
        for method in league.methods:
            if model_name(league, cell, method) not in BASELINES:
                experiment = experiment_of(league, cell, method, {}, seed=league.rules.trial_seed)
                rule = _rule(experiment.training, window_of(experiment))
                groups.setdefault(rule, []).append(f"{method.name} in {cell.name}")
    for rule, where in groups.items():
        who = "All runs" if len(groups) == 1 else f"The runs of {listed(where)}"
        yield f"{who} train {rule}."


def _rule(training: Training, window: int) -> str:
    if training.select == "last":
        return f"for {training.epochs} epochs, the last of which is kept"
    every = training.evaluate_every
    interval = "after every epoch" if every == 1 else f"after every {every} epochs"
    score = metric_name(training.monitor) + (f", the mean of {window} evaluations" if window > 1 else "")
    return (
        f"for at most {training.epochs} epochs, are evaluated on validation {interval} by {score}, stop after "
        f"{training.patience} evaluations without a new best one, and keep the best epoch"
    )


def _disturbances(league: League) -> Iterator[str]:
    rules = league.rules
    if rules.levels:
        draws = f"{rules.draws} draw{'s' if rules.draws > 1 else ''} each"
        yield f"Finals are also scored under {listed(rules.levels)}, with {draws}, where the model allows it."
