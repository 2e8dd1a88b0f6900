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
    "data": Command("flatrec.cli.data:app", DATA, "Look at data, generate the built-in shop, or prepare public sets."),
    "encode": Command(
        "flatrec.cli.encode:encode",
        DATA,
        "Turn item texts and images into feature files, a row an item in the table's order.",
    ),
    "augment": Command(
        "flatrec.cli.augment:augment_items",
        DATA,
        "Have item texts written again by a language model that sees text and image.",
    ),
    "adjust": Command(
        "flatrec.cli.adjust:adjust",
        DATA,
        "Edit the texts and images of some items, to see how a trained model bears it.",
    ),
    "train": Command("flatrec.cli.train:train", TRAIN, "Train a recommender and score it on the test part."),
    "evaluate": Command(
        "flatrec.cli.train:evaluate",
        TRAIN,
        "Score a finished run again; with --cold, its settings on items that were held out entirely.",
    ),
    "compare": Command(
        "flatrec.cli.compare:compare",
        TRAIN,
        "Train the same model with several strategies over the same seeds, and test which differences are significant.",
    ),
    "list": Command("flatrec.cli.lists:app", TRAIN, "List models, strategies and optimizers with their settings."),
    "demo": Command(
        "flatrec.cli.demo:demo", TRAIN, "Generate a shop, train, compare, recommend, and write a report to look at."
    ),
    "recommend": Command(
        "flatrec.cli.recommend:recommend",
        RECOMMEND,
        "The items that a user is most likely to want and has no pair with.",
    ),
    "similar": Command("flatrec.cli.recommend:similar", RECOMMEND, "The items most like one."),
    "study": Command(
        "flatrec.cli.study:study",
        RESEARCH,
        "Run an experiment of the paper on your data: tables, figures, and which differences are significant.",
    ),
    "sweep": Command(
        "flatrec.cli.sweep:sweep",
        RESEARCH,
        "Search for settings by validation scores, and test the winner on fresh seeds.",
    ),
    "report": Command(
        "flatrec.cli.report:report",
        RESEARCH,
        "Make one page of studies: tables, figures, what is significant, and a robustness card for each model.",
    ),
    "doctor": Command(
        "flatrec.cli.check_model:doctor",
        DEVELOP,
        "Check a model: is it trained, saved, resumed and evaluated as it should be?",
    ),
}
