"""The table of commands: what each is, and where its function stands, which is imported when it is called."""

from __future__ import annotations

from typing import NamedTuple

DATA, TRAIN, RECOMMEND = "Data", "Train and compare", "Recommend"
RESEARCH, DEVELOP = "Research", "Develop"


class Command(NamedTuple):
    """One command.

    Args:
        target: where its function, or the app of its own commands, stands, as ``module:name``.
        panel: under which heading ``flatrec --help`` has it.
        about: what it does, as the first line of its help.
    """

    target: str
    panel: str
    about: str


COMMANDS: dict[str, Command] = {
    "data": Command(
        "flatrec.cli.data:app", DATA, "Look at data, generate the built-in shop, or prepare public data sets."
    ),
    "encode": Command(
        "flatrec.cli.encode:encode",
        DATA,
        "Encode item texts and images as feature files, one row per item in the order of the table.",
    ),
    "augment": Command(
        "flatrec.cli.augment:augment",
        DATA,
        "Have a language model rewrite item texts, or write what LLMRec takes: profiles, attributes and suggestions.",
    ),
    "adjust": Command(
        "flatrec.cli.adjust:adjust",
        DATA,
        "Edit the texts and images of some items, to measure how much worse a trained model becomes.",
    ),
    "train": Command("flatrec.cli.train:train", TRAIN, "Train a recommender and score it on the test split."),
    "evaluate": Command(
        "flatrec.cli.train:evaluate",
        TRAIN,
        "Score a finished run again; if its data have changed since, its recommender on the data as they are now.",
    ),
    "cold-start": Command(
        "flatrec.cli.cold_start:cold_start",
        TRAIN,
        "Hold items out, train without them by a run's settings, and score how well they are recommended.",
    ),
    "compare": Command(
        "flatrec.cli.compare:compare",
        TRAIN,
        "Train one model with several strategies on the same seeds, and test which differences are significant.",
    ),
    "list": Command(
        "flatrec.cli.lists:app",
        TRAIN,
        "List models, losses, samplings, strategies, optimizers, schedules, metrics, loggers, settings and data sets.",
    ),
    "demo": Command(
        "flatrec.cli.demo:demo", TRAIN, "Generate a shop, train, compare, recommend, and write a report to look at."
    ),
    "recommend": Command(
        "flatrec.cli.recommend:recommend",
        RECOMMEND,
        "Recommend the items that a user is most likely to want.",
    ),
    "similar": Command("flatrec.cli.recommend:similar", RECOMMEND, "Find the items that are most similar to an item."),
    "who-wants": Command(
        "flatrec.cli.who_wants:who_wants",
        RECOMMEND,
        "Find the users who want an item most: those for whom it has the highest score.",
    ),
    "serve": Command(
        "flatrec.cli.serve:serve",
        RECOMMEND,
        "Answer requests over HTTP: recommendations, similar items, scores; new recommenders without a stop.",
    ),
    "export": Command(
        "flatrec.cli.export:export",
        RECOMMEND,
        "Write recommendations, similar items or vectors of a trained run into files or a table of a database.",
    ),
    "recommender": Command(
        "flatrec.cli.recommender:app",
        RECOMMEND,
        "Show what a trained recommender holds, remove users from it, or index its items.",
    ),
    "refresh": Command(
        "flatrec.cli.refresh:refresh",
        RECOMMEND,
        "Check new data, train on them, and put the new recommender into use if it is good enough: a nightly job.",
    ),
    "push": Command(
        "flatrec.cli.push:push",
        RECOMMEND,
        "Publish a recommender or a data set on the Hugging Face Hub, private and without users unless told otherwise.",
    ),
    "pull": Command(
        "flatrec.cli.pull:pull",
        RECOMMEND,
        "Take over a recommender or a data set from the Hugging Face Hub: checked, and without running code.",
    ),
    "study": Command(
        "flatrec.cli.study:study",
        RESEARCH,
        "Run an experiment of the paper on your data: tables, figures, and which differences are significant.",
    ),
    "sweep": Command(
        "flatrec.cli.sweep:sweep",
        RESEARCH,
        "Search for settings by validation scores, and test the best ones on fresh seeds.",
    ),
    "league": Command(
        "flatrec.cli.league:league",
        RESEARCH,
        "Tune methods by equally many trials, and record them and their finals on fresh seeds.",
    ),
    "robustness": Command(
        "flatrec.cli.robustness:robustness",
        RESEARCH,
        "Measure how much a run, or vectors of any library, lose under noise and other disturbances; with gates.",
    ),
    "reproduce": Command(
        "flatrec.cli.reproduce:reproduce",
        RESEARCH,
        "Train a row of the paper's tables at the paper's settings, and show it beside what the paper reports.",
    ),
    "report": Command(
        "flatrec.cli.report:report",
        RESEARCH,
        "Make one page of studies: tables, figures, what is significant, and a robustness card for each model.",
    ),
    "check-model": Command(
        "flatrec.cli.check_model:check",
        DEVELOP,
        "Check that a model is trained, saved, resumed and evaluated as it should be.",
    ),
}
